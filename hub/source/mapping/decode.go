package mapping

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of one message. They keep a small text from becoming large in memory.
const (
	maxDepth  = 32     // objects, arrays and elements within each other
	maxValues = 20_000 // values or elements of a message
	maxFields = 1_000  // fields of a form
)

// Format names how the bytes of an input are read.
type Format string

// The formats. AsNDJSON, AsFirehose and the batches of AsCloudEvents carry several messages,
// which Split takes apart before they are stored.
const (
	AsJSON        Format = "json"
	AsNDJSON      Format = "ndjson"
	AsForm        Format = "form"
	AsFormJSON    Format = "form-json" // a form whose field "cdr" is JSON, as it is or in base64
	AsXML         Format = "xml"
	AsEventBridge Format = "eventbridge"
	AsFirehose    Format = "firehose"
	AsCloudEvents Format = "cloudevents"
	AsFreeSWITCH  Format = "freeswitch" // a call record of mod_json_cdr or mod_format_cdr, in any encoding
)

// Formats are those that a mapping may name.
var Formats = []Format{AsJSON, AsNDJSON, AsForm, AsFormJSON, AsXML, AsEventBridge, AsFirehose, AsCloudEvents, AsFreeSWITCH}

// Input is one message as it came in, with what else the mapping may look at.
type Input struct {
	Body     []byte
	Headers  map[string]string // names in lower case
	Query    string            // as it was sent
	Rest     string            // what followed the token in the path
	Received int64             // Unix ms
}

// Decode reads the message of an input. Its values are string, bool, int64, float64, nil,
// []any and map[string]any.
func Decode(f Format, in Input) (any, error) {
	switch f {
	case AsJSON, AsNDJSON, AsEventBridge, AsFirehose:
		return decodeJSON(in.Body)
	case AsForm:
		return decodeForm(formOf(in))
	case AsFormJSON:
		return decodeFormJSON(formOf(in))
	case AsXML:
		return decodeXML(in.Body)
	case AsFreeSWITCH:
		return decodeFreeSWITCH(in.Body)
	case AsCloudEvents:
		return decodeCloudEvent(in)
	}
	return nil, fmt.Errorf("no format is called %q", f)
}

// formOf returns the form of an input: its body, or its query if it has no body.
func formOf(in Input) string {
	if len(in.Body) == 0 {
		return in.Query
	}
	return string(in.Body)
}

func decodeJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("the body is not UTF-8")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, errors.New("the body is empty")
	}
	d := &jsonDecoder{dec: json.NewDecoder(bytes.NewReader(raw))}
	d.dec.UseNumber()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.dec.Token(); err != io.EOF { //nolint:errorlint // io.EOF comes bare
		return nil, errors.New("there is more after the end of the JSON value")
	}
	return v, nil
}

// jsonDecoder reads JSON within the bounds of a message.
type jsonDecoder struct {
	dec    *json.Decoder
	values int
}

func (d *jsonDecoder) value(depth int) (any, error) {
	tok, err := d.dec.Token()
	if err != nil {
		return nil, fmt.Errorf("malformed JSON: %w", unexpected(err))
	}
	d.values++
	if d.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}

	switch tok := tok.(type) {
	case json.Number:
		return numberOf(tok.String()), nil
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxDepth)
		}
		if tok == '{' {
			return d.object(depth + 1)
		}
		return d.array(depth + 1)
	}
	return tok, nil
}

