package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var style string

// page is the rendered document and the policy that lets a browser use its
// style and nothing else.
type page struct {
	html   []byte
	policy string
}

// spec is the part of a document that the page shows.
type spec struct {
	Self   string   `json:"-"` // where the document is served
	Others []string `json:"-"` // pages of other documents

	OpenAPI string
	Info    struct{ Title, Version, Summary, Description string }
	Tags    []struct{ Name, Description string }
	Paths   ordered[pathItem]

	Components struct {
		Schemas         ordered[schema]
		Responses       ordered[response]
		Parameters      map[string]parameter
		SecuritySchemes ordered[struct{ Description string }]
	}
}

type pathItem struct {
	Parameters                          []parameter
	Get, Head, Post, Put, Patch, Delete *operation
}

type operation struct {
	Tags                              []string
	OperationID, Summary, Description string
	Roles                             []string `json:"x-roles"`
	Parameters                        []parameter
	RequestBody                       *body
	Responses                         ordered[response]
}

type parameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                schema
}

type body struct {
	Required bool
	Content  ordered[media]
}

type media struct {
	Schema   schema
	Examples ordered[struct{ Value json.RawMessage }]
}

type response struct {
	Ref, Description string
	Content          ordered[media]
}

func (r *response) UnmarshalJSON(b []byte) error {
	var v struct {
		Ref         string `json:"$ref"`
		Description string
		Content     ordered[media]
	}
	err := json.Unmarshal(b, &v)
	*r = response{v.Ref, v.Description, v.Content}
	return err
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any
	Description string
	Required    []string
	Properties  ordered[schema]
	Items       *schema
	Enum        []any
	Const       any
	OneOf       []schema
	AnyOf       []schema
	Default     json.RawMessage
	Pattern     string

	Minimum, Maximum                  *float64
	MinLength, MaxLength              *int
	MinItems, MaxItems, MaxProperties *int
}

// ordered is the members of an object in the order in which they are written.
type ordered[T any] []struct {
	Name  string
	Value T
}

func (o *ordered[T]) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return err
	}

	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var m struct {
			Name  string
			Value T
		}
		m.Name, _ = name.(string) // the decoder lets nothing else be a name
		if err := dec.Decode(&m.Value); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		*o = append(*o, m)
	}
	return nil
}

// everywhere are the refusals that every route with a credential may give, with their
// statuses. The page lists them once.
var everywhere = map[string]string{
	"Unauthorized": "401", "Forbidden": "403", "TooMany": "429", "Internal": "500", "Unavailable": "503",
}

// route is one operation as the page shows it.
type route struct {
	Method, Path string
	*operation
	Parameters []parameter
}

// render makes the page of a document.
func render(s *spec) (page, error) {
	byTag := map[string][]route{}
	for _, p := range s.Paths {
		for _, m := range []struct {
			name string
			op   *operation
		}{
			{"GET", p.Value.Get},
			{"POST", p.Value.Post},
			{"PUT", p.Value.Put},
			{"PATCH", p.Value.Patch},
			{"DELETE", p.Value.Delete},
			{"HEAD", p.Value.Head},
		} {
			if m.op == nil {
				continue
			}
			r := route{Method: m.name, Path: p.Name, operation: m.op}
			for _, par := range slices.Concat(p.Value.Parameters, m.op.Parameters) {
				if par.Ref != "" {
					par = s.Components.Parameters[refName(par.Ref)]
				}
				r.Parameters = append(r.Parameters, par)
			}
			byTag[m.op.Tags[0]] = append(byTag[m.op.Tags[0]], r)
		}
	}

	t, err := template.New("page").Funcs(template.FuncMap{
		"text":  text,
		"kind":  kind,
		"limit": limits,
		"css":   func() template.CSS { return template.CSS(style) }, // our own file
		"of":    func(tag string) []route { return byTag[tag] },
		"resolve": func(r response) response {
			if r.Ref != "" {
				r = s.response(refName(r.Ref))
			}
			return r
		},
		"common":     func() bool { return slices.ContainsFunc(s.Components.Responses, isCommon) },
		"everywhere": func(r response) bool { return everywhere[refName(r.Ref)] != "" },
		"status":     func(name string) string { return everywhere[name] },
		"named":      s.response,
		"problem":    func() schema { return schema{Ref: "#/components/schemas/Problem"} },
		"required":   func(of schema, name string) bool { return slices.Contains(of.Required, name) },
		"indent": func(raw json.RawMessage) (string, error) {
			var b bytes.Buffer
			err := json.Indent(&b, raw, "", "  ")
			return b.String(), err
		},
	}).Parse(pageSource)
	if err != nil {
		return page{}, fmt.Errorf("page.html: %w", err)
	}

	// The policy allows the page its own style and nothing else.
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return page{}, fmt.Errorf("page.html: %w", err)
	}
	sum := sha256.Sum256([]byte(style))
	return page{
		html: b.Bytes(),
		policy: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
			base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}, nil
}

