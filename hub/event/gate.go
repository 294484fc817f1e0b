package event

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of one event as it comes in.
const (
	MaxSize  = 256 << 10 // bytes, the envelope included
	MaxDepth = 32        // objects and arrays within each other
	maxID    = 128       // bytes of a sender's id

	maxFields = 128 // known fields of one body: pass.ticks has a bit for each
)

// Gate turns outside bytes into events, or says what is wrong with them. It reads each
// byte once, refuses only what it cannot read or take for one thing, and warns of odd
// values. A gate is made for each caller and costs nothing to make.
type Gate struct {
	CompanyID string           // of the caller; a body that names another is refused
	Strict    bool             // odd values are refused, too
	Internal  bool             // the caller is the hub itself, whose own types may pass
	Type      Type             // of all items, as their routing key says; 0: each item says its own. For Any and Read
	Now       func() time.Time // nil: time.Now. It is asked only for bodies without any time
}

// Item is what the gate made of one item of a request.
type Item struct {
	ID      string   // as the sender gave it; "" when it is missing or refused
	Event   *Event   // nil: the item is refused
	Problem *Problem // why it is refused; nil: it passed
}

// Envelope reads {"id", "type", "time", "data"}. The type may be a messageID.
func (g Gate) Envelope(raw []byte) (*Event, *Problem) { return g.single(raw, asEnvelope, 0) }

// Bare reads the body of an event of type t.
func (g Gate) Bare(t Type, raw []byte) (*Event, *Problem) { return g.single(raw, asBody, t) }

// Any reads an envelope, or a bare body that says what it is by messageID, or a CDR
// without messageID: one with partyId and callID is a party CDR, one with callID and
// callResult or endTime a main CDR.
func (g Gate) Any(raw []byte) (*Event, *Problem) { return g.single(raw, asAny, 0) }

// Read reads the items of a JSON text, which is an array of events or one event, and
// appends the results to dst. It reads each item as Bare does when t is given, and
// otherwise as Any does. The second result says why the text as a whole is refused: it
// is broken, or an array that is empty or longer than most. Nothing in the items refers
// to raw.
func (g Gate) Read(dst []Item, t Type, raw []byte, most int) ([]Item, *Problem) {
	f := asAny
	if t != 0 {
		f = asBody
	}

	p := begin(raw)
	defer p.end()
	p.space()

	if p.peek() != '[' {
		return append(dst, g.alone(p, f, t)), nil
	}

	p.i++
	from := len(dst)
	for p.element(len(dst) == from) {
		if len(dst)-from == most {
			return dst[:from], &Problem{Code: "too_many", Message: "more than " + strconv.Itoa(most) + " events", Status: 413}
		}
		it := g.item(p, f, t)
		if p.bad != "" {
			break
		}
		dst = append(dst, it)
	}

	p.rest()
	switch {
	case p.bad != "":
		return dst[:from], p.malformed()
	case len(dst) == from:
		return dst, &Problem{Code: "empty", Message: "no events", Status: 400}
	}
	return dst, nil
}

// Line reads one event as an item: as Bare does when t is given, else as Any does.
func (g Gate) Line(t Type, raw []byte) Item {
	f := asAny
	if t != 0 {
		f = asBody
	}
	p := begin(raw)
	defer p.end()
	p.space()
	return g.alone(p, f, t)
}

func (g Gate) single(raw []byte, f form, t Type) (*Event, *Problem) {
	p := begin(raw)
	defer p.end()
	p.space()
	it := g.alone(p, f, t)
	return it.Event, it.Problem
}

// alone reads an item that must be the whole text.
func (g Gate) alone(p *pass, f form, t Type) Item {
	it := g.item(p, f, t)
	p.rest()
	if p.bad != "" {
		return Item{ID: it.ID, Problem: p.malformed()}
	}
	return it
}

// form says how an item is to be read.
type form uint8

const (
	asAny form = iota
	asEnvelope
	asBody
)

// value is the value of a field that the gate itself needs.
type value struct {
	text []byte // trimmed and decoded, of texts
	n    int64  // of integers and times
	set  bool
}

