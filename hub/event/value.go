package event

import (
	"bytes"
	"iter"
	"slices"
)

// Value is the token of a member of a stored body: valid JSON. Its methods read it as the
// gate did: texts are trimmed, an integer stands for its digits, however it is spelled,
// numbers and flags may come as strings, and null or a value of another kind counts as
// absent.
type Value []byte

// Text returns the text, or "" when it is absent.
func (v Value) Text() string { return textOf(v) }

// Int returns the integer, or false when it is absent or has a fraction other than 0.
func (v Value) Int() (int64, bool) {
	n, r := readInt(v)
	return n, r == good
}

// Time returns a time as Unix ms. It is 0 when it is absent, as 0 and less mean absent, too.
func (v Value) Time() int64 {
	n, _ := v.Int()
	return max(n, 0)
}

// Number returns the number, or false when it is absent.
func (v Value) Number() (float64, bool) {
	f, r := readNumber(v)
	return f, r == good
}

// Bool returns the flag and whether it is there. An absent flag is false.
func (v Value) Bool() (is, there bool) {
	if readBool(v) != good {
		return false, false
	}
	return bytes.Contains(v, []byte("true")), true
}

// Departments returns the items of a text like "a|b": trimmed, without empty and repeated
// ones.
func (v Value) Departments() (ids []string) {
	for id := range bytes.SplitSeq([]byte(v.Text()), []byte("|")) {
		if id := string(trimBlanks(id)); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Members returns the members of a body in order. Names are without quotes and escapes.
// If a name occurs twice, its last value counts. A body that is no object has no members.
func Members(body []byte) iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		s := scan{b: body}
		if s.space(); s.peek() != '{' {
			return
		}

		s.open()
		for start := true; ; start = false {
			key := s.key(start)
			if key == nil {
				return
			}

			at := s.i
			if !s.skip() {
				return
			}

			name := key[1 : len(key)-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name = []byte(unescape(key))
			}
			if !yield(name, Value(s.b[at:s.i])) {
				return
			}
		}
	}
}
