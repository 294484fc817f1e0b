// Package mapping turns what a platform sends into what the hub understands. A mapping is
// data: how the bytes are read, rows that say which message becomes what, tables of the
// tenant's own names, and expressions in CEL for single values. It has no state: each message is
// mapped by itself.
package mapping

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/hookline/hookline/hub/event"
)

// Bounds of a mapping.
const (
	maxRows       = 200
	maxSet        = 100       // fields that a row sets
	maxExpression = 4 << 10   // bytes
	maxTables     = 50        // tables
	maxEntries    = 20_000    // entries of all tables
	maxEntry      = 1_000     // bytes of a key, or of a text in a table
	costLimit     = 10_000    // of an expression, in CEL's units
	maxBody       = 256 << 10 // bytes of an event that a row makes
)

// Spec is a mapping as people write it: a file of this package, or the field mapping of a
// source.
type Spec struct {
	Kind    string         `yaml:"kind" json:"-"`
	Version int            `yaml:"version" json:"-"`
	Decode  Format         `yaml:"decode" json:"decode,omitempty"`
	Time    *Time          `yaml:"time" json:"time,omitempty"`
	Match   []Row          `yaml:"match" json:"match,omitempty"`
	Tables  map[string]any `yaml:"tables" json:"-"`
}

// Time says where a message says when it happened.
type Time struct {
	Field    string   `yaml:"field" json:"field"`                 // names within objects are joined by dots
	Unit     string   `yaml:"unit" json:"unit"`                   // see units
	Zone     string   `yaml:"zone" json:"zone,omitempty"`         // of times without one
	Sentinel []string `yaml:"sentinel" json:"sentinel,omitempty"` // texts that mean "no time"
}

// Row says what a message becomes. Rows are tried in their order, and the first that fits
// decides, unless it says next.
type Row struct {
	When   string         `yaml:"when" json:"when,omitempty"`     // CEL; "" fits every message
	Ignore bool           `yaml:"ignore" json:"ignore,omitempty"` // nothing becomes of the message
	Emit   string         `yaml:"emit" json:"emit,omitempty"`     // a type of event
	Type   string         `yaml:"type" json:"type,omitempty"`     // CEL: the type, instead of emit
	Time   string         `yaml:"time" json:"time,omitempty"`     // CEL: Unix ms, instead of that of the mapping
	Body   string         `yaml:"body" json:"body,omitempty"`     // CEL: an object whose members the event has
	Set    map[string]any `yaml:"set" json:"set,omitempty"`       // field → CEL, or a number or true or false
	Next   bool           `yaml:"next" json:"next,omitempty"`     // the rows below are tried too
}

// Emitted is what a row made of a message.
type Emitted struct {
	Row    int            // from 1
	What   string         // a type of event
	Time   int64          // Unix ms; 0: the message does not say
	Fields map[string]any // without those that are null
}

// Problem says what is wrong with one field of a mapping.
type Problem struct {
	Field   string // e.g. "mapping.match[2].when"
	Message string
}

func (p *Problem) Error() string { return p.Field + " " + p.Message }

// Failure is the error of a message that a row cannot map.
type Failure struct {
	Row  int // from 1; 0: no row, the message as a whole
	What string
	Err  error
}