// pass is the state of reading one text. It is pooled: nothing of it may stay
// in an event.
type pass struct {
	scan

	// What follows is about the item that is being read.
	id       []byte // as given, checked
	time     int64  // of the envelope; 0: the envelope has no time
	typ      Type
	at       string // JSON pointer to the body
	vals     [slots]value
	ticks    [maxFields / 64]uint64 // fields seen
	latest   int64                  // greatest time in the body
	from, to int                    // the body within b
	cut      [2]span                // absent values to be replaced: companyId, messageID; empty: nothing to replace
	problem  *Problem               // the first one
	warnings []Problem
}

// span is a part of the text; to is 0 for no part.
type span struct{ from, to int }

var passes = sync.Pool{New: func() any { return new(pass) }}

func begin(raw []byte) *pass {
	p := passes.Get().(*pass)
	p.b = raw
	return p
}

// end gives the pass back to the pool.
func (p *pass) end() {
	sum := p.sum
	if cap(sum) > 2*MaxSize {
		sum = nil
	}
	*p = pass{scan: scan{sum: sum[:0]}}
	passes.Put(p)
}

// refuse notes a problem of a field. Only the first problem counts.
func (p *pass) refuse(code, name, message string) {
	if p.problem == nil {
		p.problem = &Problem{Code: code, Message: message, Field: p.at + "/" + name, Status: 422}
	}
}

// warn notes that the value of a field is odd.
func (p *pass) warn(code, name, message string) {
	p.warnings = append(p.warnings, Problem{Code: code, Message: message, Field: p.at + "/" + name, Status: 422})
}

func (p *pass) malformed() *Problem {
	return &Problem{Code: "malformed_json", Message: "not JSON at byte " + strconv.Itoa(p.i) + ": " + p.bad, Status: 400}
}

// rest notes a problem if anything follows the value that the text should be.
func (p *pass) rest() {
	if p.space(); p.bad == "" && p.i < len(p.b) {
		p.fail("more follows; several events go as an array or as application/x-ndjson")
	}
}

// item reads the item that begins at p.i. It reads to the end of the item even when it
// refuses it, so that the next item can be read. It leaves p.bad set when the item is
// not JSON.
func (g Gate) item(p *pass, f form, t Type) Item {
	from := p.i
	p.reset()

	switch {
	case p.peek() != '{':
		if p.skip() {
			p.problem = &Problem{Code: "wrong_type", Message: "an event must be an object", Status: 422}
		}
	case f == asEnvelope:
		g.envelope(p)
	case f == asBody:
		g.body(p, t, "")
	default:
		g.any(p)
	}

	if p.bad != "" {
		return Item{}
	}

	it := Item{ID: string(p.id)}
	raw := p.b[from:p.i]
	switch {
	case len(raw) > MaxSize:
		it.Problem = &Problem{
			Code: "too_large", Message: fmt.Sprintf("an event has at most %d bytes, this one has %d", MaxSize, len(raw)),
			Status: 413,
		}
	case !utf8.Valid(raw):
		it.Problem = &Problem{Code: "invalid_utf8", Message: "not UTF-8", Status: 400}
	case p.deepest > MaxDepth:
		it.Problem = &Problem{
			Code: "too_deep", Message: "more than " + strconv.Itoa(MaxDepth) + " objects and arrays within each other",
			Status: 422,
		}
	case p.problem != nil:
		it.Problem = p.problem
	default:
		it.Event, it.Problem = g.event(p, it.ID)
	}
	return it
}

func (p *pass) reset() {
	p.depth, p.deepest = 0, 0
	p.id, p.time, p.typ, p.at = nil, 0, 0, ""
	p.problem, p.warnings = nil, nil
}

