package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
)

// Bounds of the directory.
const (
	maxDirectoryBody = 8 << 20 // bytes of PUT /v1/directory
	maxBulkObjects   = 10_000  // in one request
	maxObjects       = 50_000  // of a tenant, of all kinds
)

// DirectoryStore keeps the tenants' directories. A change holds for every event
// accepted after it returns. Each is a row of the audit log, too.
type DirectoryStore interface {
	// PutObjects commits that the tenant's directory has these objects, in place
	// of those with their kinds and keys; all of them or, on an error, nothing.
	// ErrLimit when the tenant would have more than limit.
	PutObjects(ctx context.Context, by access.Caller, tenant int64, objects []directory.Object, limit int) error
	// DeleteObject commits that the object is deleted; ErrNotFound.
	DeleteObject(ctx context.Context, by access.Caller, tenant int64, k directory.Kind, id string) error
	// FindObject reads one object; ErrNotFound.
	FindObject(ctx context.Context, tenant int64, k directory.Kind, id string) (directory.Object, error)
	// FindObjects lists at most limit objects of a kind by key, those past after.
	FindObjects(ctx context.Context, tenant int64, k directory.Kind, after string, limit int) ([]directory.Object, error)
}

// kindOf returns the kind that the path names; a problem when there is no such kind.
func kindOf(ps httprouter.Params) (directory.Kind, error) {
	k := directory.Kind(ps.ByName("kind"))
	if k.KeyField() == "" {
		return "", problem.New(http.StatusNotFound, fmt.Sprintf("the directory has %v", directory.Kinds))
	}
	return k, nil
}

// objectID returns the key that the path names, read as events read their ids.
// ErrNotFound when no object can have it.
func objectID(ps httprouter.Params) (string, error) {
	id, ok := event.Identity(ps.ByName("id"))
	if !ok {
		return "", ErrNotFound
	}
	return id, nil
}

// readObject reads one object of a kind. path names the object in problems. id is
// the key that the URL gives, or "" if the object says its key itself.
func readObject(raw []byte, k directory.Kind, path, id string) (directory.Object, error) {
	o := directory.New(k)
	if err := decodeBytes(raw, o); err != nil {
		return nil, under(path, err)
	}

	problems := directory.Check(o, id)
	if len(problems) == 0 {
		return o, nil
	}

	d := problem.Field(http.StatusUnprocessableEntity, path+problems[0].Field, problems[0].Message)
	for _, p := range problems[1:] {
		d.Errors = append(d.Errors, problem.Error{Field: path + p.Field, Message: p.Message})
	}
	return nil, d
}

// under puts a path before the fields of a problem.
func under(path string, err error) error {
	var d *problem.Details
	if path == "" || !errors.As(err, &d) {
		return err
	}
	if len(d.Errors) == 0 {
		return problem.Field(d.Status, strings.TrimSuffix(path, "."), d.Detail)
	}

	out := *d
	out.Errors = nil
	for _, e := range d.Errors {
		out.Errors = append(out.Errors, problem.Error{Field: path + e.Field, Message: e.Message})
	}
	out.Detail = path + d.Detail
	return &out
}

// PutObject is PUT /v1/directory/{kind}/{id}: it replaces the object as a whole. A
// field that the body lacks gets its default.
func (a *API) PutObject(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	k, err := kindOf(ps)
	if err != nil {
		return 0, nil, err
	}
	raw, err := body(r)
	if err != nil {
		return 0, nil, err
	}

	o, err := readObject(raw, k, "", ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}

	if err := a.Directory.PutObjects(r.Context(), c, c.Tenant, []directory.Object{o}, maxObjects); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, o, nil
}

// PutDirectory is PUT /v1/directory: it puts many objects, all of them or, on an
// error, nothing. Objects that it does not name stay.
func (a *API) PutDirectory(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	raw, err := bodyUpTo(r, maxDirectoryBody)
	if err != nil {
		return 0, nil, err
	}
	objects, err := readObjects(raw)
	if err != nil {
		return 0, nil, err
	}

	if len(objects) > 0 {
		if err := a.Directory.PutObjects(r.Context(), c, c.Tenant, objects, maxObjects); err != nil {
			return 0, nil, err
		}
	}

	// The answer counts the objects by kind, also the kinds that the body lacks.
	count := map[directory.Kind]int{}
	for _, k := range directory.Kinds {
		count[k] = 0
	}
	for _, o := range objects {
		count[o.Kind()]++
	}
	return http.StatusOK, count, nil
}