func (d *jsonDecoder) object(depth int) (any, error) {
	m := map[string]any{}
	for d.dec.More() {
		key, err := d.dec.Token()
		if err != nil {
			return nil, fmt.Errorf("malformed JSON: %w", unexpected(err))
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		name, _ := key.(string) // the decoder lets no other key through
		m[name] = v
	}
	return m, d.end()
}

func (d *jsonDecoder) array(depth int) (any, error) {
	list := []any{}
	for d.dec.More() {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, d.end()
}

// end reads the closing bracket.
func (d *jsonDecoder) end() error {
	if _, err := d.dec.Token(); err != nil {
		return fmt.Errorf("malformed JSON: %w", unexpected(err))
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF { //nolint:errorlint // io.EOF comes bare
		return io.ErrUnexpectedEOF
	}
	return err
}

// numberOf returns a number of JSON: an int64 if it is whole and fits, else a float64. One
// that fits neither stays the text that it is.
func numberOf(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return s
	}
	return f
}

func decodeForm(raw string) (any, error) {
	if strings.Count(raw, "&") >= maxFields {
		return nil, fmt.Errorf("a form with more than %d fields", maxFields)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("malformed form: %w", err)
	}

	m := make(map[string]any, len(values))
	for name, list := range values {
		if !utf8.ValidString(name) {
			return nil, errors.New("malformed form: a name is not UTF-8")
		}

		// A field that is there once is a text, and a list if it is there several times.
		for i, v := range list {
			list[i] = strings.ToValidUTF8(v, "�")
		}
		if len(list) == 1 {
			m[name] = list[0]
			continue
		}
		several := make([]any, len(list))
		for i, v := range list {
			several[i] = v
		}
		m[name] = several
	}
	return m, nil
}

// decodeFormJSON reads the JSON in the field cdr of a form. FreeSWITCH writes it as it is or
// in base64, and does not escape the "+" of base64, which a form reads as a blank.
func decodeFormJSON(raw string) (any, error) {
	form, err := decodeForm(raw)
	if err != nil {
		return nil, err
	}
	fields, _ := form.(map[string]any)
	text, _ := fields["cdr"].(string)
	if text == "" {
		return nil, errors.New("the form has no field cdr")
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return decodeJSON([]byte(text))
	}

	plain, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), " ", "+"))
	if err != nil {
		return nil, errors.New("the field cdr is neither JSON nor base64")
	}
	return decodeJSON(plain)
}

// decodeFreeSWITCH reads a call record of FreeSWITCH. The encoding is known by its first bytes:
// the Content-Type is not that of the body when 100-continue is off. Of XML the root, cdr, is
// left out, so that both forms have variables at the same place.
func decodeFreeSWITCH(body []byte) (any, error) {
	body = bytes.TrimSpace(body)
	if rest, is := bytes.CutPrefix(body, []byte("cdr=")); is {
		text := string(rest)
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "<") {
			if plain, err := url.QueryUnescape(text); err == nil {
				text = strings.TrimSpace(plain)
			}
		}
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "<") {
			plain, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, " ", "+"))
			if err != nil {
				return nil, errors.New("the field cdr is neither JSON nor XML nor base64")
			}
			text = string(plain)
		}
		body = bytes.TrimSpace([]byte(text))
	}

	var record any
	if bytes.HasPrefix(body, []byte("<")) {
		document, err := decodeXML(body)
		if err != nil {
			return nil, err
		}
		root, _ := document.(map[string]any)
		record = root["cdr"]
	} else {
		var err error
		if record, err = decodeJSON(body); err != nil {
			return nil, err
		}
	}
	fields, _ := record.(map[string]any)
	if _, is := fields["variables"].(map[string]any); !is {
		return nil, errors.New("a call record of FreeSWITCH has variables")
	}
	return record, nil
}

// decodeXML reads an XML document: an element with children or attributes is an object, in
// which an attribute is called @name and text beside children #text; any other element is
// its text. Elements of one name become a list. Document types, and with them all entities
// of their own, are refused.
func decodeXML(raw []byte) (any, error) {
	x := &xmlDecoder{dec: xml.NewDecoder(bytes.NewReader(raw))}
	x.dec.CharsetReader = func(string, io.Reader) (io.Reader, error) {
		return nil, errors.New("the document must be UTF-8")
	}
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return nil, fmt.Errorf("malformed XML: %w", unexpected(err))
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errors.New("an XML document with a DOCTYPE is not read")
		case xml.StartElement:
			v, err := x.element(tok, 1)
			if err != nil {
				return nil, err
			}
			return map[string]any{tok.Name.Local: v}, x.rest()
		}
	}
}

