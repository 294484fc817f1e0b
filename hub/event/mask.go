package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Masking says how much of its customers' phone numbers an event shows. The numbers of
// the maskings are stored.
type Masking uint8

// Partial keeps the first 3 and last 4 digits of a number of 10 digits or more, and the
// last 2 of a shorter one; the other digits become *, and what is no digit stays. Dropped
// empties the fields that are numbers, and leaves out the fields that may hold more about
// a person.
//
// Both also look for the numbers of these fields in the rest of the body: in strings and
// numbers, names, texts, URLs, JSON within strings, behind escapes and however the digits
// are separated. A number is recognised by its last 7 digits, since country codes,
// leading zeros and area codes come and go. A number of fewer than 7 digits is recognised
// only when it stands alone, and one of fewer than 5 not at all: every body contains it
// by chance.
const (
	Unmasked Masking = iota
	Partial
	Dropped
)

var maskings = [...]string{"none", "partial", "drop"}

func (m Masking) String() string { return maskings[m] }

// ParseMasking reads a masking's name.
func ParseMasking(s string) (Masking, bool) {
	i := slices.Index(maskings[:], s)
	return Masking(max(i, 0)), i >= 0
}

// keeps reports whether the i-th of n digits is shown.
func (m Masking) keeps(i, n int) bool {
	switch {
	case m == Dropped:
		return false
	case n >= 10:
		return i < 3 || i >= n-4
	}
	return i >= n-2
}

// Body returns the body of an event of type t with its customers' numbers masked. All
// other bytes stay; a JSON number that is masked becomes a string. The result may be body
// itself. For a body that is no JSON object it is {}.
func (m Masking) Body(t Type, body []byte) []byte { return m.BodyAndIDs(t, body) }

// BodyAndIDs is Body for somebody who may not see the numbers in the event's ids either,
// such as a callID that is a number: what Identifier masks in ids is masked in the body,
// too. Pushes keep their ids.
func (m Masking) BodyAndIDs(t Type, body []byte, ids ...string) []byte {
	if m == Unmasked {
		return body
	}
	mk := survey(m, t, body)
	if mk == nil {
		return []byte("{}")
	}
	for _, id := range ids {
		mk.rememberID(id)
	}
	return mk.rewrite()
}

// Number returns a text that is a customer's number, as a body of an event that has it
// would be masked.
func (m Masking) Number(number string) string {
	if m == Unmasked || number == "" {
		return number
	}
	type body struct {
		Number string `json:"customerNumber"`
	}
	raw, err := json.Marshal(body{number})
	if err != nil {
		return "" // a text always marshals
	}
	var masked body
	if json.Unmarshal(m.Body(CDRCall, raw), &masked) != nil {
		return ""
	}
	return masked.Number
}

// Text masks a text that is not the event itself, such as a receiver's answer to it: the
// numbers of the event, and everything else that has the form of a number of 7 digits or
// more, as nobody knows whose it is.
func (m Masking) Text(t Type, body, text []byte) []byte {
	if m == Unmasked {
		return text
	}
	mk := survey(m, t, body)
	if mk == nil {
		mk = &masker{Masking: m}
	}

	mk.body, mk.changes = text, nil
	u := mk.units(span{0, len(text)})
	mk.find(u, false)
	u, _ = fold(u)
	mk.find(u, false)

	// What remains may be numbers of anybody.
	for number := range unknownNumbers(u) {
		mk.hide(u, number)
	}

	mk.settle()
	return mk.copy(nil, span{0, len(text)})
}

// extra are the fields that Dropped leaves out.
var extra = map[string]bool{
	"attachedData": true, "userData": true, "dialogue": true, "variablesCollectedDuringCall": true,
	"encryptCustomerNumber": true,
}

// Bounds that no honest body comes near, so that no body costs more than its size. A
// number beyond them is masked in its own field and not looked for elsewhere.
const (
	maxNumbers = 16 // customers' numbers in one body
	maxParting = 8  // characters between two digits of one number
	maxDigits  = 40 // digits of one number
	maxNested  = 8  // levels of JSON within strings
	maxEscaped = 4  // times that a text is escaped
)

// masker masks one body.
type masker struct {
	Masking
	body    []byte
	members []member
	numbers []string // digits of the customers' numbers that can be looked for
	changes []change
	buf     []unit
}