// readObjects reads the body of PUT /v1/directory, object by object, so that what is
// too much or wrong costs no more than what stands before it.
func readObjects(raw []byte) ([]directory.Object, error) {
	if err := checkText(raw, true); err != nil {
		return nil, err
	}
	b := bulk{dec: json.NewDecoder(bytes.NewReader(raw)), lists: map[directory.Kind][]directory.Object{}}
	if err := b.read(); err != nil {
		return nil, err
	}
	if err := checkEnd(b.dec); err != nil {
		return nil, err
	}

	objects := make([]directory.Object, 0, b.n)
	for _, k := range directory.Kinds {
		objects = append(objects, b.lists[k]...)
	}
	return objects, nil
}

// bulk is a body of PUT /v1/directory that is being read.
type bulk struct {
	dec   *json.Decoder
	lists map[directory.Kind][]directory.Object
	n     int // objects in the lists
}

// read reads the body, which is one JSON object with a list for each kind.
func (b *bulk) read() error {
	if _, err := b.dec.Token(); err != nil {
		return malformed(err)
	}

	for b.dec.More() {
		tok, err := b.dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := tok.(string) // the decoder lets nothing else be a key
		k := directory.Kind(name)
		_, twice := b.lists[k]

		switch {
		case k.KeyField() == "":
			return problem.Field(http.StatusUnprocessableEntity, name, "is not a field of this request")
		case twice:
			return problem.Field(http.StatusBadRequest, name, "is there twice")
		}

		if err := b.list(k); err != nil {
			return err
		}
	}

	if _, err := b.dec.Token(); err != nil { // the closing bracket
		return malformed(err)
	}
	return nil
}

// list reads the objects of one kind. null is an empty list.
func (b *bulk) list(k directory.Kind) error {
	tok, err := b.dec.Token()
	if err != nil {
		return malformed(err)
	}
	b.lists[k] = nil
	if tok == nil {
		return nil
	}
	if tok != json.Delim('[') {
		return problem.Field(http.StatusUnprocessableEntity, string(k), "must be an array, not "+wordOf(tok))
	}

	seen := map[string]int{}
	for i := 0; b.dec.More(); i++ {
		b.n++
		if b.n > maxBulkObjects {
			return problem.New(http.StatusRequestEntityTooLarge,
				fmt.Sprintf("at most %d objects in one request", maxBulkObjects))
		}

		var item json.RawMessage
		if err := b.dec.Decode(&item); err != nil {
			return malformed(err)
		}

		path := fmt.Sprintf("%s[%d].", k, i)
		if len(item) > maxBody { // the bound of an object that is put alone
			return problem.Field(http.StatusRequestEntityTooLarge, fmt.Sprintf("%s[%d]", k, i),
				fmt.Sprintf("is larger than %d MiB", maxBody>>20))
		}

		o, err := readObject(item, k, path, "")
		if err != nil {
			return err
		}

		// Two objects of a request must not have one key: which one holds would be an accident.
		if first, twice := seen[o.Key()]; twice {
			return problem.Field(http.StatusUnprocessableEntity, path+k.KeyField(),
				fmt.Sprintf("is that of %s[%d], too", k, first))
		}

		seen[o.Key()] = i
		b.lists[k] = append(b.lists[k], o)
	}

	if _, err := b.dec.Token(); err != nil { // the closing bracket
		return malformed(err)
	}
	return nil
}

// wordOf returns the kind of a JSON token, as encoding/json calls it.
func wordOf(tok json.Token) string {
	switch tok.(type) {
	case string:
		return "string"
	case bool:
		return "bool"
	case json.Delim:
		return "object"
	default:
		return "number"
	}
}

// GetObject is GET /v1/directory/{kind}/{id}.
func (a *API) GetObject(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	k, err := kindOf(ps)
	if err != nil {
		return 0, nil, err
	}
	id, err := objectID(ps)
	if err != nil {
		return 0, nil, err
	}

	o, err := a.Directory.FindObject(r.Context(), c.Tenant, k, id)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, o, nil
}

// ListObjects is GET /v1/directory/{kind}: by key.
func (a *API) ListObjects(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	k, err := kindOf(ps)
	if err != nil {
		return 0, nil, err
	}
	list, after := "directory/"+string(k), ""
	limit, err := a.readPage(r, list, &after)
	if err != nil {
		return 0, nil, err
	}

	objects, err := a.Directory.FindObjects(r.Context(), c.Tenant, k, after, limit+1)
	if err != nil {
		return 0, nil, err
	}
	objects, next := cutPage(a.Cursors, list, objects, limit, func(o *directory.Object) any { return (*o).Key() })
	return http.StatusOK, pageOf(objects, next), nil
}

// DeleteObject is DELETE /v1/directory/{kind}/{id}.
func (a *API) DeleteObject(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	k, err := kindOf(ps)
	if err != nil {
		return 0, nil, err
	}
	id, err := objectID(ps)
	if err != nil {
		return 0, nil, err
	}

	if err := a.Directory.DeleteObject(r.Context(), c, c.Tenant, k, id); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, nil
}
