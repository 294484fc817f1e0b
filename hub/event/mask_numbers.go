package event

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The forms in which people and systems write numbers: what may separate the digits of a
// number, which digits are an extension, and what looks like a number without being one.
const (
	knownBy      = 7 // the last digits by which a number is recognised
	maxExtension = 3 // digits behind the last separator that may be an extension
)

// isWrittenInNumbers reports whether people write r between the digits of one
// number: blanks, dashes, dots, slashes and brackets.
func isWrittenInNumbers(r rune) bool {
	if r < utf8.RuneSelf {
		return strings.IndexByte(" \t-.()[]/\\", byte(r)) >= 0
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) ||
		strings.ContainsRune("\u00B7\u2022\u2212\u2215\uFF08\uFF09\uFF0E\uFF0F\u3000", r)
}

// mayPart reports whether r may separate the digits of a number that is looked for: all
// but letters may. Seven digits in the order of the number are not there by chance.
func mayPart(r rune) bool {
	if r < utf8.RuneSelf {
		return (r|0x20 < 'a' || 'z' < r|0x20) && digitOf(r) < 0
	}
	return !unicode.IsLetter(r)
}

// withoutExtension returns the digits of a number before its extension, as in
// 030 123 45 67-12, or nil when it has no extension. Elsewhere the number may be written
// without it.
func withoutExtension(st []int) []int {
	for n := 1; n <= maxExtension && n < len(st); n++ {
		if last := len(st) - n; st[last]-st[last-1] > 1 {
			if last >= knownBy {
				return st[:last]
			}
			return nil
		}
	}
	return nil
}

// unknownNumbers finds what has the form of a number of 7 digits or more: groups of digits
// that may be one number together, and each run of digits without anything in between.
// Dates and addresses of machines are no numbers.
func unknownNumbers(u []unit) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for st := range stretches(u, false, isWrittenInNumbers) {
			if len(st) < knownBy {
				continue
			}

			number := withoutDates(u, st)
			if len(number) < knownBy {
				continue
			}

			if !yield(number) {
				return
			}
			for run := range runs(number) {
				if !yield(run) {
					return
				}
			}
		}
	}
}

var (
	// date matches a date as machines write it, and the hour if it follows.
	date = regexp.MustCompile(`\b(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?: \d\d)?\b`)
	// address matches an IPv4 address at the begin of a text.
	address = regexp.MustCompile(`^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b`)
	// pairs matches what could be an address and is a number: people write numbers in pairs.
	pairs = regexp.MustCompile(`^\d\d(?:\.\d\d){3}$`)
)

// withoutDates returns the digits of a stretch that belong to no date and no
// address.
func withoutDates(u []unit, st []int) []int {
	if st[len(st)-1]-st[0] == len(st)-1 {
		return st // nothing parts the digits
	}

	// One byte per unit, so that places agree.
	text := make([]byte, st[len(st)-1]-st[0]+1)
	for i := range text {
		text[i] = '?'
		if r := u[st[0]+i].r; r < utf8.RuneSelf {
			text[i] = byte(r)
		}
	}

	spans := date.FindAllIndex(text, -1)
	if at := address.FindIndex(text); at != nil && !pairs.Match(text[:at[1]]) {
		spans = append(spans, at)
	}

	if len(spans) == 0 {
		return st
	}
	return slices.DeleteFunc(slices.Clone(st), func(x int) bool {
		return slices.ContainsFunc(spans, func(at []int) bool { return at[0] <= x-st[0] && x-st[0] < at[1] })
	})
}

// uuid matches a UUID. It counts as made by chance only if it has a letter: a number
// could be written as one of digits alone.
var uuid = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)

// clockID matches an id that Asterisk makes of the second and a counter.
var clockID = regexp.MustCompile(`(?:^|[^0-9])1[4-9]\d{8}\.\d{1,6}(?:$|[^0-9])`)

// Identifier returns an id, or an order key, with the numbers in it masked: some senders
// make ids of customers' numbers. Nothing says whose a number is, so everything that has
// the form of one is masked: 7 digits or more, however they are separated, but not those
// within a UUID or another random id of letters and digits.
func (m Masking) Identifier(id string) string {
	if m == Unmasked {
		return id
	}
	mk := &masker{Masking: m, body: []byte(id)}
	u, numbers := mk.numbersOfID()
	if len(numbers) == 0 {
		return id
	}

	for _, number := range numbers {
		mk.hide(u, number)
	}
	mk.settle()
	return string(mk.copy(nil, span{0, len(id)}))
}

// rememberID remembers the numbers in an id, to mask them in the body.
func (m *masker) rememberID(id string) {
	of := &masker{body: []byte(id)}
	u, numbers := of.numbersOfID()
	for _, number := range numbers {
		m.remember(u, number)
	}
}

// numbersOfID finds the numbers in the id that is m's body.
func (m *masker) numbersOfID() (u []unit, numbers [][]int) {
	digits := 0
	for _, r := range string(m.body) {
		if digitOf(r) >= 0 || r == '%' {
			digits++
		}
	}
	if digits < 3 { // %XX may stand for a digit
		return nil, nil
	}

	u, _ = fold(m.units(span{0, len(m.body)}))
	exempt := exemptUnits(u)
	for number := range unknownNumbers(u) {
		if !exempt[number[0]] && !amongLetters(u, number) {
			numbers = append(numbers, slices.Clone(number)) // the loop uses the stretch again
		}
	}
	return u, numbers
}

// exemptUnits returns the places of ids that are made by chance or by a clock.
func exemptUnits(u []unit) map[int]bool {
	text := make([]byte, len(u)) // one byte per unit, so that places agree
	for i, x := range u {
		text[i] = '?'
		if x.r < utf8.RuneSelf {
			text[i] = byte(x.r)
		}
	}

	exempt := map[int]bool{}
	for _, at := range uuid.FindAllIndex(text, -1) {
		if strings.ContainsAny(string(text[at[0]:at[1]]), "abcdefABCDEF") {
			for i := at[0]; i < at[1]; i++ {
				exempt[i] = true
			}
		}
	}

	for _, at := range clockID.FindAllIndex(text, -1) {
		for i := at[0]; i < at[1]; i++ {
			exempt[i] = true
		}
	}
	return exempt
}

// amongLetters reports whether a stretch belongs to an id of letters and digits, such as
// 6bf3cbb1. In such an id more digits stand beyond the letters next to the stretch, unless
// these are the letters of an extension.
func amongLetters(u []unit, st []int) bool {
	beyond := func(from, step int) bool {
		var word strings.Builder // the first letters: more of them are no extension's
		letters := 0
		for i := from; 0 <= i && i < len(u); i += step {
			switch r := u[i].r; {
			case unicode.IsLetter(r):
				letters++
				if letters <= extensionLetters+1 {
					word.WriteRune(unicode.ToLower(r))
				}
			case digitOf(r) >= 0:
				return letters > 0 && (step < 0 || !slices.Contains(extensionWords, word.String()))
			default:
				return false
			}
		}
		return false
	}
	return beyond(st[0]-1, -1) || beyond(st[len(st)-1]+1, 1)
}

// extensionWords stand between a number and its extension.
var extensionWords = []string{"x", "ext", "extn", "p", "w"}

// extensionLetters is how many letters the longest of extensionWords has.
const extensionLetters = 4
