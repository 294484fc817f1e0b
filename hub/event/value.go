package event

import (
	"bytes"
	"iter"
	"slices"
)

// Value is the token of a member of a stored body: valid JSON. Whoever reads
// bodies later reads them as the gate did: texts are trimmed and an integer
// stands for its digits, however it is spelled; numbers and flags may come as
// strings; and what is null or of another kind is absent.
type Value []byte

// Text is "" when absent.
func (v Value) Text() string { return textOf(v) }

// Int returns false when absent, or when the number has a fraction other than 0.
func (v Value) Int() (int64, bool) {
	n, r := readInt(v)
	return n, r == good
}

// Time is Unix ms; 0 when absent, for 0 and less mean so too.
func (v Value) Time() int64 {
	n, _ := v.Int()
	return max(n, 0)
}

// Number is false when absent.
func (v Value) Number() (float64, bool) {
	f, r := readNumber(v)
	return f, r == good
}

// Bool is false, false when absent.
func (v Value) Bool() (is, there bool) {
	if readBool(v) != good {
		return false, false
	}
	return bytes.Contains(v, []byte("true")), true
}

// Departments are the items of a text like "a|b": trimmed, without empty and
// repeated ones.
func (v Value) Departments() (ids []string) {
	for id := range bytes.SplitSeq([]byte(v.Text()), []byte("|")) {
		if id := string(trim(id)); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Members of a body in its order, with their names as they read without quotes
// and escapes. Of a name that comes twice the last one counts. What is no object
// has none.
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