// member is a member of the body.
type member struct {
	name     string
	key      span // with its quotes
	value    span
	customer bool // its value is a customer's number
	counted  bool // a time or a count, which has the digits of a number only by chance
}

// change replaces some bytes of the body.
type change struct {
	span
	by string
}

// survey finds the members of a body, and which of them are customers' numbers. It masks
// those at once. It returns nil for a body that is no JSON object.
func survey(m Masking, t Type, body []byte) *masker {
	mk := &masker{Masking: m, body: body, members: make([]member, 0, 32)}
	s := scan{b: body}
	s.space()
	if s.peek() != '{' {
		return nil
	}
	var known map[string]*field
	if 0 < t && t < end {
		known = bodies[t].fields
	}

	s.open()
	for start := true; ; start = false {
		at := s.i
		key := s.key(start)
		if key == nil {
			break
		}
		for body[at] != '"' { // past what separates members
			at++
		}
		from := s.i
		if !s.skip() {
			break
		}

		mb := member{name: nameOf(key), key: span{at, at + len(key)}, value: span{from, s.i}}
		if f := known[mb.name]; f != nil {
			mb.counted = f.kind == integer || f.kind == instant || f.kind == count
		}
		mk.members = append(mk.members, mb)
	}

	if s.space(); s.bad != "" || s.i < len(body) {
		return nil
	}

	// The fields that are customers' numbers first: the others are searched for the same numbers.
	mk.tellSides(t)
	for i := range mk.members {
		if mk.members[i].customer {
			mk.own(mk.members[i].value)
		}
	}
	return mk
}

// nameOf returns the name of a member by its key as it stands in the body.
func nameOf(key []byte) string {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1 : len(key)-1])
	}
	return unescape(key)
}

// tellSides decides which numbers are a customer's; in doubt a number is. callType says
// who called whom: in an inbound call the caller is the customer. In a call event
// partyRole says whose view it is: otherDN is a customer only if somebody else sees it.
func (m *masker) tellSides(t Type) {
	var (
		direction, _ = ParseDirection(m.text("callType"))
		role         = m.text("partyRole")
		outside      = role == "Customer" || role == "ThirdPSTN" // thisDN is not a line of the tenant
		ours         = []string{digitsOf(m.text("gatewayNumber"))}
		theirs       string
	)

	switch direction {
	case Inbound:
		ours, theirs = append(ours, digitsOf(m.text("DNIS"))), digitsOf(m.text("ANI"))
	case Outbound:
		ours, theirs = append(ours, digitsOf(m.text("ANI"))), digitsOf(m.text("DNIS"))
	}
	if !outside {
		ours = append(ours, digitsOf(m.text("thisDN")))
	}

	for i := range m.members {
		mb := &m.members[i]
		if mb.name == "customerNumber" {
			mb.customer = true
			continue
		}

		digits := digitsOf(textOf(m.body[mb.value.from:mb.value.to]))
		own := digits != "" && digits != theirs && slices.Contains(ours, digits)
		extension := digits != "" && len(digits) < 6 && digits != theirs

		switch mb.name {
		case "screenNumber":
			mb.customer = !own
		case "thisDN":
			mb.customer = outside && direction != Internal
		case "callerNumber":
			mb.customer = !own && (direction == Inbound || direction == 0)
		case "calleeNumber":
			mb.customer = !own && (direction == Outbound || direction == 0)
		case "ANI":
			mb.customer = !own && (direction == Inbound || direction == 0 || direction == Consult && !extension)
		case "DNIS":
			if t == CDRParty || t == CDRBotParty { // in these it is where the agent is reached
				mb.customer = m.text("agentRole") == "4"
				break
			}
			mb.customer = !own && (direction == Outbound || direction == 0 || direction == Consult && !extension)
		case "otherDN", "thirdDN":
			ext := extension && (theirs != "" || direction == Consult)
			mb.customer = !own && !ext && direction != Internal && (mb.name == "thirdDN" || role != "Customer")
		}
	}
}

// text returns the text of a member; "" when the member is absent or no text.
func (m *masker) text(name string) (text string) {
	for _, mb := range m.members {
		if mb.name == name {
			text = textOf(m.body[mb.value.from:mb.value.to])
		}
	}
	return text
}