func (f *Failure) Error() string {
	if f.Row == 0 {
		return f.Err.Error()
	}
	return fmt.Sprintf("row %d, %s: %v", f.Row, f.What, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

// ErrIgnored is the error of a message that no row fits, or that a row ignores.
var ErrIgnored = errors.New("ignored")

//go:embed kinds/*.yaml
var files embed.FS

var builtIn = sync.OnceValues(func() (map[string]*Spec, error) {
	names, err := fs.Glob(files, "kinds/*.yaml")
	if err != nil {
		return nil, err
	}
	specs := map[string]*Spec{}
	for _, name := range names {
		f, err := files.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()

		var s Spec
		dec := yaml.NewDecoder(f)
		dec.KnownFields(true)
		if err := dec.Decode(&s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s.Kind+".yaml" != path.Base(name) {
			return nil, fmt.Errorf("%s is of kind %q", name, s.Kind)
		}
		specs[s.Kind] = &s
	}
	return specs, nil
})

// BuiltIn returns the mapping that this program has for a kind of source; nil if it has none.
func BuiltIn(kind string) (*Spec, error) {
	specs, err := builtIn()
	if err != nil {
		return nil, fmt.Errorf("built-in mappings: %w", err)
	}
	return specs[kind], nil
}

// Source is what a mapping is made of: that of the kind, and what the tenant wrote.
type Source struct {
	Kind     *Spec          // nil: the kind has none
	Own      *Spec          // of the tenant; its rows come before those of the kind. nil: it has none
	Tables   map[string]any // of the tenant; they take the place of the kind's, name by name
	Settings map[string]any // what expressions see as settings
}

// Mapping is a mapping that is ready. It is safe for concurrent use.
type Mapping struct {
	Decode Format

	time     *Time
	rows     []row
	settings map[string]any
}

type row struct {
	Row
	when, typ, time, body *program
	set                   []field
}

type field struct {
	name     string
	program  *program
	constant any
}

// Compile checks a mapping and makes it ready. The error is a *Problem that names the field.
func Compile(src Source) (*Mapping, error) {
	m := &Mapping{settings: src.Settings}
	if m.settings == nil {
		m.settings = map[string]any{}
	}
	tables, err := mergeTables(src)
	if err != nil {
		return nil, err
	}
	env, err := newEnvironment(tables)
	if err != nil {
		return nil, fmt.Errorf("environment of expressions: %w", err)
	}

	// The rows of the tenant, then those of the kind.
	for _, spec := range []*Spec{src.Own, src.Kind} {
		if spec == nil {
			continue
		}
		m.Decode = cmp.Or(m.Decode, spec.Decode)
		m.time = cmp.Or(m.time, spec.Time)
		if len(spec.Match) > maxRows {
			return nil, &Problem{"mapping.match", "has more than " + strconv.Itoa(maxRows) + " rows"}
		}
		for i, r := range spec.Match {
			at := fmt.Sprintf("mapping.match[%d]", i)
			compiled, err := env.row(at, r)
			if err != nil {
				return nil, err
			}
			m.rows = append(m.rows, compiled)
		}
	}

	switch {
	case !slices.Contains(Formats, m.Decode):
		return nil, &Problem{"mapping.decode", "must be one of " + list(Formats)}
	case len(m.rows) == 0:
		return nil, &Problem{"mapping.match", "has no row: nothing would ever be mapped"}
	}
	return m, checkTime(m.time)
}

func list[T ~string](names []T) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(n))
	}
	return b.String()
}

func checkTime(t *Time) error {
	switch {
	case t == nil:
		return nil
	case t.Field == "":
		return &Problem{"mapping.time.field", "is required"}
	case !slices.Contains(units, t.Unit):
		return &Problem{"mapping.time.unit", "must be one of " + list(units)}
	}
	if _, err := zoneOf(t.Zone); err != nil {
		return &Problem{"mapping.time.zone", "is no time zone, such as Europe/Berlin"}
	}
	return nil
}

// mergeTables returns the tables of a kind with those of the tenant in place of them.
func mergeTables(src Source) (map[string]any, error) {
	tables := map[string]any{}
	if src.Kind != nil {
		maps.Copy(tables, src.Kind.Tables)
	}
	maps.Copy(tables, src.Tables)
	if len(tables) > maxTables {
		return nil, &Problem{"tables", "are more than " + strconv.Itoa(maxTables)}
	}

	entries := 0
	for name, t := range tables {
		switch t := t.(type) {
		case map[string]any:
			entries += len(t)
			for key, v := range t {
				if s, _ := v.(string); len(key) > maxEntry || len(s) > maxEntry {
					return nil, &Problem{"tables." + name, "has a text of more than " + strconv.Itoa(maxEntry) + " bytes"}
				}
				if !plain(v) {
					return nil, &Problem{"tables." + name + "." + key, "must be a text, a number, true or false"}
				}
			}
		case []any:
			entries += len(t)
			for i, v := range t {
				s, is := v.(string)
				if _, err := path.Match(s, ""); !is || err != nil || len(s) > maxEntry {
					return nil, &Problem{fmt.Sprintf("tables.%s[%d]", name, i), "must be a text or a pattern with * and ?"}
				}
			}
		default:
			return nil, &Problem{"tables." + name, "must be an object or an array"}
		}
		if entries > maxEntries {
			return nil, &Problem{"tables", "have more than " + strconv.Itoa(maxEntries) + " entries"}
		}
	}
	return tables, nil
}

// plain reports whether a value of a table is a single one.
func plain(v any) bool {
	switch v.(type) {
	case string, bool, int, int64, float64, nil:
		return true
	}
	return false
}

// row compiles a row.
func (e *environment) row(at string, r Row) (row, error) {
	out := row{Row: r}
	emits := r.Emit != "" || r.Type != ""
	switch {
	case emits == r.Ignore:
		return out, &Problem{at, "must have either emit (or type) or ignore"}
	case r.Emit != "" && r.Type != "":
		return out, &Problem{at + ".type", "does not go together with emit"}
	case r.Emit != "" && !emittable(r.Emit):
		return out, &Problem{at + ".emit", strconv.Quote(r.Emit) + " is not a type of event that a platform may send"}
	case len(r.Set) > maxSet:
		return out, &Problem{at + ".set", "sets more than " + strconv.Itoa(maxSet) + " fields"}
	}

	for _, x := range []struct {
		name, text string
		into       **program
	}{{"when", r.When, &out.when}, {"type", r.Type, &out.typ}, {"time", r.Time, &out.time}, {"body", r.Body, &out.body}} {
		if x.text == "" {
			continue
		}
		p, err := e.compile(x.text)
		if err != nil {
			return out, &Problem{at + "." + x.name, err.Error()}
		}
		*x.into = p
	}

	for _, name := range slices.Sorted(maps.Keys(r.Set)) {
		f := field{name: name, constant: r.Set[name]}
		if text, is := f.constant.(string); is {
			p, err := e.compile(text)
			if err != nil {
				return out, &Problem{at + ".set." + name, err.Error()}
			}
			f.program = p
		} else if !plain(f.constant) {
			return out, &Problem{at + ".set." + name, "must be an expression, a number, true or false"}
		}
		out.set = append(out.set, f)
	}
	return out, nil
}

