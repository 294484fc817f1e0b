package event

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Masking says how much of its customers' phone numbers an event shows. The
// numbers are stored.
type Masking uint8

// Maskings. Partial keeps the first 3 and last 4 digits of 10 or more, else the
// last 2, and writes * for the others; what is no digit stays. Dropped empties
// the fields, and leaves out those that may hold more of a person.
//
// Both look for the numbers of these fields in all the rest of the body too: in
// strings and numbers, names, texts, URLs, JSON within strings, behind escapes
// and however its digits are parted. A number is known there by its last 7
// digits, since country codes, leading zeros and area codes come and go; one of
// fewer than 7 only when it stands alone, and one of fewer than 5 not at all: it
// is to be found in every body by chance.
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

// keeps says whether the i-th of n digits is shown.
func (m Masking) keeps(i, n int) bool {
	switch {
	case m == Dropped:
		return false
	case n >= 10:
		return i < 3 || i >= n-4
	}
	return i >= n-2
}

// Body is the body of an event of type t with its customers' numbers masked.
// All else keeps its bytes; a JSON number that is masked becomes a string. The
// result may be body itself. Of what is no JSON object nothing is shown: {}.
func (m Masking) Body(t Type, body []byte) []byte { return m.BodyAndIDs(t, body) }

// BodyAndIDs is Body for somebody who may not see the numbers in the event's ids
// either, such as a callID that is a number: those that Identifier masks in ids
// are masked in the body, too. What is pushed keeps its ids.
func (m Masking) BodyAndIDs(t Type, body []byte, ids ...string) []byte {
	if m == Unmasked {
		return body
	}
	k := survey(m, t, body)
	if k == nil {
		return []byte("{}")
	}
	for _, id := range ids {
		k.rememberID(id)
	}
	return k.rewrite()
}

// Text is something that is not the event itself, such as a receiver's answer
// to it, with the numbers of the event masked, and with everything else that has
// the form of a number of 7 digits or more: whose it is nobody knows.
func (m Masking) Text(t Type, body, text []byte) []byte {
	if m == Unmasked {
		return text
	}
	k := survey(m, t, body)
	if k == nil {
		k = &masker{Masking: m}
	}
	k.body, k.changes = text, nil
	u := k.units(span{0, len(text)})
	k.find(u, false)
	u, _ = fold(u)
	k.find(u, false)
	for number := range unknownNumbers(u) {
		k.hide(u, number)
	}
	k.settle()
	return k.copy(nil, span{0, len(text)})
}

// extra is what Dropped leaves out.
var extra = map[string]bool{
	"attachedData": true, "userData": true, "dialogue": true, "variablesCollectedDuringCall": true, "encryptCustomerNumber": true,
}

// Bounds that no honest body comes near, so that none costs more than its
// size: what is beyond them is masked where it stands and not looked for.
const (
	maxNumbers = 16 // of the customers, in one body
	maxParting = 8  // characters between two digits of one number
	maxDigits  = 40 // of one
	maxNested  = 8  // JSON in strings in JSON
	maxEscaped = 4  // how often
)

// masker masks one body.
type masker struct {
	Masking
	body    []byte
	members []member
	numbers []string // digits of the customers' numbers, those that can be looked for
	changes []change
	buf     []unit
}

// member of the body.
type member struct {
	name     string
	key      span // with its quotes
	value    span
	customer bool // its value is a customer's number
	counted  bool // an integer that the hub knows: it has digits of a number by chance
}

// change of some bytes of the body.
type change struct {
	span
	by string
}

// survey finds the members of a body and which of them are customers' numbers;
// those are masked at once. nil: the body is no JSON object.
func survey(m Masking, t Type, body []byte) *masker {
	k := &masker{Masking: m, body: body, members: make([]member, 0, 32)}
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
		k.members = append(k.members, mb)
	}
	if s.space(); s.bad != "" || s.i < len(body) {
		return nil
	}
	k.tellSides(t)
	for i := range k.members {
		if k.members[i].customer {
			k.own(k.members[i].value)
		}
	}
	return k
}

// nameOf a member, by its key as it stands in the body.
func nameOf(key []byte) string {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1 : len(key)-1])
	}
	return unescape(key)
}