// own masks a value that is a customer's number by its field, and remembers the number.
func (m *masker) own(value span) {
	before := len(m.changes)
	walk(m.units(value), 0, func(tok []unit, isText bool, _ int) {
		u, _ := fold(tok)
		hidden := len(m.changes)
		for st := range stretches(u, true, isWrittenInNumbers) {
			m.remember(u, st)
			for run := range runs(st) { // the field may hold two numbers, or a country code and a number
				m.remember(u, run)
			}
			m.remember(u, withoutExtension(st))
			m.hide(u, st)
		}
		if !isText {
			m.quote(tok, hidden, 0)
		}
	})

	if m.Masking == Dropped && m.body[value.from] != 'n' {
		m.changes = append(m.changes[:before], change{value, `""`})
	}
}

// hide masks the number that stands at the places st.
func (m *masker) hide(u []unit, st []int) {
	for i, x := range st {
		if !m.keeps(i, len(st)) && digitOf(u[x].r) >= 0 {
			m.changes = append(m.changes, change{u[x].span, "*"})
		}
	}
}

// remember adds a number to those that are looked for elsewhere.
func (m *masker) remember(u []unit, st []int) {
	if len(st) < 5 || len(st) > maxDigits || len(m.numbers) == maxNumbers {
		return
	}

	digits := make([]byte, len(st))
	for i, x := range st {
		d := digitOf(u[x].r)
		if d < 0 { // a * of the sender, who masked it already
			return
		}
		digits[i] = byte('0' + d)
	}

	if !slices.Contains(m.numbers, string(digits)) {
		m.numbers = append(m.numbers, string(digits))
	}
}

// rewrite returns the masked body.
func (m *masker) rewrite() []byte {
	// Look for the customers' numbers in all other members.
	if len(m.numbers) > 0 {
		for _, mb := range m.members {
			if !mb.customer && (m.Masking != Dropped || !extra[mb.name]) {
				m.search(mb.key, false)
				m.search(mb.value, mb.counted)
			}
		}
	}

	m.settle()
	if len(m.changes) == 0 && m.Masking != Dropped {
		return m.body
	}
	if len(m.members) == 0 {
		return m.body
	}

	// Put the members together again, without those that Dropped leaves out.

	out := make([]byte, 0, len(m.body)+16)
	out = append(out, m.body[:m.members[0].key.from]...)
	empty := true
	for i, mb := range m.members {
		if m.Masking == Dropped && extra[mb.name] {
			continue
		}
		if !empty { // with what separates it from the member before
			out = append(out, m.body[m.members[i-1].value.to:mb.key.from]...)
		}
		out = m.copy(out, span{mb.key.from, mb.value.to})
		empty = false
	}

	return append(out, m.body[m.members[len(m.members)-1].value.to:]...)
}