// isCommon reports whether a response is one that every route may give.
func isCommon(r struct {
	Name  string
	Value response
},
) bool {
	return everywhere[r.Name] != ""
}

// response returns a response of the components; the zero one for an unknown name.
func (s *spec) response(name string) response {
	for _, r := range s.Components.Responses {
		if r.Name == name {
			return r.Value
		}
	}
	return response{}
}

func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

var code = regexp.MustCompile("`([^`]*)`")

// text returns a description as HTML: paragraphs, and code between backquotes.
func text(s string) template.HTML {
	var b strings.Builder
	for p := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		if p != "" {
			b.WriteString("<p>" + code.ReplaceAllString(template.HTMLEscapeString(p), "<code>$1</code>") + "</p>")
		}
	}
	return template.HTML(b.String()) // escaped above
}

// kind returns what kind a value is, with links to the schemas that have a name.
func kind(s schema) template.HTML {
	switch {
	case s.Ref != "":
		n := template.HTMLEscapeString(refName(s.Ref))
		return template.HTML(`<a href="#` + n + `">` + n + `</a>`) // escaped above
	case len(s.OneOf)+len(s.AnyOf) > 0:
		var parts []string
		for _, o := range slices.Concat(s.OneOf, s.AnyOf) {
			parts = append(parts, string(kind(o)))
		}
		return template.HTML(strings.Join(parts, " or ")) // of kind
	case s.Items != nil:
		return "array of " + kind(*s.Items)
	case len(s.Enum) > 0:
		return template.HTML(template.HTMLEscapeString(words(s.Enum))) // escaped
	case s.Const != nil:
		return template.HTML(template.HTMLEscapeString(fmt.Sprint(s.Const))) // escaped
	}
	switch t := s.Type.(type) {
	case string:
		return template.HTML(template.HTMLEscapeString(t)) // escaped
	case []any:
		return template.HTML(template.HTMLEscapeString(words(t))) // escaped
	}
	return "any"
}

func words(vs []any) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = fmt.Sprint(v)
		if v == nil {
			parts[i] = "null"
		}
	}
	return strings.Join(parts, " | ")
}

// limits returns the bounds of a value, and its default.
func limits(s schema) string {
	var parts []string
	between := func(low, high *float64, of string) {
		switch {
		case low != nil && high != nil:
			parts = append(parts, fmt.Sprintf("%v to %v%s", *low, *high, of))
		case low != nil:
			parts = append(parts, fmt.Sprintf("at least %v%s", *low, of))
		case high != nil:
			parts = append(parts, fmt.Sprintf("at most %v%s", *high, of))
		}
	}

	between(s.Minimum, s.Maximum, "")
	between(float(s.MinLength), float(s.MaxLength), " characters")
	between(float(s.MinItems), float(s.MaxItems), " items")
	between(nil, float(s.MaxProperties), " fields")
	if s.Pattern != "" {
		parts = append(parts, s.Pattern)
	}
	if len(s.Default) > 0 && string(s.Default) != `""` {
		parts = append(parts, "default "+string(s.Default))
	}

	return strings.Join(parts, "; ")
}

func float(n *int) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}