// tellSides decides which numbers are a customer's. A record tells by callType:
// inbound it is the caller. In a call event partyRole tells whose view it is:
// otherDN is a customer only as somebody else sees it. In doubt it is one.
func (k *masker) tellSides(t Type) {
	var (
		direction, _ = ParseDirection(k.text("callType"))
		role         = k.text("partyRole")
		outside      = role == "Customer" || role == "ThirdPSTN" // thisDN is a line of the outside
		ours         = []string{digitsOf(k.text("gatewayNumber"))}
		theirs       string
	)
	switch direction {
	case Inbound:
		ours, theirs = append(ours, digitsOf(k.text("DNIS"))), digitsOf(k.text("ANI"))
	case Outbound:
		ours, theirs = append(ours, digitsOf(k.text("ANI"))), digitsOf(k.text("DNIS"))
	}
	if !outside {
		ours = append(ours, digitsOf(k.text("thisDN")))
	}
	for i := range k.members {
		mb := &k.members[i]
		if mb.name == "customerNumber" {
			mb.customer = true
			continue
		}
		digits := digitsOf(textOf(k.body[mb.value.from:mb.value.to]))
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
			if t == CDRParty || t == CDRBotParty { // there, where the agent is reached
				mb.customer = k.text("agentRole") == "4"
				break
			}
			mb.customer = !own && (direction == Outbound || direction == 0 || direction == Consult && !extension)
		case "otherDN", "thirdDN":
			ext := extension && (theirs != "" || direction == Consult)
			mb.customer = !own && !ext && direction != Internal && (mb.name == "thirdDN" || role != "Customer")
		}
	}
}

// text of a member; "" when it is not there or none.
func (k *masker) text(name string) (text string) {
	for _, mb := range k.members {
		if mb.name == name {
			text = textOf(k.body[mb.value.from:mb.value.to])
		}
	}
	return text
}

// own masks a value that is a customer's number by its place, and remembers
// the number.
func (k *masker) own(value span) {
	before := len(k.changes)
	walk(k.units(value), 0, func(tok []unit, isText bool, _ int) {
		u, _ := fold(tok)
		hidden := len(k.changes)
		for st := range stretches(u, true, isWrittenInNumbers) {
			k.remember(u, st)
			for run := range runs(st) { // it may be two numbers, or one and its country
				k.remember(u, run)
			}
			k.remember(u, withoutExtension(st))
			k.hide(u, st)
		}
		if !isText {
			k.quote(tok, hidden, 0)
		}
	})
	if k.Masking == Dropped && k.body[value.from] != 'n' {
		k.changes = append(k.changes[:before], change{value, `""`})
	}
}

// hide what is not to be seen of a number that stands at the places st.
func (k *masker) hide(u []unit, st []int) {
	for i, x := range st {
		if !k.keeps(i, len(st)) && digitOf(u[x].r) >= 0 {
			k.changes = append(k.changes, change{u[x].span, "*"})
		}
	}
}

// remember a number that can be looked for elsewhere.
func (k *masker) remember(u []unit, st []int) {
	if len(st) < 5 || len(st) > maxDigits || len(k.numbers) == maxNumbers {
		return
	}
	digits := make([]byte, len(st))
	for i, x := range st {
		d := digitOf(u[x].r)
		if d < 0 { // whoever sent it masked it
			return
		}
		digits[i] = byte('0' + d)
	}
	if !slices.Contains(k.numbers, string(digits)) {
		k.numbers = append(k.numbers, string(digits))
	}
}

// rewrite makes the masked body.
func (k *masker) rewrite() []byte {
	if len(k.numbers) > 0 {
		for _, mb := range k.members {
			if !mb.customer && (k.Masking != Dropped || !extra[mb.name]) {
				k.search(mb.key, false)
				k.search(mb.value, mb.counted)
			}
		}
	}
	k.settle()
	if len(k.changes) == 0 && k.Masking != Dropped {
		return k.body
	}
	if len(k.members) == 0 {
		return k.body
	}
	out := make([]byte, 0, len(k.body)+16)
	out = append(out, k.body[:k.members[0].key.from]...)
	empty := true
	for i, mb := range k.members {
		if k.Masking == Dropped && extra[mb.name] {
			continue
		}
		if !empty { // with what separated it from the one before
			out = append(out, k.body[k.members[i-1].value.to:mb.key.from]...)
		}
		out = k.copy(out, span{mb.key.from, mb.value.to})
		empty = false
	}
	return append(out, k.body[k.members[len(k.members)-1].value.to:]...)
}