// settle sorts the changes and joins those that overlap.
func (m *masker) settle() {
	slices.SortFunc(m.changes, func(a, b change) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	one := m.changes[:0]
	for _, c := range m.changes {
		if n := len(one); n > 0 && c.from < one[n-1].to {
			one[n-1].to = max(one[n-1].to, c.to)
			continue
		}
		one = append(one, c)
	}
	m.changes = one
}

// copy appends a part of the body with its changes. Parts must come in order.
func (m *masker) copy(out []byte, part span) []byte {
	at := part.from
	for len(m.changes) > 0 && m.changes[0].from < part.to {
		c := m.changes[0]
		m.changes = m.changes[1:]
		if c.from < at { // it belongs to a part that was left out
			continue
		}
		out = append(append(out, m.body[at:c.from]...), c.by...)
		at = c.to
	}
	return append(out, m.body[at:part.to]...)
}

// search looks for the customers' numbers in a part of the body.
func (m *masker) search(part span, counted bool) {
	digits := 0
	for _, c := range m.body[part.from:part.to] {
		if '0' <= c && c <= '9' || c >= utf8.RuneSelf {
			digits++
		}
	}

	if digits >= 5 {
		m.searchJSON(m.units(part), 0, counted)
	}
}

// searchJSON looks for the customers' numbers in JSON, also in JSON within its strings.
func (m *masker) searchJSON(u []unit, depth int, counted bool) {
	walk(u, depth, func(tok []unit, isText bool, depth int) {
		hidden := len(m.changes)
		switch {
		case !isText:
			m.find(tok, counted)
			m.quote(tok, hidden, depth)
		case depth < maxNested && isJSON(tok):
			m.searchJSON(tok, depth+1, false)
		default:
			m.find(tok, counted)
			if f, folded := fold(tok); folded {
				m.find(f, counted)
			}
		}
	})
}

// find masks the customers' numbers in a text. In a counted integer it masks a number
// only if the integer has all its digits.
func (m *masker) find(u []unit, counted bool) {
	var digits []byte
	for st := range stretches(u, false, mayPart) {
		if len(st) < 5 {
			continue
		}
		var hidden []bool
		digits = digits[:0]
		for _, x := range st {
			digits = append(digits, byte('0'+digitOf(u[x].r)))
		}

		for _, n := range m.numbers {
			tail := n[max(0, len(n)-knownBy):]
			if counted {
				tail = n
			}
			for from := 0; ; from++ {
				at := bytes.Index(digits[from:], []byte(tail))
				if at < 0 {
					break
				}

				from += at
				// A short number, or one in a counted integer, is there by chance unless nothing but
				// it stands there.
				alone := (from == 0 || st[from]-st[from-1] > 1) &&
					(from+len(tail) == len(st) || st[from+len(tail)]-st[from+len(tail)-1] > 1)
				if len(n) < 7 && (!alone || counted) || counted && len(n) < 10 && len(digits) > len(n) {
					continue
				}

				if hidden == nil {
					hidden = make([]bool, len(st))
				}
				// Hide as much of the number as stands here, from its end.
				for i, x := len(n)-1, from+len(tail)-1; i >= 0 && x >= 0 && digits[x] == n[i]; i, x = i-1, x-1 {
					hidden[x] = hidden[x] || !m.keeps(i, len(n))
				}
			}
		}

		for x, hide := range hidden {
			if hide {
				m.changes = append(m.changes, change{u[st[x]].span, "*"})
			}
		}
	}
}

// runs returns the parts of a stretch that have 7 digits or more and nothing in between.
func runs(st []int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for from, i := 0, 1; i <= len(st); i++ {
			if i < len(st) && st[i] == st[i-1]+1 {
				continue
			}
			if i-from >= 7 && !yield(st[from:i]) {
				return
			}
			from = i
		}
	}
}

// quote makes one change of the changes of a number's token, so that the token becomes a
// string. depth is how many strings it is within.
func (m *masker) quote(tok []unit, hidden, depth int) {
	of := m.changes[hidden:]
	if len(of) == 0 {
		return
	}

	stars := make(map[int]bool, len(of))
	for _, c := range of {
		stars[c.from] = true
	}

	by := make([]byte, 0, len(tok)+8)
	quote := `"`
	for range depth {
		quote = escapeText.Replace(quote)
	}

	by = append(by, quote...)
	for _, x := range tok {
		if stars[x.from] {
			x.r = '*'
		}
		by = append(by, byte(x.r)) // the characters of a number are ASCII
	}
	by = append(by, quote...)
	m.changes = append(m.changes[:hidden], change{span{tok[0].from, tok[len(tok)-1].to}, string(by)})
}

var escapeText = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// unit is a character and the bytes of the body that stand for it, which are more than
// its own when it is escaped.
type unit struct {
	span
	r rune
}

// units returns the characters of a part of the body, with escapes as they are.
func (m *masker) units(part span) []unit {
	u := m.buf[:0]
	for i := part.from; i < part.to; {
		r, n := utf8.DecodeRune(m.body[i:part.to])
		u = append(u, unit{span{i, i + n}, r})
		i += n
	}
	m.buf = u
	return u
}

// walk calls each for the strings and numbers of JSON. Strings come without quotes and
// escapes.
func walk(u []unit, depth int, each func(tok []unit, isText bool, depth int)) {
	for i := 0; i < len(u); i++ {
		from := i
		switch r := u[i].r; {
		case r == '"':
			for i++; u[i].r != '"'; i++ {
				if u[i].r == '\\' {
					i++
				}
			}
			each(decode(u[from+1:i]), true, depth)
		case r == '-' || '0' <= r && r <= '9':
			for i+1 < len(u) && u[i+1].r < utf8.RuneSelf && strings.IndexByte("0123456789+-.eE", byte(u[i+1].r)) >= 0 {
				i++
			}
			each(u[from:i+1], false, depth)
		}
	}
}