// any decides what the object at p.i is, and reads it.
func (g Gate) any(p *pass) {
	const (
		hasType = 1 << iota
		hasData
		hasCall
		hasParty
		hasOutcome
	)
	var (
		seen    int
		message []byte
		start   = p.scan
	)

	// Look at the keys first. Most senders write type before data, and then this ends before the body.
	p.open()
	for first := true; seen&(hasType|hasData) != hasType|hasData; first = false {
		key := p.key(first)
		if key == nil {
			break
		}
		if p.peek() == 'n' { // null counts as absent
			key = nil
		}

		at, k := p.i, ""
		switch string(key) {
		case `"data"`:
			seen |= hasData
			if seen&hasType != 0 {
				continue
			}
		case `"type"`:
			seen |= hasType
		case `"callID"`:
			seen |= hasCall
		case `"partyId"`:
			seen |= hasParty
		case `"callResult"`, `"endTime"`:
			seen |= hasOutcome
		case `"messageID"`:
			k = "messageID"
		}

		if !p.skip() {
			break
		}
		if k != "" {
			message, _ = readText(p.b[at:p.i])
		}
	}
	if p.bad != "" {
		return // not JSON, however it is read
	}

	// Now read the object for good, from its start.
	p.scan = start

	switch {
	case seen&hasData != 0 && seen&hasType != 0:
		g.envelope(p)
		if g.Type != 0 && p.typ != 0 && p.typ != g.Type {
			p.at = ""
			p.refuse("type_mismatch", "type", "the routing key says "+names[g.Type].name)
		}
	case g.Type != 0:
		g.body(p, g.Type, "")
	case (seen&hasData != 0 || seen&hasType != 0) && len(message) == 0:
		g.envelope(p)
	case len(message) > 0:
		// Nothing but the messageID says what the body is.
		t, ok := byName[string(message)]
		if !ok {
			p.refuse("unknown_type", "messageID", "messageID is not that of any type")
			p.skip()
			return
		}
		g.body(p, t, "")
	case seen&hasCall != 0 && seen&hasParty != 0:
		g.body(p, CDRParty, "")
	case seen&hasCall != 0 && seen&hasOutcome != 0:
		g.body(p, CDRCall, "")
	default:
		p.refuse("missing", "type", "no type: an event is an envelope with type and data, or a body with messageID")
		p.skip()
	}
}

// envelope reads {"id", "type", "time", "data"} at p.i.
func (g Gate) envelope(p *pass) {
	const (
		id = 1 << iota
		typ
		tim
		data
	)
	var (
		seen    int
		hasData bool
		later   scan // where data begins, when it came before type
	)

	p.open()
	for first := true; ; first = false {
		key := p.key(first)
		if key == nil {
			break
		}
		from, bit := p.i, 0
		name := key[1 : len(key)-1]
		switch string(name) {
		case "id":
			bit = id
		case "type":
			bit = typ
		case "time":
			bit = tim
		case "data":
			bit = data
		}

		switch {
		case bit == 0:
			p.unknown(key)
		case seen&bit != 0:
			p.refuse("duplicate_key", string(name), string(name)+" is there twice")
			bit = 0
		}

		seen |= bit
		if bit == data && p.peek() != 'n' {
			hasData = true
			if p.typ != 0 {
				g.body(p, p.typ, "/data")
				p.at = ""
				continue
			}
			later = p.scan
		}

		if !p.skip() {
			return
		}

		switch tok := p.b[from:p.i]; {
		case bit == id:
			p.readID(tok)
		case bit == typ:
			p.readType(tok)
		case bit == tim:
			p.readTime(tok)
		}
	}
	if p.bad != "" {
		return
	}

	switch {
	case p.typ == 0:
		p.refuse("missing", "type", "type is missing") // unless refused already
	case !hasData:
		p.refuse("missing", "data", "data is missing")
	case later.b != nil:
		// data came before type: go back to it, now that the type is known, and then on from
		// the end of the envelope.
		end := p.scan
		p.i, p.depth = later.i, later.depth
		g.body(p, p.typ, "/data")
		end.sum, end.deepest = p.sum, p.deepest
		p.scan = end
	}
}

// unknown refuses a key that an envelope does not have.
func (p *pass) unknown(key []byte) {
	if p.problem != nil {
		return
	}
	name := unescape(key)
	name = strings.ToValidUTF8(name[:min(len(name), 64)], "")
	p.refuse("unknown_field", strings.NewReplacer("~", "~0", "/", "~1").Replace(name),
		"an envelope has id, type, time and data, not "+strconv.Quote(name))
}

// readID reads the sender's id of an event.
func (p *pass) readID(tok []byte) {
	switch tok[0] {
	case 'n':
		return
	case '"':
	default:
		p.refuse("wrong_type", "id", "id must be a string")
		return
	}

	// Escapes are not among the characters of an id, so the token is the id.
	if id := tok[1 : len(tok)-1]; ValidID(id) {
		p.id = id
	} else {
		p.refuse("invalid_id", "id", "id must have 1 to 128 of A-Z a-z 0-9 . _ : -")
	}
}

