package subscriptions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/event"
)

const (
	maxProblems = 100 // more than anybody mends at once
	maxDepth    = 8   // the deepest field is at 4
)

// input reads JSON values strictly and collects what is wrong with them. Its readers
// return false after they have noted a problem.
type input struct{ problems []event.Problem }

func (in *input) problem(pointer, code, message string) {
	if len(in.problems) < maxProblems {
		in.problems = append(in.problems, event.Problem{
			Code: code, Message: message, Field: pointer, Status: http.StatusUnprocessableEntity,
		})
	}
}

// wellFormed checks what holds for the document as a whole.
func (in *input) wellFormed(raw []byte) bool {
	refuse := func(message string) bool {
		in.problems = append(in.problems, event.Problem{Code: "malformed", Message: message, Status: http.StatusBadRequest})
		return false
	}
	if !utf8.Valid(raw) {
		return refuse("not valid UTF-8")
	}
	var doc json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return refuse(fmt.Sprintf("malformed JSON at byte %d: %v", syntax.Offset, err))
		}
		return refuse("malformed JSON: " + err.Error())
	}

	depth := 0
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		tok, err := dec.Token()
		if err != nil {
			return true // the end: the document is known to be well-formed
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return refuse(fmt.Sprintf("nested deeper than %d", maxDepth))
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// member is one name of an object with its value.
type member struct {
	name    string
	pointer string // JSON pointer (RFC 6901) from the top of the document
	value   json.RawMessage
}

func (m member) isNull() bool { return string(m.value) == "null" }

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// object reads the members of an object in their order. A name that comes twice is a
// problem, and its first value counts.
func (in *input) object(pointer string, raw json.RawMessage) ([]member, bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		in.problem(pointer, "wrong_type", "must be an object, is "+kindOf(raw))
		return nil, false
	}

	var members []member
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		name, isName := tok.(string)
		var value json.RawMessage
		if err == nil && isName {
			err = dec.Decode(&value)
		}
		if err != nil || !isName {
			in.problem(pointer, "malformed", "must be an object")
			return nil, false
		}

		m := member{name: name, pointer: pointer + "/" + escapePointer.Replace(name), value: value}
		if seen[name] {
			in.problem(m.pointer, "duplicate_field", "is there twice")
			continue
		}
		seen[name] = true
		members = append(members, m)
	}
	return members, true
}

func (in *input) array(pointer string, raw json.RawMessage, least, most int) ([]json.RawMessage, bool) {
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		in.problem(pointer, "wrong_type", "must be an array, is "+kindOf(raw))
		return nil, false
	}
	if len(items) < least || len(items) > most {
		in.problem(pointer, "out_of_range", fmt.Sprintf("must have %d to %d items, has %d", least, most, len(items)))
		return nil, false
	}
	return items, true
}

// text reads a string of least to most characters without control characters.
func (in *input) text(dst *string, pointer string, raw json.RawMessage, least, most int) bool {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		in.problem(pointer, "wrong_type", "must be a string, is "+kindOf(raw))
		return false
	}
	n := utf8.RuneCountInString(s)
	switch {
	case n < least || n > most:
		in.problem(pointer, "out_of_range", fmt.Sprintf("must have %d to %d characters, has %d", least, most, n))
	case strings.ContainsFunc(s, unicode.IsControl):
		in.problem(pointer, "invalid_value", "must not have control characters")
	case strings.ContainsRune(s, utf8.RuneError):
		// What half a surrogate pair decodes to: not what was meant.
		in.problem(pointer, "invalid_value", "must be whole Unicode characters")
	default:
		*dst = s
		return true
	}
	return false
}

func (in *input) oneOf(dst *string, pointer string, raw json.RawMessage, options ...string) bool {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		in.problem(pointer, "wrong_type", "must be a string, is "+kindOf(raw))
		return false
	}
	i := slices.Index(options, s)
	if i < 0 {
		in.problem(pointer, "invalid_value", "must be one of "+strings.Join(options, ", "))
		return false
	}
	*dst = options[i] // not s: a thousand subscriptions share the constant
	return true
}

func (in *input) integer(dst *int, pointer string, raw json.RawMessage, least, most int) bool {
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		in.problem(pointer, "wrong_type", "must be a whole number, is "+kindOf(raw))
		return false
	}
	var n int
	if json.Unmarshal(raw, &n) != nil || n < least || n > most {
		in.problem(pointer, "out_of_range", fmt.Sprintf("must be a whole number from %d to %d", least, most))
		return false
	}
	*dst = n
	return true
}

func (in *input) number(dst *float64, pointer string, raw json.RawMessage, least, most float64) bool {
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		in.problem(pointer, "wrong_type", "must be a number, is "+kindOf(raw))
		return false
	}
	var n float64
	if json.Unmarshal(raw, &n) != nil || n < least || n > most {
		in.problem(pointer, "out_of_range", fmt.Sprintf("must be a number from %v to %v", least, most))
		return false
	}
	*dst = n
	return true
}

func (in *input) boolean(dst *bool, pointer string, raw json.RawMessage) bool {
	if json.Unmarshal(raw, dst) != nil {
		in.problem(pointer, "wrong_type", "must be true or false, is "+kindOf(raw))
		return false
	}
	return true
}

func (in *input) duration(dst *time.Duration, pointer string, raw json.RawMessage, least, most time.Duration) bool {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		in.problem(pointer, "wrong_type", `must be a duration in a string, like "90s" or "2h", is `+kindOf(raw))
		return false
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		in.problem(pointer, "invalid_value", `must be a duration like "90s", "30m" or "2h"`)
	case d < least || d > most:
		in.problem(pointer, "out_of_range", fmt.Sprintf("must be from %s to %s", short(least), short(most)))
	default:
		*dst = d
		return true
	}
	return false
}

func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
