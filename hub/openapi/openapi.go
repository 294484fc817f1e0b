// Package openapi describes the hub's API: as an OpenAPI 3.1 document for machines, and as
// a page for people that is made of it and loads nothing else. A test of hub compares the
// document with the route table and with real answers. The package imports nothing of ours.
package openapi

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var source []byte

// Vendors are the names of the vendors' APIs, which have documents of their own.
var Vendors = []string{"sobot", "deepcall", "liveperson", "comm100"}

//go:embed vendors/*.yaml
var vendorSources embed.FS

// anchors is the name of the member of the source that only holds what other members repeat.
const anchors = "x-anchors"

// Document is the description in both forms.
type Document struct {
	JSON []byte
	page page
}

// Load reads the embedded source, once. An error is a mistake in the source.
func Load() (*Document, error) { return load() }

var load = sync.OnceValues(func() (*Document, error) {
	s := &spec{Self: "/openapi.json"}
	for _, v := range Vendors {
		s.Others = append(s.Others, "/docs/"+v)
	}
	return build("openapi.yaml", source, s)
})

// LoadVendors reads the embedded documents of the vendors' APIs, once. They are by name.
func LoadVendors() (map[string]*Document, error) { return loadVendors() }

var loadVendors = sync.OnceValues(func() (map[string]*Document, error) {
	all := map[string]*Document{}
	for _, name := range Vendors {
		file := "vendors/" + name + ".yaml"
		raw, err := vendorSources.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s := &spec{Self: "/openapi/" + name + ".json", Others: []string{"/docs"}}
		if all[name], err = build(file, raw, s); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// build makes a document of a source, whose file is named in errors. s says where it is
// served.
func build(file string, source []byte, s *spec) (*Document, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(source, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}

	var b bytes.Buffer
	if err := writeJSON(&b, root.Content[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}

	d := &Document{JSON: b.Bytes()}
	if err := json.Unmarshal(d.JSON, s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}

	var err error
	d.page, err = render(s)
	return d, err
}

// ServeJSON answers with the document.
func (d *Document) ServeJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(d.JSON) // an error means that the caller went away
}

// ServePage answers with the page.
func (d *Document) ServePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", d.page.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(d.page.html)
}

// writeJSON writes a node as JSON, in the order of the source, which is made for readers.
func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.AliasNode:
		return writeJSON(b, n.Alias)

	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')

	case yaml.MappingNode: // JSON keeps the members in the order of the file
		b.WriteByte('{')
		for i, m := range members(n) {
			if i > 0 {
				b.WriteByte(',')
			}
			name, err := json.Marshal(m.name)
			if err != nil {
				return err
			}
			b.Write(append(name, ':'))
			if err := writeJSON(b, m.value); err != nil {
				return err
			}
		}
		b.WriteByte('}')

	default: // a scalar
		var v any
		if err := n.Decode(&v); err != nil {
			return err
		}
		if s, ok := v.(string); ok {
			v = strings.TrimSpace(s) // block texts end with a line feed
		}
		out, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		b.Write(out)
	}
	return nil
}

type member struct {
	name  string
	value *yaml.Node
}

// members returns the members of a mapping, and those that it merges, where its own win.
func members(n *yaml.Node) (ms []member) {
	own := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		own[n.Content[i].Value] = true
	}

	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Value == anchors:
		case name.Tag == "!!merge":
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			for _, m := range members(value) {
				if !own[m.name] {
					ms = append(ms, m)
				}
			}
		default:
			ms = append(ms, member{name.Value, value})
		}
	}
	return ms
}