// ValidID reports whether id may be a sender's id: 1..128 of [A-Za-z0-9._:-].
func ValidID(id []byte) bool {
	for _, c := range id {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || '9' < c) && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return 0 < len(id) && len(id) <= maxID
}

// readType reads the type of an envelope.
func (p *pass) readType(tok []byte) {
	if tok[0] != '"' && tok[0] != 'n' {
		p.refuse("wrong_type", "type", "type must be a string")
		return
	}
	name, _ := readText(tok)
	if len(name) == 0 {
		return
	}
	if p.typ = byName[string(name)]; p.typ == 0 {
		p.refuse("unknown_type", "type", "no type has this name")
	}
}

// readTime reads the time of an envelope.
func (p *pass) readTime(tok []byte) {
	n, r := readInt(tok)
	switch {
	case r == absent:
	case r == wrong || r == empty:
		p.refuse("wrong_type", "time", "time must be an integer, Unix ms")
	case r == large || n < 0 || n > lastMs:
		p.refuse("out_of_range", "time", "time must be from 0 to "+strconv.Itoa(lastMs)+", Unix ms")
	default:
		p.instant("time", n) // may warn
		p.time = n
	}
}

// body reads the body of an event of type t at p.i.
func (g Gate) body(p *pass, t Type, at string) {
	if p.peek() != '{' {
		p.skip()
		if p.problem == nil && p.bad == "" {
			p.problem = &Problem{Code: "wrong_type", Message: "the body must be an object", Field: at, Status: 422}
		}
		return
	}

	if t == 0 || t >= end || t.Internal() && !g.Internal {
		field := "/type"
		if at == "" {
			field = "/messageID"
		}
		if p.problem == nil {
			p.problem = &Problem{
				Code: "internal_type", Message: "only the hub itself makes events of this type", Field: field, Status: 422,
			}
		}
		p.skip()
		return
	}

	p.typ, p.at = t, at

	// The hash begins with the type, so that equal bodies of two types are two events.
	p.vals, p.ticks = [slots]value{}, [maxFields / 64]uint64{}
	p.latest, p.cut = 0, [2]span{}

	p.sum = append(append(p.sum[:0], names[t].name...), '\n')
	p.startSum()

	p.from = p.i
	p.open()

	known := bodies[t].fields
	for first := true; ; first = false {
		key := p.key(first)
		if key == nil {
			break
		}

		from := p.i
		if !p.skip() {
			break
		}

		f := known[string(key[1:len(key)-1])]
		if f == nil {
			if bytes.IndexByte(key, '\\') < 0 {
				continue
			}
			if f = known[unescape(key)]; f == nil {
				continue
			}
		}

		if p.ticks[f.no/64]&(1<<(f.no%64)) != 0 {
			p.refuse("duplicate_key", f.name, f.name+" is there twice")
			continue
		}
		p.ticks[f.no/64] |= 1 << (f.no % 64)
		p.field(f, p.b[from:p.i])

		// An absent value of these two will be replaced by the right one.
		switch {
		case p.vals[f.slot].set:
		case f.slot == companyID:
			p.cut[0] = span{from, p.i}
		case f.slot == messageID:
			p.cut[1] = span{from, p.i}
		}
	}

	p.endSum()
	p.to = p.i

	if p.bad == "" && p.problem == nil {
		g.check(p, t)
	}
}

// check looks at the body as a whole: who it says it is from, and whether it has what
// its type needs.
func (g Gate) check(p *pass, t Type) {
	v, b := &p.vals, bodies[t]

	if v[messageID].set && string(v[messageID].text) != names[t].messageID {
		p.refuse("type_mismatch", "messageID", "messageID of "+names[t].name+" is "+names[t].messageID)
		return
	}
	if v[companyID].set && string(v[companyID].text) != g.CompanyID {
		p.refuse("foreign_company", "companyId", "companyId is not that of the key")
		return
	}

	for _, alternatives := range b.needs {
		if p.count(alternatives) == 0 {
			p.refuse("missing", slotNames[alternatives[0]], list(alternatives)+" is missing")
			return
		}
	}

	if b.oneOf != nil && p.count(b.oneOf) != 1 {
		p.refuse("missing", slotNames[b.oneOf[0]], "exactly one of "+list(b.oneOf)+" must be there")
		return
	}

	if v[endTime].set && v[startTime].set && v[endTime].n < v[startTime].n {
		p.warn("end_before_start", "endTime", "endTime is before startTime")
	}
}

