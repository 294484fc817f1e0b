package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tidwall/gjson"
)

// Remote is the hub that a command talks to, and how to show the answer.
type Remote struct {
	URL     string        `env:"HOOKLINE_URL" default:"http://127.0.0.1:8080" help:"Address of the hub."`
	Key     string        `env:"HOOKLINE_KEY" help:"API key."`
	Timeout time.Duration `default:"30s" help:"Bound of each request."`
	JSON    bool          `help:"Print the JSON of the API."`
}

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 32 << 20

// refusal is an answer other than 2xx.
type refusal struct {
	Status int    `json:"-"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"errors"`
}

func (r *refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", r.Status, cmp.Or(r.Title, http.StatusText(r.Status)))
	if r.Detail != "" {
		b.WriteString(": " + clean(r.Detail))
	}
	for _, e := range r.Errors {
		b.WriteString("\n  " + clean(e.Field) + ": " + clean(e.Message))
	}
	return b.String()
}

// call makes one request and returns the body of the answer. in becomes the JSON body
// unless it is nil. A version other than 0 becomes If-Match.
func (r *Remote) call(ctx context.Context, method, path string, in any, version int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("body of the request: %w", err)
		}
		body = bytes.NewReader(b)
	}

	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.URL, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("url %q: %w", r.URL, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if version != 0 {
		req.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(version, 10)))
	}
	if r.Key != "" {
		req.Header.Set("Authorization", "Bearer "+r.Key)
	}

	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		refused := &refusal{Status: resp.StatusCode}
		_ = json.Unmarshal(raw, refused) // if it is not the hub's JSON the status must do
		return nil, refused
	}
	return raw, nil
}

// client follows no redirect: a key must not travel to where an answer points.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// list returns the rows of all pages.
func (r *Remote) list(ctx context.Context, path string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	query := url.Values{"limit": {"500"}}
	for {
		raw, err := r.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, 0)
		if err != nil {
			return nil, err
		}
		var page struct {
			Data       []json.RawMessage `json:"data"`
			NextCursor string            `json:"nextCursor"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("answer of %s: %w", path, err)
		}

		all = append(all, page.Data...)
		if page.NextCursor == "" {
			return all, nil
		}
		if page.NextCursor == query.Get("cursor") {
			return nil, errors.New("the hub gives the same page again")
		}
		query.Set("cursor", page.NextCursor)
	}
}

// show prints one object, a line per field, or its JSON.
func (r *Remote) show(w io.Writer, raw []byte) error {
	if r.JSON {
		_, err := w.Write(append(bytes.TrimSpace(raw), '\n'))
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	gjson.ParseBytes(raw).ForEach(func(name, value gjson.Result) bool {
		fmt.Fprintf(tw, "%s\t%s\n", clean(name.String()), cell(value))
		return true
	})
	return tw.Flush()
}

// table prints a list, with a column for each field named, or as {"data": […]}.
func (r *Remote) table(w io.Writer, rows []json.RawMessage, columns ...string) error {
	if r.JSON {
		return json.NewEncoder(w).Encode(map[string]any{"data": append([]json.RawMessage{}, rows...)})
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(columns, "\t")))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = cell(gjson.GetBytes(row, c))
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// cell writes a value for people.
func cell(v gjson.Result) string {
	switch {
	case v.Type == gjson.Null:
		return "-"
	case v.IsArray():
		var parts []string
		for _, e := range v.Array() {
			parts = append(parts, cell(e))
		}
		return strings.Join(parts, ",")
	}
	return cmp.Or(clean(v.String()), "-")
}

// clean replaces control characters by spaces: names come from other people, and must
// not be able to move the cursor of a terminal.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}

// fields is the body of a POST or PATCH. It has what was set on the command line.
type fields map[string]any

// set sets a field, unless value is nil because the flag is missing.
func set[T any](f fields, name string, value *T) {
	if value != nil {
		f[name] = *value
	}
}

// setJSON sets a field to JSON, unless value is nil because the flag is missing.
func (f fields) setJSON(name string, value *string) error {
	if value == nil {
		return nil
	}
	if !json.Valid([]byte(*value)) {
		return fmt.Errorf("--%s: not JSON", name)
	}
	f[name] = json.RawMessage(*value)
	return nil
}

// done prints what was done, or with --json the answer, if there is one.
func (r *Remote) done(w io.Writer, raw []byte, what string) error {
	if r.JSON {
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 {
			return nil
		}
		_, err := w.Write(append(raw, '\n'))
		return err
	}
	_, err := fmt.Fprintln(w, what)
	return err
}
