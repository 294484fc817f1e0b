package event

// scan walks over JSON once, checks its grammar (RFC 8259) and hands out raw tokens. It
// keeps a stack of its own, so nesting costs bits, never goroutine stack. On the way it
// can copy what it reads without white space, for a hash.
type scan struct {
	b   []byte
	i   int    // next byte
	bad string // what is wrong at i; "" while well-formed

	depth   int      // containers open, those of the caller included
	deepest int      // the greatest depth so far
	kinds   uint64   // the innermost up to 64 containers of skip, one bit each: 1 = object
	outer   []uint64 // the containers further out, in blocks of 64

	compact bool // copy what is read to sum, without white space
	mark    int  // where the part not yet in sum begins
	sum     []byte
}

// plain says for each byte whether it stands for itself inside a string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// fail notes what is wrong with the JSON at s.i. Only the first mistake counts.
func (s *scan) fail(what string) bool {
	if s.bad == "" {
		s.bad = what
	}
	return false
}

// peek returns the next byte, or 0 at the end: no JSON token begins with 0.
func (s *scan) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// space skips white space.
func (s *scan) space() {
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.spaces()
	}
}

func (s *scan) spaces() {
	from := s.i
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
			continue
		}
		break
	}
	if s.compact {
		s.sum = append(s.sum, s.b[s.mark:from]...)
		s.mark = s.i
	}
}

// startSum begins to append what is read from here on to sum.
func (s *scan) startSum() { s.compact, s.mark = true, s.i }

// endSum ends what startSum began.
func (s *scan) endSum() {
	s.sum = append(s.sum, s.b[s.mark:s.i]...)
	s.compact = false
}

// open enters the object that begins here.
func (s *scan) open() {
	s.i++
	s.enter()
}

// enter counts a container that was opened.
func (s *scan) enter() {
	s.depth++
	s.deepest = max(s.deepest, s.depth)
}

// key reads the next key of an object that was opened and stops before its
// value. It returns nil at the end of the object, or with bad set. first is
// true before the first member.
func (s *scan) key(first bool) []byte {
	s.space()
	switch c := s.peek(); {
	case c == '}':
		s.i++
		s.depth--
		return nil
	case first:
	case c == ',':
		s.i++
		s.space()
	default:
		s.fail("expected , or }")
		return nil
	}

	return s.name()
}

// element moves to the next element of an array that was opened. It returns false at the
// end of the array, or with bad set.
func (s *scan) element(first bool) bool {
	s.space()
	switch c := s.peek(); {
	case c == ']' && first:
		s.i++
		s.depth--
		return false
	case first:
		return true
	case c == ',':
		s.i++
		s.space()
		return true
	case c == ']':
		s.i++
		s.depth--
		return false
	}
	return s.fail("expected , or ]")
}

// name reads a key and the colon behind it.
func (s *scan) name() []byte {
	from := s.i
	if s.peek() != '"' {
		s.fail("expected a key")
		return nil
	}
	if !s.text() {
		return nil
	}

	key := s.b[from:s.i]
	s.space()
	if s.peek() != ':' {
		s.fail("expected :")
		return nil
	}
	s.i++
	s.space()
	return key
}

// skip reads one value of any kind. It goes down into containers by a loop: n is how many
// of them it has opened.
func (s *scan) skip() bool {
	for n := 0; ; {
		switch c := s.peek(); c {
		case '"':
			if !s.text() {
				return false
			}
		case '{', '[':
			s.push(n, c == '{')
			n++
			s.i++
			s.enter()
			s.space()
			switch {
			case s.peek() == c+2: // } and ] stand two behind their openers
			case c == '[' || s.name() != nil:
				continue
			default:
				return false
			}
		case 't':
			if !s.literal("true") {
				return false
			}
		case 'f':
			if !s.literal("false") {
				return false
			}
		case 'n':
			if !s.literal("null") {
				return false
			}
		default:
			if !s.number() {
				return false
			}
		}
		// A value ends here: close the containers that end with it, and go on to the next value.
		for {
			if n == 0 {
				return true
			}
			s.space()

			c, object := s.peek(), s.kinds&1 == 1
			if c == ',' {
				s.i++
				s.space()
				if object && s.name() == nil {
					return false
				}
				break
			}
			if object && c != '}' {
				return s.fail("expected , or }")
			}
			if !object && c != ']' {
				return s.fail("expected , or ]")
			}

			s.i++
			s.depth--
			n--
			s.pop(n)
		}
	}
}

// push remembers whether the container that is opened, with n others open in skip, is an object.
func (s *scan) push(n int, object bool) {
	if n > 0 && n%64 == 0 {
		s.outer = append(s.outer, s.kinds)
	}
	s.kinds <<= 1
	if object {
		s.kinds |= 1
	}
}

// pop forgets the innermost container; n stay open in skip.
func (s *scan) pop(n int) {
	s.kinds >>= 1
	if n > 0 && n%64 == 0 {
		s.kinds = s.outer[len(s.outer)-1]
		s.outer = s.outer[:len(s.outer)-1]
	}
}

// literal reads one of the words of JSON.
func (s *scan) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("expected a value")
	}
	s.i += len(word)
	return true
}

// text reads a string.
func (s *scan) text() bool {
	b, i := s.b, s.i+1
	for {
		for i < len(b) && plain[b[i]] {
			i++
		}
		switch {
		case i == len(b):
			s.i = i
			return s.fail("a string that does not end")
		case b[i] == '"':
			s.i = i + 1
			return true
		case b[i] != '\\':
			s.i = i
			return s.fail("a control character in a string")
		}
		n := escape(b[i:])
		if n == 0 {
			s.i = i
			return s.fail("a bad escape in a string")
		}
		i += n
	}
}

// escape returns the length of the escape that b begins with, 0 for a bad one. Surrogates
// need not be paired: the grammar allows it, and the bytes are kept.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex(b[2]) && hex(b[3]) && hex(b[4]) && hex(b[5]) {
			return 6
		}
	}
	return 0
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// number reads a number.
func (s *scan) number() bool {
	if s.peek() == '-' {
		s.i++
	}
	switch c := s.peek(); {
	case c == '0':
		s.i++
	case '1' <= c && c <= '9':
		s.digits()
	default:
		return s.fail("expected a value")
	}

	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return s.fail("expected a digit")
		}
	}

	if s.peek()|0x20 == 'e' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.fail("expected a digit")
		}
	}
	return true
}

// digits reads digits, and reports whether there was one at least.
func (s *scan) digits() bool {
	from := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}
