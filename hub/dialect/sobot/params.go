package sobot

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/event"
)

// params are the parameters of a request: those of its JSON body by name. Methods read
// one each, in the order of the document's table. The first that cannot be taken
// becomes the error of the request.
//
// Blanks around a text are dropped. A parameter that is missing, null or an empty text
// is not given. Members that nobody asks for are ignored.
type params struct {
	values map[string]event.Value
	err    error
}

// readBody reads the parameters of a POST from a caller who is known.
func readBody(w http.ResponseWriter, r *http.Request) (*params, error) {
	return readBodyUpTo(w, r, dialect.MaxBody)
}

// readBodyUpTo reads the parameters of a POST whose body has at most this many bytes.
func readBodyUpTo(w http.ResponseWriter, r *http.Request, most int64) (*params, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		mt, _, err := mime.ParseMediaType(ct)
		if err != nil || mt != "application/json" {
			return nil, &problem{http.StatusUnsupportedMediaType, "BODY_INVALID", "body: must be application/json"}
		}
	}
	raw, err := dialect.ReadBody(w, r, most)
	if err != nil {
		return nil, err
	}
	return parseBody(raw)
}

// parseBody reads the parameters in a body.
func parseBody(raw []byte) (*params, error) {
	values, ok := dialect.ReadObject(raw)
	if !ok {
		return nil, bad("BODY_INVALID", "body", "must be a JSON object")
	}
	return &params{values: values}, nil
}

// given returns the first of the names that has a value, and that value. Without one
// it returns the first name and nil.
func (p *params) given(names ...string) (name string, v event.Value) {
	for _, name := range names {
		v, ok := p.values[name]
		if ok && v[0] != 'n' && (v[0] != '"' || v.Text() != "") {
			return name, v
		}
	}
	return names[0], nil
}

// refuse makes a parameter the error of the request, unless there is one already.
func (p *params) refuse(reason, param, text string) {
	if p.err == nil {
		p.err = bad(reason, param, text)
	}
}

// required reports whether a value is there, and refuses the parameter when it is not.
func (p *params) required(name string, v event.Value) bool {
	if v == nil {
		p.refuse("PARAM_REQUIRED", name, "is required")
	}
	return v != nil
}

// integer reads a value that is a JSON integer or a text of its digits.
func (p *params) integer(name string, v event.Value) (int64, bool) {
	n, ok := v.Int()
	if !ok {
		p.refuse("PARAM_TYPE", name, "must be an integer")
	}
	return n, ok
}

// page reads a required integer from 1 to most, under one of its names.
func (p *params) page(most int64, names ...string) int64 {
	name, v := p.given(names...)
	if !p.required(name, v) {
		return 0
	}
	n, ok := p.integer(name, v)
	if ok && (n < 1 || n > most) {
		p.refuse("PARAM_VALUE", name, fmt.Sprintf("must be 1 to %d", most))
	}
	return n
}

// instant reads a required time in Unix ms.
func (p *params) instant(name string) int64 {
	_, v := p.given(name)
	if !p.required(name, v) {
		return 0
	}
	n, ok := p.integer(name, v)
	if ok && (n < 0 || n > lastInstant) {
		p.refuse("PARAM_VALUE", name, "must be a time in Unix milliseconds")
	}
	return n
}

// lastInstant is the end of the year 9999.
const lastInstant = 253_402_300_799_999

// code reads an integer that must be one of allowed. When the parameter is not given
// it returns absent, which may be a value that a client cannot send.
func (p *params) code(name string, absent int64, allowed ...int64) int64 {
	_, v := p.given(name)
	if v == nil {
		return absent
	}
	n, ok := p.integer(name, v)
	if ok && !slices.Contains(allowed, n) {
		p.refuse("PARAM_VALUE", name, "must be one of "+list(allowed))
	}
	return n
}

// list returns codes with commas between.
func list(codes []int64) string {
	texts := make([]string, len(codes))
	for i, c := range codes {
		texts[i] = strconv.FormatInt(c, 10)
	}
	return strings.Join(texts, ", ")
}

// maxText is how many bytes a text may have.
const maxText = 4096

// text reads a text, or an integer that stands for its digits. It is "" when the
// parameter is not given.
func (p *params) text(name string) string {
	_, v := p.given(name)
	if v == nil {
		return ""
	}
	s := v.Text()
	switch {
	case s == "":
		p.refuse("PARAM_TYPE", name, "must be a string")
	case len(s) > maxText:
		p.refuse("PARAM_VALUE", name, fmt.Sprintf("must not be longer than %d bytes", maxText))
	}
	return s
}

// word reads a text that must be one of allowed. The document lists such words with a
// semicolon behind each, which clients copy.
func (p *params) word(name string, allowed ...string) string {
	s := strings.TrimRight(p.text(name), "; ")
	if s != "" && !slices.Contains(allowed, s) {
		p.refuse("PARAM_VALUE", name, "must be one of "+strings.Join(allowed, ", "))
	}
	return s
}