// settle puts the changes in order, those of the same bytes into one.
func (k *masker) settle() {
	slices.SortFunc(k.changes, func(a, b change) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	one := k.changes[:0]
	for _, c := range k.changes {
		if n := len(one); n > 0 && c.from < one[n-1].to {
			one[n-1].to = max(one[n-1].to, c.to)
			continue
		}
		one = append(one, c)
	}
	k.changes = one
}

// copy appends a part of the body with its changes; parts come in order.
func (k *masker) copy(out []byte, part span) []byte {
	at := part.from
	for len(k.changes) > 0 && k.changes[0].from < part.to {
		c := k.changes[0]
		k.changes = k.changes[1:]
		if c.from < at { // of a part that was left out
			continue
		}
		out = append(append(out, k.body[at:c.from]...), c.by...)
		at = c.to
	}
	return append(out, k.body[at:part.to]...)
}

// search a part of the body for the numbers that are known.
func (k *masker) search(part span, counted bool) {
	some := 0
	for _, c := range k.body[part.from:part.to] {
		if '0' <= c && c <= '9' || c >= utf8.RuneSelf {
			some++
		}
	}
	if some >= 5 {
		k.searchJSON(k.units(part), 0, counted)
	}
}

func (k *masker) searchJSON(u []unit, depth int, counted bool) {
	walk(u, depth, func(tok []unit, isText bool, depth int) {
		hidden := len(k.changes)
		switch {
		case !isText:
			k.find(tok, counted)
			k.quote(tok, hidden, depth)
		case depth < maxNested && isJSON(tok):
			k.searchJSON(tok, depth+1, false)
		default:
			k.find(tok, counted)
			if f, folded := fold(tok); folded {
				k.find(f, counted)
			}
		}
	})
}

// find the numbers that are known in a text. Of a counted integer only the
// whole number makes one.
func (k *masker) find(u []unit, counted bool) {
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
		for _, n := range k.numbers {
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
				alone := (from == 0 || st[from]-st[from-1] > 1) && (from+len(tail) == len(st) || st[from+len(tail)]-st[from+len(tail)-1] > 1)
				if len(n) < 7 && (!alone || counted) || counted && len(n) < 10 && len(digits) > len(n) {
					continue
				}
				if hidden == nil {
					hidden = make([]bool, len(st))
				}
				// As much of it as is there, from its end.
				for i, x := len(n)-1, from+len(tail)-1; i >= 0 && x >= 0 && digits[x] == n[i]; i, x = i-1, x-1 {
					hidden[x] = hidden[x] || !k.keeps(i, len(n))
				}
			}
		}
		for x, hide := range hidden {
			if hide {
				k.changes = append(k.changes, change{u[st[x]].span, "*"})
			}
		}
	}
}

// runs are the parts of a stretch with 7 digits or more and nothing in between.
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

// quote makes one change of those of a number's token, so that it becomes a
// string; depth: how many strings it is within.
func (k *masker) quote(tok []unit, hidden, depth int) {
	of := k.changes[hidden:]
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
		by = append(by, byte(x.r)) // a number's are ASCII
	}
	by = append(by, quote...)
	k.changes = append(k.changes[:hidden], change{span{tok[0].from, tok[len(tok)-1].to}, string(by)})
}

var escapeText = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// unit is a character and the bytes of the body that stand for it: more than
// its own when it is escaped.
type unit struct {
	span
	r rune
}

// units of a part of the body, escapes left as they are.
func (k *masker) units(part span) []unit {
	u := k.buf[:0]
	for i := part.from; i < part.to; {
		r, n := utf8.DecodeRune(k.body[i:part.to])
		u = append(u, unit{span{i, i + n}, r})
		i += n
	}
	k.buf = u
	return u
}

// walk calls each for the strings and numbers of JSON, strings without their
// quotes and escapes.
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

// isJSON says whether a text is an object or an array.
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

// decode takes the escapes out of a string's inside.
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

// fold reads what is still escaped in a text, as \u0031 or %31. false: nothing was.
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

// hexRune is the character with the number that u begins with, in n hex digits.
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

// digitOf a character, -1 when it is none.
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

// stretches are the numbers that may stand in a text, as the places of their
// digits, with up to maxParting characters in between that parts accepts.
// starred: * counts as a digit that somebody else masked.
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

// digitsOf a text, nothing else.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if d := digitOf(r); d >= 0 {
			return rune('0' + d)
		}
		return -1
	}, s)
}
