package event

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// How the value of a known field is read from its token. Tokens are valid JSON when they
// come here, so only the kind of the value is in question.

// reading is what became of a token.
type reading uint8

const (
	good   reading = iota
	absent         // null
	empty          // "" where a number or the like should be
	wrong          // another type
	large          // an integer beyond int64, a number beyond float64
)

// inside returns what a string token stands for, without blanks at both ends.
func inside(tok []byte) []byte {
	in := tok[1 : len(tok)-1]
	if bytes.IndexByte(in, '\\') >= 0 {
		in = []byte(unescape(tok))
	}
	return trimBlanks(in)
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// readText reads a string, trimmed, or an integer as its digits.
func readText(tok []byte) ([]byte, reading) {
	switch {
	case tok[0] == '"':
		return inside(tok), good
	case tok[0] == 'n':
		return nil, absent
	case isInteger(tok):
		return tok, good
	case isNumber(tok):
		if whole, ok := readDecimal(tok).integer(maxIdentity); ok {
			return whole, good
		}
	}
	return nil, wrong
}

// isNumber reports whether a token of valid JSON is a number.
func isNumber(tok []byte) bool { return tok[0] == '-' || '0' <= tok[0] && tok[0] <= '9' }

// unescape returns the string that a token with escapes stands for. Escapes are rare in
// what the gate itself reads, so this need not be fast.
func unescape(tok []byte) string {
	var s string
	_ = json.Unmarshal(tok, &s) // a valid token
	return s
}

// isInteger reports whether tok is a number without fraction and exponent.
func isInteger(tok []byte) bool {
	if len(tok) > 1 && tok[0] == '-' {
		tok = tok[1:]
	}
	for _, c := range tok {
		if c < '0' || '9' < c {
			return false
		}
	}
	return len(tok) > 0
}

// readInt reads an integer: a number without a fraction or with the fraction 0, which
// some serialisers write behind every number, or a string of digits.
func readInt(tok []byte) (int64, reading) {
	switch tok[0] {
	case 'n':
		return 0, absent
	case '"':
		tok = inside(tok)
		if len(tok) == 0 {
			return 0, empty
		}
	default:
		if !isInteger(tok) && isNumber(tok) {
			d := readDecimal(tok)
			if d.point < len(d.digits) {
				return 0, wrong
			}
			whole, ok := d.integer(20)
			if !ok {
				return 0, large
			}
			tok = whole
		}
	}
	if !isInteger(tok) {
		return 0, wrong
	}

	negative := tok[0] == '-'
	if negative {
		tok = tok[1:]
	}
	var n uint64
	for _, c := range tok {
		if n > math.MaxInt64/10 {
			return 0, large
		}
		n = n*10 + uint64(c-'0')
	}

	switch {
	case negative && n <= math.MaxInt64+1:
		return -int64(n), good
	case n <= math.MaxInt64:
		return int64(n), good
	}
	return 0, large
}

// readNumber reads a number, or a string of one.
func readNumber(tok []byte) (float64, reading) {
	switch tok[0] {
	case 'n':
		return 0, absent
	case '"':
		tok = inside(tok)
		if len(tok) == 0 {
			return 0, empty
		}
		// Only what JSON calls a number: ParseFloat would take "inf" and "0x1p4".
		s := scan{b: tok}
		if !s.number() || s.i != len(tok) {
			return 0, wrong
		}
	case 't', 'f', '{', '[':
		return 0, wrong
	}

	f, err := strconv.ParseFloat(string(tok), 64)
	if err != nil {
		return 0, large
	}
	return f, good
}

func readBool(tok []byte) reading {
	switch tok[0] {
	case 't', 'f':
		return good
	case 'n':
		return absent
	case '"':
		switch string(inside(tok)) {
		case "true", "false":
			return good
		case "":
			return empty
		}
	}
	return wrong
}

func readNested(tok []byte) reading {
	switch tok[0] {
	case '{', '[', '"':
		return good
	case 'n':
		return absent
	}
	return wrong
}

// Times outside these bounds are odd: an earlier one looks like seconds, a later one like
// microseconds.
const (
	firstMs = 100_000_000_000     // 1973
	lastMs  = 253_402_300_799_999 // the end of the year 9999, the last that RFC 3339 can write
)

// maxIdentity is the most bytes that an id in a body may have: databases cannot index
// much longer ones.
const maxIdentity = 256

// field reads one known field of the body.
func (p *pass) field(f *field, tok []byte) {
	var (
		r reading
		n int64
	)

	switch f.kind {
	case text:
		r = p.text(f, tok)
	case integer, instant, count:
		if n, r = readInt(tok); r == good {
			p.integer(f, n)
		}
	case number:
		var x float64
		if x, r = readNumber(tok); r == good && f.hi > f.lo && (x < f.lo || x > f.hi) {
			p.warn("out_of_range", f.name,
				f.name+" should be from "+strconv.FormatFloat(f.lo, 'g', -1, 64)+" to "+strconv.FormatFloat(f.hi, 'g', -1, 64))
		}
	case boolean:
		r = readBool(tok)
	case nested:
		r = readNested(tok)
	}

	switch r {
	case wrong:
		p.refuse("wrong_type", f.name, f.name+" must be "+f.kind.String())
	case large:
		p.refuse("out_of_range", f.name, f.name+" is too large a number")
	case empty:
		p.warn("empty", f.name, f.name+` is "", read as absent; it should be `+f.kind.String())
	}
}

// text reads a text field, and keeps the value if the gate needs it.
func (p *pass) text(f *field, tok []byte) reading {
	// Nothing depends on this text: only its kind is checked.
	if f.slot == none && f.words == nil {
		if tok[0] == '"' {
			return good
		}
		_, r := readText(tok)
		return r
	}

	s, r := readText(tok)
	if r != good || len(s) == 0 {
		return r
	}

	if f.words != nil && !oneOf(f.words, s) {
		if f.closed {
			p.refuse("invalid_value", f.name, f.name+" is none of the values it may have")
		} else {
			p.warn("unknown_code", f.name, f.name+" has a value that is not known")
		}
	}

	if identities&(1<<f.slot) != 0 { // the rule of Identity, with the reason
		switch {
		case len(s) > maxIdentity:
			p.refuse("too_long", f.name, f.name+" has more than "+strconv.Itoa(maxIdentity)+" bytes")
		case !printable(s):
			p.refuse("invalid_value", f.name, f.name+" has control characters or broken surrogates")
		}
	}

	p.vals[f.slot] = value{text: s, set: true}
	return good
}

// oneOf reports whether s is among words, without making a string of s.
func oneOf(words []string, s []byte) bool {
	for _, w := range words { //nolint:modernize // slices.Contains needs the string
		if w == string(s) {
			return true
		}
	}
	return false
}

// printable reports whether s can be stored, shown and compared everywhere. It refuses
// control characters, and U+FFFD, into which a lone surrogate decodes.
func printable(s []byte) bool {
	for _, c := range s {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return !bytes.Contains(s, []byte("\uFFFD"))
}

// integer checks the value of an integer field and keeps it.
func (p *pass) integer(f *field, n int64) {
	switch f.kind {
	case count:
		if n < 0 {
			p.warn("negative", f.name, f.name+" is negative")
		}
	case instant:
		if !p.instant(f.name, n) {
			return
		}
		p.latest = max(p.latest, n)
	case integer:
		if f.codes != nil && !slices.Contains(f.codes, n) {
			p.warn("unknown_code", f.name, f.name+" has a value that is not known")
		}
	}
	p.vals[f.slot] = value{n: n, set: true}
}

// instant reports whether n counts as a time, and warns when it is odd.
func (p *pass) instant(name string, n int64) bool {
	switch {
	case n == 0: // how platforms write "did not happen"
		return false
	case n < 0:
		p.warn("negative", name, name+" is negative, read as absent")
		return false
	case n < firstMs:
		p.warn("looks_like_seconds", name, name+" looks like seconds; it is read as Unix ms")
	case n > lastMs:
		p.warn("out_of_range", name, name+" is after the year 9999, read as absent")
		return false
	}
	return true
}
