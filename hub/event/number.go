package event

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A phone number is its digits. Blanks, dashes, dots, slashes, brackets, a plus sign, a
// leading 00, the parts of a tel: or sip: address and extensions are no part of it. National
// and international spellings are different numbers: nobody guesses a country.

const (
	leastDigits = 5   // of a number that can be looked for
	mostCalled  = 15  // digits of the longest phone number (E.164); more digits are several numbers
	maxWritten  = 200 // characters of a text that is one number
)

// CustomerNumbers returns the phone numbers of customers that an event of type t names, each
// once and as its digits: those of the fields that masking hides, 5 digits or more.
func CustomerNumbers(t Type, body []byte) (numbers []string) {
	m := survey(Partial, t, body)
	if m == nil {
		return nil
	}
	for _, mb := range m.members {
		if !mb.customer {
			continue
		}
		walk(m.units(mb.value), 0, func(tok []unit, _ bool, _ int) {
			u, _ := fold(tok)
			for number := range writtenNumbers(u) {
				if len(numbers) < maxNumbers && !slices.Contains(numbers, number) {
					numbers = append(numbers, number)
				}
			}
		})
	}
	return numbers
}

// ParseNumber returns the digits of a phone number that somebody has written. The error says
// how the text must be.
func ParseNumber(text string) (digits string, err error) {
	if utf8.RuneCountInString(text) > maxWritten {
		return "", errors.New("must have at most 200 characters")
	}
	m := &masker{body: []byte(text)}
	u := m.units(span{0, len(text)})
	if err := checkWritten(u); err != nil {
		return "", err
	}

	for number := range writtenNumbers(u) {
		if digits != "" && number != digits {
			return "", errors.New("must be one phone number")
		}
		digits = number
	}
	switch n := len(digitsOf(text)); {
	case digits != "":
		return digits, nil
	case n > maxDigits:
		return "", errors.New("must have at most 40 digits")
	default:
		return "", errors.New("must be a phone number of 5 digits or more")
	}
}

// schemes are the words that addresses with a number begin with.
var schemes = []string{"tel", "sip", "sips", "callto"}

// checkWritten returns an error if a text has what no number is written with.
func checkWritten(u []unit) error {
	address := addressParts(u)
	var word []rune
	for i := 0; i <= len(u); i++ {
		if i < len(u) && !address[i] && unicode.IsLetter(u[i].r) && digitOf(u[i].r) < 0 {
			word = append(word, unicode.ToLower(u[i].r))
			continue
		}
		if w := string(word); w != "" && !slices.Contains(schemes, w) && !slices.Contains(spelledExtensions, w) {
			return errors.New("must be a phone number, without letters")
		}
		word = word[:0]

		switch {
		case i == len(u) || address[i]:
		case u[i].r == '*':
			return errors.New("must be a phone number, without *: one that is masked cannot be looked for")
		case digitOf(u[i].r) < 0 && !isWrittenInNumbers(u[i].r) && !strings.ContainsRune("+\uFF0B:;=,#@<>", u[i].r):
			return errors.New("must be a phone number")
		}
	}
	return nil
}

// writtenNumbers finds the phone numbers that are written in a text, as their digits.
func writtenNumbers(u []unit) iter.Seq[string] {
	return func(yield func(string) bool) {
		address := addressParts(u)
		found := false
		for st := range stretches(u, true, isWrittenInNumbers) {
			if address[st[0]] || found && isExtension(u, st[0]) {
				continue
			}
			if short := withoutExtension(st); short != nil && isDashed(u, st, len(short)) {
				st = short
			}

			// Too many digits for one number are several, which something separates.
			several := false
			if isTooLong(u, st) {
				for run := range runs(st) {
					several = true
					if number := digitsAt(u, run); number != "" {
						found = true
						if !yield(number) {
							return
						}
					}
				}
			}
			if number := digitsAt(u, st); number != "" && !several {
				found = true
				if !yield(number) {
					return
				}
			}
		}
	}
}

// isTooLong reports whether a stretch has more digits than a phone number; a leading 00 is
// none of them.
func isTooLong(u []unit, st []int) bool {
	n := len(st)
	if n > 2 && digitOf(u[st[0]].r) == 0 && digitOf(u[st[1]].r) == 0 {
		n -= 2
	}
	return n > mostCalled
}

// digitsAt returns the digits of a number that stands at the places st; "" if it is too short
// or too long to be looked for, or has a * of somebody who masked it.
func digitsAt(u []unit, st []int) string {
	digits := make([]byte, len(st))
	for i, x := range st {
		d := digitOf(u[x].r)
		if d < 0 {
			return ""
		}
		digits[i] = byte('0' + d)
	}

	number := string(digits)
	if len(number) >= 2+leastDigits {
		number = strings.TrimPrefix(number, "00") // how + is dialled
	}
	if len(number) < leastDigits || len(number) > maxDigits {
		return ""
	}
	return number
}

// isDashed reports whether the digits of a stretch from the n-th on stand behind its only
// dash, as extensions do: 030 123 45 67-12. Numbers written in pairs have other separators
// before their last digits, or several dashes.
func isDashed(u []unit, st []int, n int) bool {
	isDash := func(x unit) bool { return unicode.Is(unicode.Pd, x.r) || x.r == '\u2212' }
	return slices.ContainsFunc(u[st[n-1]:st[n]], isDash) && !slices.ContainsFunc(u[st[0]:st[n-1]], isDash)
}

// spelledExtensions are the words behind which an extension stands.
var spelledExtensions = append([]string{"extension"}, extensionWords...)

// isExtension reports whether what begins at a place is an extension of the number before it:
// a word or # says so.
func isExtension(u []unit, at int) bool {
	const farthest = 16 // characters between the word's end and the digits
	i := at - 1
	for ; i >= 0 && at-i < farthest && (isWrittenInNumbers(u[i].r) || u[i].r == ':' || u[i].r == '='); i-- {
	}
	if i >= 0 && u[i].r == '#' {
		return true
	}

	var word []rune
	for ; i >= 0 && unicode.IsLetter(u[i].r) && len(word) <= len(spelledExtensions[0]); i-- {
		word = append(word, unicode.ToLower(u[i].r))
	}
	slices.Reverse(word)
	return slices.Contains(spelledExtensions, string(word))
}

// addressParts returns which characters of a text belong to the host or the parameters of an
// address, as in sip:number@host and tel:number;ext=1.
func addressParts(u []unit) []bool {
	parts := make([]bool, len(u))
	inside := false
	for i, x := range u {
		switch {
		case x.r == '@', x.r == ';' && i+1 < len(u) && unicode.IsLetter(u[i+1].r):
			inside = true
		case x.r == ',' || x.r == '<' || x.r == '>' || unicode.IsSpace(x.r):
			inside = false
		}
		parts[i] = inside
	}
	return parts
}

// ContainsDigits reports whether a text contains the digits of a number, however they are
// separated.
func ContainsDigits(text, digits string) bool { return strings.Contains(digitsOf(text), digits) }