// count returns how many of these fields have a value.
func (p *pass) count(of []slot) (n int) {
	for _, s := range of {
		if p.vals[s].set {
			n++
		}
	}
	return n
}

func list(of []slot) string {
	ns := make([]string, len(of))
	for i, s := range of {
		ns[i] = slotNames[s]
	}
	return strings.Join(ns, " or ")
}

// event makes the event of a body that was read without a problem. If the envelope has
// no time, the body says when it happened, or else it happens now.
func (g Gate) event(p *pass, id string) (*Event, *Problem) {
	if g.Strict && len(p.warnings) > 0 {
		first := p.warnings[0]
		return nil, &first
	}

	e := &Event{
		CompanyID:  g.CompanyID,
		ID:         id,
		Type:       p.typ,
		OrderKey:   p.orderKey(),
		OccurredAt: p.time,
		Body:       g.plainBody(p),
		Hash:       sha256.Sum256(p.sum),
		Warnings:   p.warnings,
		Completed:  p.typ == AgentStatus,
	}

	for _, at := range [...]int64{p.vals[creationTime].n, p.latest} {
		if e.OccurredAt == 0 {
			e.OccurredAt = at
		}
	}
	if e.OccurredAt == 0 {
		now := g.Now
		if now == nil {
			now = time.Now
		}
		e.OccurredAt = now().UnixMilli()
	}
	return e, nil
}

// orderKey returns the order key of the item, as the contract has it. If the key has two
// parts, a "/" in the first one is written %2F, so that no two records share a key.
func (p *pass) orderKey() string {
	b, v := bodies[p.typ], &p.vals
	key, parts := b.key, b.parts
	if len(parts) == 0 {
		return ""
	}

	first := v[parts[0]].text
	if len(parts) == 2 {
		if bytes.ContainsAny(first, "/%") {
			return key + escapeSlash.Replace(string(first)) + "/" + string(v[parts[1]].text)
		}
		return key + string(first) + "/" + string(v[parts[1]].text)
	}

	// An agent is known by its UUID, or else by its number.
	if !v[parts[0]].set {
		key, first = "agent/", v[agentUUID].text
		if !v[agentUUID].set {
			first = v[agentID].text
		}
	}
	return key + string(first)
}

var escapeSlash = strings.NewReplacer("%", "%25", "/", "%2F")

// plainBody returns the bytes of the plain body: those of the sender, with messageID and
// companyId where the sender left them out.
func (g Gate) plainBody(p *pass) []byte {
	// Members that the sender left out come first.
	src := p.b[p.from:p.to]
	out := make([]byte, 1, len(src)+len(`"messageID":"","companyId":"",`)+len(names[p.typ].messageID)+len(g.CompanyID))
	out[0] = '{'
	if !p.vals[messageID].set && p.cut[1].to == 0 {
		out = append(out, `"messageID":"`...)
		out = append(out, names[p.typ].messageID...)
		out = append(out, `",`...)
	}
	if !p.vals[companyID].set && p.cut[0].to == 0 {
		out = append(out, `"companyId":"`...)
		out = append(out, g.CompanyID...)
		out = append(out, `",`...)
	}
	if rest := trimBlanks(src[1:]); len(out) > 1 && rest[0] == '}' { // nothing to separate it from
		out = out[:len(out)-1]
	}

	// Where the sender wrote null or "", the right value takes its place.
	type change struct {
		span
		by string
	}
	changes := [2]change{{p.cut[0], g.CompanyID}, {p.cut[1], names[p.typ].messageID}}
	if changes[0].from > changes[1].from {
		changes[0], changes[1] = changes[1], changes[0]
	}

	// All other bytes are the sender's.
	i := p.from + 1
	for _, c := range changes {
		if c.to == 0 {
			continue
		}
		out = append(out, p.b[i:c.from]...)
		out = append(append(append(out, '"'), c.by...), '"')
		i = c.to
	}
	return append(out, p.b[i:p.to]...)
}