func emittable(name string) bool {
	t, known := event.ParseType(name)
	return known && !t.Internal()
}

// Map decodes a message and returns what its rows make of it. The error is ErrIgnored, or a
// *Failure.
func (m *Mapping) Map(in Input) ([]Emitted, error) {
	message, err := Decode(m.Decode, in)
	if err != nil {
		return nil, &Failure{Err: err}
	}
	at, err := m.timeOf(message)
	if err != nil {
		return nil, &Failure{Err: err}
	}

	vars := m.variables(message, in)
	var out []Emitted
	for i := range m.rows {
		r := &m.rows[i]
		fits, err := r.fits(vars)
		if err != nil {
			return nil, &Failure{Row: i + 1, What: "when", Err: err}
		}
		if !fits {
			continue
		}
		if !r.Ignore {
			emitted, failure := r.emit(vars)
			if failure != nil {
				failure.Row = i + 1
				return nil, failure
			}
			emitted.Row = i + 1
			if r.time == nil {
				emitted.Time = at
			}
			out = append(out, emitted)
		}
		if !r.Next {
			break
		}
	}
	if len(out) == 0 {
		return nil, ErrIgnored
	}
	return out, nil
}

func (r *row) fits(vars map[string]any) (bool, error) {
	if r.when == nil {
		return true, nil
	}
	v, err := r.when.eval(vars)
	if err != nil {
		if isNoSuchKey(err) { // a message without the field that the row asks for
			return false, nil
		}
		return false, err
	}
	fits, is := v.(bool)
	if !is {
		return false, errors.New("must be true or false")
	}
	return fits, nil
}

// emit makes what a row emits of a message that it fits.
func (r *row) emit(vars map[string]any) (Emitted, *Failure) {
	e := Emitted{What: r.Emit, Fields: map[string]any{}}
	if r.typ != nil {
		v, err := r.typ.eval(vars)
		if err != nil {
			return e, &Failure{What: "type", Err: err}
		}
		e.What, _ = v.(string)
		if !emittable(e.What) {
			return e, &Failure{What: "type", Err: fmt.Errorf("%q is no type of event", e.What)}
		}
	}
	if r.time != nil {
		v, err := r.time.eval(vars)
		if err != nil {
			return e, &Failure{What: "time", Err: err}
		}
		at, is := v.(int64)
		if v != nil && !is {
			return e, &Failure{What: "time", Err: errors.New("must be a whole number of Unix ms")}
		}
		e.Time = at
	}
	if r.body != nil {
		v, err := r.body.eval(vars)
		if err != nil {
			return e, &Failure{What: "body", Err: err}
		}
		members, is := v.(map[string]any)
		if !is {
			return e, &Failure{What: "body", Err: errors.New("must be an object")}
		}
		e.Fields = members
	}

	for _, f := range r.set {
		v := f.constant
		if f.program != nil {
			var err error
			if v, err = f.program.eval(vars); err != nil {
				return e, &Failure{What: "set." + f.name, Err: err}
			}
		}
		if v != nil {
			e.Fields[f.name] = v
		}
	}
	return e, nil
}

// variables returns what expressions see.
func (m *Mapping) variables(message any, in Input) map[string]any {
	headers := make(map[string]any, len(in.Headers))
	for name, v := range in.Headers {
		headers[name] = v
	}
	query := map[string]any{}
	if form, err := decodeForm(in.Query); err == nil {
		query, _ = form.(map[string]any)
	}
	return map[string]any{
		"m": message, "headers": headers, "query": query, "rest": in.Rest, "received": in.Received, "settings": m.settings,
	}
}

// timeOf returns when a message says that it happened; 0 if it does not.
func (m *Mapping) timeOf(message any) (int64, error) {
	if m.time == nil {
		return 0, nil
	}
	v := message
	for name := range strings.SplitSeq(m.time.Field, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	if v == nil || slices.Contains(m.time.Sentinel, textOf(v)) {
		return 0, nil
	}
	at, err := millis(v, m.time.Unit, m.time.Zone)
	if err != nil {
		return 0, fmt.Errorf("time in %s: %w", m.time.Field, err)
	}
	return at, nil
}
