package event

import (
	"bytes"
	"strconv"
)

// decimal is the value of a JSON number: 0.digits times ten to the power of
// point. There is no zero at either end of digits, which are empty for zero.
type decimal struct {
	negative bool
	digits   []byte
	point    int
}

// pointMax bounds point, far beyond any number that means something.
const pointMax = 1 << 30

// readDecimal reads a token that is a JSON number, however it is spelled.
func readDecimal(tok []byte) (d decimal) {
	d.negative = tok[0] == '-'
	tok = bytes.TrimPrefix(tok, []byte("-"))

	exponent := 0
	if i := bytes.IndexAny(tok, "eE"); i >= 0 {
		exponent = readExponent(tok[i+1:])
		tok = tok[:i]
	}

	whole, fraction, _ := bytes.Cut(tok, []byte("."))
	d.point = len(whole) + exponent
	d.digits = append(append(make([]byte, 0, len(tok)), whole...), fraction...)

	// Zeros at the ends say nothing.
	significant := bytes.TrimLeft(d.digits, "0")
	d.point -= len(d.digits) - len(significant)
	d.digits = bytes.TrimRight(significant, "0")
	d.point = max(-pointMax, min(d.point, pointMax))
	if len(d.digits) == 0 {
		return decimal{}
	}
	return d
}

func readExponent(tok []byte) int {
	negative := tok[0] == '-'
	n := 0
	for _, c := range bytes.TrimLeft(tok, "+-") {
		if n < 1<<40 { // pointMax, and more than the digits of a token can take away
			n = n*10 + int(c-'0')
		}
	}
	if negative {
		return -n
	}
	return n
}

// integer returns the digits of a whole number, and false for a number with a
// fraction or with more digits than most.
func (d decimal) integer(most int) ([]byte, bool) {
	if len(d.digits) == 0 {
		return []byte("0"), true
	}
	if d.point < len(d.digits) || d.point > most {
		return nil, false
	}
	out := make([]byte, 0, d.point+1)
	if d.negative {
		out = append(out, '-')
	}
	out = append(out, d.digits...)
	return append(out, bytes.Repeat([]byte("0"), d.point-len(d.digits))...), true
}

// Number returns the canonical text of the number that a JSON token stands for, so that
// numbers are equal if their texts are: an integer of up to 30 digits as its digits,
// other numbers with an exponent.
func Number(tok []byte) string {
	d := readDecimal(tok)
	if whole, ok := d.integer(30); ok {
		return string(whole)
	}
	out := strconv.Itoa(d.point)
	out = "0." + string(d.digits) + "e" + out
	if d.negative {
		return "-" + out
	}
	return out
}
