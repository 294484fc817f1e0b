package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
)

// Bounds of a request body.
const (
	maxBody   = 1 << 20 // bytes
	maxDepth  = 32      // arrays and objects within each other
	maxValues = 20_000  // of all kinds: decoded they need many times the memory of their text
)

// decode reads the JSON body of r into dst, a pointer to a struct that embeds
// no other, more strictly than encoding/json does: unknown fields, fields in
// another case, duplicate keys, trailing data and invalid UTF-8 are refused,
// with their name where they have one. Malformed JSON is 400; what is
// well-formed and wrong 422.
func decode(r *http.Request, dst any) error {
	raw, err := body(r)
	if err != nil {
		return err
	}
	return decodeBytes(raw, dst)
}

// body reads the bytes of a JSON body.
func body(r *http.Request) ([]byte, error) { return bodyUpTo(r, maxBody) }

// bodyUpTo reads the bytes of a JSON body of at most most bytes.
func bodyUpTo(r *http.Request, most int64) ([]byte, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		mt, _, err := mime.ParseMediaType(ct)
		if err != nil || mt != "application/json" && mt != "application/merge-patch+json" {
			return nil, problem.New(http.StatusUnsupportedMediaType, "the body must be application/json")
		}
	}

	if ce := r.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") {
		return nil, problem.New(http.StatusUnsupportedMediaType, "the body must not be encoded")
	}

	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))

	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, problem.New(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d MiB", most>>20))
	case err != nil:
		return nil, problem.New(http.StatusBadRequest, "the body could not be read to its end")
	}
	return event.TrimMark(raw), nil
}

// decodeBytes is decode for a body that has been read.
func decodeBytes(raw []byte, dst any) error {
	if err := check(raw, reflect.TypeOf(dst).Elem()); err != nil {
		return err
	}
	return assign(raw, dst)
}

// assign is json.Unmarshal with problems for errors.
func assign(raw []byte, dst any) error {
	err := json.Unmarshal(raw, dst)
	var wrong *json.UnmarshalTypeError
	var known *problem.Details
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known): // from a type's own UnmarshalJSON
		return known
	case errors.As(err, &wrong) && wrong.Field != "":
		return problem.Field(http.StatusUnprocessableEntity, wrong.Field,
			fmt.Sprintf("must be %s, not %s", kind(wrong.Type), wrong.Value))
	case errors.As(err, &wrong):
		return problem.New(http.StatusUnprocessableEntity,
			fmt.Sprintf("the body must be %s, not %s", kind(wrong.Type), wrong.Value))
	}
	return problem.New(http.StatusBadRequest, "malformed JSON: "+err.Error())
}

// check walks raw beside t and refuses what decode refuses. A struct in t allows
// the names of its fields and no others; anything else in t (maps, any, types that
// decode themselves) allows all names.
func check(raw []byte, t reflect.Type) error {
	if err := checkText(raw, t.Kind() == reflect.Struct); err != nil {
		return err
	}
	c := &checker{dec: json.NewDecoder(bytes.NewReader(raw))}
	c.dec.UseNumber() // whether a number is too large is for its field to say
	if err := c.value("", t, 0); err != nil {
		return err
	}
	return checkEnd(c.dec)
}

// checkText refuses a body that cannot be JSON, or is not an object where one is
// required.
func checkText(raw []byte, object bool) error {
	text := bytes.TrimSpace(raw)
	switch {
	case len(text) == 0:
		return problem.New(http.StatusBadRequest, "the body is empty; a JSON object is needed")
	case !utf8.Valid(raw):
		return problem.New(http.StatusBadRequest, "the body is not valid UTF-8")
	case object && text[0] != '{':
		return problem.New(http.StatusUnprocessableEntity, "the body must be a JSON object")
	}
	return nil
}

// checkEnd refuses a body with more behind the value that dec has read.
func checkEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); err != io.EOF {
		return problem.New(http.StatusBadRequest, "there is more after the end of the JSON value")
	}
	return nil
}

// checker walks a body beside a type.
type checker struct {
	dec    *json.Decoder
	values int // how many it has seen
}

// value checks the next value of the body, which goes into a Go value of type t.
func (c *checker) value(path string, t reflect.Type, depth int) error {
	tok, err := c.dec.Token()
	if err != nil {
		return malformed(err)
	}

	c.values++
	if c.values > maxValues {
		return problem.New(http.StatusRequestEntityTooLarge, fmt.Sprintf("there are more than %d values", maxValues))
	}

	// Only arrays and objects have anything inside.
	d, isDelim := tok.(json.Delim)
	if !isDelim {
		return nil
	}
	if depth == maxDepth {
		return problem.New(http.StatusBadRequest, fmt.Sprintf("arrays and objects are nested deeper than %d", maxDepth))
	}

	t = through(t)
	if d == '[' {
		for i := 0; c.dec.More(); i++ {
			if err := c.value(fmt.Sprintf("%s[%d]", path, i), element(t), depth+1); err != nil {
				return err
			}
		}
	} else if err := c.object(path, t, depth); err != nil {
		return err
	}

	if _, err := c.dec.Token(); err != nil { // the closing bracket
		return malformed(err)
	}
	return nil
}

// object checks the fields of an object whose opening bracket has been read.
func (c *checker) object(path string, t reflect.Type, depth int) error {
	seen := map[string]bool{}
	for c.dec.More() {
		tok, err := c.dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := tok.(string) // the decoder lets nothing else be a key

		field := name
		if path != "" {
			field = path + "." + name
		}
		if seen[name] {
			return problem.Field(http.StatusBadRequest, field, "is there twice")
		}
		seen[name] = true

		ft := element(t)
		if t != nil && t.Kind() == reflect.Struct {
			var ok bool
			if ft, ok = fieldOf(t, name); !ok {
				return problem.Field(http.StatusUnprocessableEntity, field, "is not a field of this request")
			}
		}

		if err := c.value(field, ft, depth+1); err != nil {
			return err
		}
	}
	return nil
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// through follows pointers to the type that decides which fields are allowed. It
// returns nil when all are allowed.
func through(t reflect.Type) reflect.Type {
	for t != nil {
		if p := reflect.PointerTo(t); p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

// element returns the type of what an array or map holds; nil when all is allowed.
func element(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map) {
		return t.Elem()
	}
	return nil
}

// fieldOf finds the field that encoding/json would fill, by its exact name.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for f := range t.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || !f.IsExported() || f.Anonymous {
			continue // errors would name the Go type of what is embedded
		}
		if tag == "" {
			tag = f.Name
		}
		if tag == name {
			return f.Type, true
		}
	}
	return nil, false
}

// malformed is the problem of a body that is not JSON.
func malformed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return problem.New(http.StatusBadRequest, "malformed JSON: it ends too early")
	}
	return problem.New(http.StatusBadRequest, "malformed JSON: "+err.Error())
}

// kind returns the word for a Go type in JSON.
func kind(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Pointer:
		return kind(t.Elem())
	default:
		return "an object"
	}
}

// merge applies a JSON merge patch (RFC 7396) to a document: null removes.
func merge(doc, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}

	d, ok := doc.(map[string]any)
	if !ok {
		d = map[string]any{}
	}

	for name, v := range p {
		if v == nil {
			delete(d, name)
		} else {
			d[name] = merge(d[name], v)
		}
	}
	return d
}