// isJSON reports whether a text is an object or an array.
func isJSON(u []unit) bool {
	for len(u) > 0 && u[0].r <= ' ' {
		u = u[1:]
	}
	if len(u) == 0 || u[0].r != '{' && u[0].r != '[' {
		return false
	}

	b := make([]byte, 0, len(u))
	for _, x := range u {
		b = utf8.AppendRune(b, x.r)
	}

	s := scan{b: b}
	if !s.skip() {
		return false
	}
	s.space()
	return s.i == len(b)
}

// decode resolves the escapes of the inside of a string.
func decode(u []unit) []unit {
	if !slices.ContainsFunc(u, func(x unit) bool { return x.r == '\\' }) {
		return u
	}

	out := make([]unit, 0, len(u))
	for i := 0; i < len(u); i++ {
		x := u[i]
		if x.r == '\\' {
			switch i++; u[i].r {
			case 't':
				x.r = '\t'
			case 'b', 'f', 'n', 'r':
				x.r = '\n'
			case 'u':
				x.r, _ = hexRune(u[i+1:], 4)
				i += 4
			default:
				x.r = u[i].r
			}
			x.to = u[i].to
		}
		out = append(out, x)
	}
	return out
}

// fold resolves escapes that are left in a text, such as \u0031 and %31. It returns false
// if there was none.
func fold(u []unit) ([]unit, bool) {
	folded := false
	for range maxEscaped {
		if !slices.ContainsFunc(u, func(x unit) bool { return x.r == '\\' || x.r == '%' }) {
			break
		}

		out := make([]unit, 0, len(u))
		before := len(u)
		for i := 0; i < len(u); i++ {
			x := u[i]
			if x.r == 'u' && i > 0 && u[i-1].r == '\\' {
				if r, ok := hexRune(u[i+1:], 4); ok {
					for len(out) > 0 && out[len(out)-1].r == '\\' {
						x.from = out[len(out)-1].from
						out = out[:len(out)-1]
					}
					x.r, x.to = r, u[i+4].to
					i += 4
				}
			} else if x.r == '%' {
				if r, ok := hexRune(u[i+1:], 2); ok {
					x.r, x.to = r, u[i+2].to
					i += 2
				}
			}
			out = append(out, x)
		}

		if len(out) == before {
			break
		}
		u, folded = out, true
	}
	return u, folded
}

// hexRune returns the character whose number is the first n hex digits of u.
func hexRune(u []unit, n int) (r rune, ok bool) {
	if len(u) < n {
		return 0, false
	}
	for _, x := range u[:n] {
		if x.r >= utf8.RuneSelf || !hex(byte(x.r)) {
			return 0, false
		}
		d := x.r | 0x20 - '0'
		if d > 9 {
			d = x.r | 0x20 - 'a' + 10
		}
		r = r<<4 | d
	}
	return r, true
}

// zeros are the digits 0 of the other scripts in which phone numbers are written.
var zeros = [...]rune{'\u0660', '\u06F0', '\u0966', '\uFF10'}

// digitOf returns the digit that a character is, or -1.
func digitOf(r rune) int {
	if r < utf8.RuneSelf {
		if '0' <= r && r <= '9' {
			return int(r - '0')
		}
		return -1
	}

	for _, zero := range zeros {
		if zero <= r && r <= zero+9 {
			return int(r - zero)
		}
	}
	return -1
}

// stretches finds what may be numbers in a text, as the places of their digits. Between
// two digits there may be up to maxParting characters that parts accepts. If starred is
// true, * counts as a digit that somebody else masked.
func stretches(u []unit, starred bool, parts func(rune) bool) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var st []int
		for i, x := range u {
			if digitOf(x.r) >= 0 || starred && x.r == '*' {
				if n := len(st); n > 0 && i-st[n-1] > maxParting+1 {
					if !yield(st) {
						return
					}
					st = st[:0]
				}
				st = append(st, i)
				continue
			}
			if len(st) > 0 && !parts(x.r) {
				if !yield(st) {
					return
				}
				st = st[:0]
			}
		}
		if len(st) > 0 {
			yield(st)
		}
	}
}

// digitsOf returns the digits of a text.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if d := digitOf(r); d >= 0 {
			return rune('0' + d)
		}
		return -1
	}, s)
}