// xmlDecoder reads XML within the bounds of a message.
type xmlDecoder struct {
	dec    *xml.Decoder
	values int
}

func (x *xmlDecoder) element(start xml.StartElement, depth int) (any, error) {
	x.values += 1 + len(start.Attr)
	switch {
	case depth > maxDepth:
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	case x.values > maxValues:
		return nil, fmt.Errorf("more than %d elements", maxValues)
	}

	m := map[string]any{}
	for _, a := range start.Attr {
		m["@"+a.Name.Local] = a.Value
	}
	var text strings.Builder
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return nil, fmt.Errorf("malformed XML: %w", unexpected(err))
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errors.New("an XML document with a DOCTYPE is not read")
		case xml.CharData:
			text.Write(tok)
		case xml.StartElement:
			child, err := x.element(tok, depth+1)
			if err != nil {
				return nil, err
			}
			addChild(m, tok.Name.Local, child)
		case xml.EndElement:
			return settle(m, strings.TrimSpace(text.String())), nil
		}
	}
}

// addChild adds a child element; a second one of its name makes a list.
func addChild(m map[string]any, name string, child any) {
	before, there := m[name]
	switch list, is := before.([]any); {
	case !there:
		m[name] = child
	case is:
		m[name] = append(list, child)
	default:
		m[name] = []any{before, child}
	}
}

func settle(m map[string]any, text string) any {
	if len(m) == 0 {
		return text
	}
	if text != "" {
		m["#text"] = text
	}
	return m
}

// rest refuses more elements behind the document.
func (x *xmlDecoder) rest() error {
	for {
		tok, err := x.dec.Token()
		if err == io.EOF { //nolint:errorlint // io.EOF comes bare
			return nil
		}
		if err != nil {
			return fmt.Errorf("malformed XML: %w", err)
		}
		switch tok.(type) {
		case xml.StartElement, xml.Directive:
			return errors.New("malformed XML: more than one element")
		}
	}
}

// decodeCloudEvent reads a CloudEvent 1.0: structured, or binary with its attributes in
// headers. Its attributes keep their names; data is what it carries.
func decodeCloudEvent(in Input) (any, error) {
	kind, _, _ := strings.Cut(in.Headers["content-type"], ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	var event map[string]any
	if in.Headers["ce-type"] != "" && !strings.HasPrefix(kind, "application/cloudevents") {
		event = binaryCloudEvent(in)
	} else {
		v, err := decodeJSON(in.Body)
		if err != nil {
			return nil, err
		}
		object, is := v.(map[string]any)
		if !is {
			return nil, errors.New("a CloudEvent must be an object")
		}
		event = object
	}

	for _, name := range []string{"id", "source", "type", "specversion"} {
		if s, _ := event[name].(string); s == "" {
			return nil, fmt.Errorf("a CloudEvent needs the attribute %s", name)
		}
	}
	if encoded, is := event["data_base64"].(string); is {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("data_base64 is not base64")
		}
		delete(event, "data_base64")
		event["data"] = dataOf(raw)
	}
	return event, nil
}

func binaryCloudEvent(in Input) map[string]any {
	event := map[string]any{}
	for name, value := range in.Headers {
		attribute, is := strings.CutPrefix(name, "ce-")
		if !is {
			continue
		}
		if plain, err := url.PathUnescape(value); err == nil && utf8.ValidString(plain) {
			value = plain
		}
		event[attribute] = value
	}
	if len(in.Body) > 0 {
		event["data"] = dataOf(in.Body)
	}
	return event
}

// dataOf returns what a CloudEvent carries: JSON, or else text.
func dataOf(raw []byte) any {
	if v, err := decodeJSON(raw); err == nil {
		return v
	}
	return strings.ToValidUTF8(string(raw), "�")
}
