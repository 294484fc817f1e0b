package event

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The forms in which people and systems write numbers: what may part the digits
// of one, which digits are an extension, and what looks like a number without
// being one.
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

// mayPart reports whether r may part the digits of a number that is known: all
// but letters. Seven digits in the order of the number are not there by chance.
func mayPart(r rune) bool {
	if r < utf8.RuneSelf {
		return (r|0x20 < 'a' || 'z' < r|0x20) && digitOf(r) < 0
	}
	return !unicode.IsLetter(r)
}

// withoutExtension returns the digits of a number before its extension, as in
// 030 123 45 67-12; nil when it has none. Elsewhere the number may stand without.
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

// unknownNumbers gives what has the form of a number of 7 digits or more: groups
// of digits that may be one together, and each run of digits without anything in
// between. Dates and addresses of machines are no numbers.
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
	// date is one as machines write it, with the hour if it is next to it.
	date = regexp.MustCompile(`\b(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?: \d\d)?\b`)
	// address is an IPv4 address that begins a text.
	address = regexp.MustCompile(`^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b`)
	// pairs are no address: people write numbers so.
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
		if text[i] = byte(u[st[0]+i].r); u[st[0]+i].r >= utf8.RuneSelf {
			text[i] = '?'
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

// uuid is 36 characters of an id that is made by chance, with a letter at least:
// a number could be written as one of digits alone.
var uuid = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)

// clockID is an id that Asterisk makes of the second and a counter.
var clockID = regexp.MustCompile(`(?:^|[^0-9])1[4-9]\d{8}\.\d{1,6}(?:$|[^0-9])`)

// Identifier is an id, or an order key, with the numbers in it masked: customers'
// numbers are ids at some senders. Nothing says whose number it is, so all that
// has the form of one is masked: 7 digits or more, however they are parted, but
// those within a UUID or another id of letters and digits by chance.
func (m Masking) Identifier(id string) string {
	if m == Unmasked {
		return id
	}
	k := &masker{Masking: m, body: []byte(id)}
	u, numbers := k.numbersOfID()
	if len(numbers) == 0 {
		return id
	}
	for _, number := range numbers {
		k.hide(u, number)
	}
	k.settle()
	return string(k.copy(nil, span{0, len(id)}))
}

// rememberID remembers the numbers in an id, to mask them in the body.
func (k *masker) rememberID(id string) {
	of := &masker{body: []byte(id)}
	u, numbers := of.numbersOfID()
	for _, number := range numbers {
		k.remember(u, number)
	}
}

// numbersOfID finds the numbers in the id that is k's body.
func (k *masker) numbersOfID() (u []unit, numbers [][]int) {
	digits := 0
	for _, r := range string(k.body) {
		if digitOf(r) >= 0 || r == '%' {
			digits++
		}
	}
	if digits < 3 { // %XX may stand for a digit
		return nil, nil
	}

	u, _ = fold(k.units(span{0, len(k.body)}))
	exempt := exemptUnits(u)
	for number := range unknownNumbers(u) {
		if !exempt[number[0]] && !amongLetters(u, number) {
			numbers = append(numbers, slices.Clone(number)) // the stretch is used again
		}
	}
	return u, numbers
}

// exemptUnits are the places of ids that are made by chance or by a clock.
func exemptUnits(u []unit) map[int]bool {
	text := make([]byte, len(u)) // one byte per unit, so that places agree
	for i, x := range u {
		if text[i] = byte(x.r); x.r >= utf8.RuneSelf {
			text[i] = '?'
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

// amongLetters reports whether a stretch belongs to an id of letters and digits,
// such as 6bf3cbb1: the letters next to it have other digits beyond them, which
// are not those of an extension.
func amongLetters(u []unit, st []int) bool {
	beyond := func(from, step int) bool {
		letters := ""
		for i := from; 0 <= i && i < len(u); i += step {
			switch r := u[i].r; {
			case unicode.IsLetter(r):
				letters += string(unicode.ToLower(r))
			case digitOf(r) >= 0:
				return letters != "" && (step < 0 || !slices.Contains(extensionWords, letters))
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
