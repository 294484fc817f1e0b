package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
)

// DefaultLimit is how many rows a page holds when the caller does not say, and
// MaxLimit is the most that a caller may ask for.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// page is the envelope of every list. The last page has no nextCursor.
type page[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"nextCursor,omitempty"`
	indexedView
}

// pageOf returns one page of views; next is "" on the last.
func pageOf[T any](views []T, next string) page[T] {
	if views == nil {
		views = []T{} // a list is never null
	}
	return page[T]{Data: views, NextCursor: next}
}

// about returns the page of a search for a number, with what the index of numbers lacks.
func (p page[T]) about(indexed indexedView) page[T] {
	p.indexedView = indexed
	return p
}

// viewsOf makes a view of each row.
func viewsOf[R, V any](rows []R, view func(*R) V) []V {
	views := make([]V, len(rows))
	for i := range rows {
		views[i] = view(&rows[i])
	}
	return views
}

// cutPage cuts rows to a page of at most limit rows. The caller asked the store for one
// row more, to see whether another page follows. next is the cursor of that page, made
// of the place of the last row of this one, and "" if there is no other page.
func cutPage[R any](cursors Cursors, list string, rows []R, limit int, place func(*R) any) (cut []R, next string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, cursors.Make(list, place(&rows[limit-1]))
}

// readPage reads the parameters limit and cursor. It refuses all others but those in
// names.
func (a *API) readPage(r *http.Request, list string, place any, names ...string) (limit int, err error) {
	q, err := query(r, append(names, "limit", "cursor")...)
	if err != nil {
		return 0, err
	}

	if s := q.Get("cursor"); s != "" {
		if err := a.Cursors.Read(list, s, place); err != nil {
			return 0, err
		}
	}
	return limitOf(q)
}

// Cursors makes and reads the cursors of lists. They are sealed against
// change: a forged one could otherwise ask for rows that no page showed.
type Cursors struct {
	Key []byte // 32 secret bytes, the same on every process
}

const macSize = 16

// Make returns a cursor of list for a place in it, which may be any JSON value.
func (c Cursors) Make(list string, place any) string {
	body, err := json.Marshal(place)
	if err != nil {
		panic("api: cursor of " + list + ": " + err.Error()) // our own plain structs always marshal
	}
	return base64.RawURLEncoding.EncodeToString(append(c.mac(list, body), body...))
}

// Read reads a cursor, which Make returned for the same list, into place. Anything
// else is a problem with the field cursor.
func (c Cursors) Read(list, cursor string, place any) error {
	bad := problem.Field(http.StatusBadRequest, "cursor", "is not a cursor of this list")
	if len(cursor) > 1024 {
		return bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < macSize || !hmac.Equal(b[:macSize], c.mac(list, b[macSize:])) {
		return bad
	}
	if json.Unmarshal(b[macSize:], place) != nil {
		return bad
	}
	return nil
}

func (c Cursors) mac(list string, body []byte) []byte {
	m := hmac.New(sha256.New, c.Key)
	m.Write([]byte(list))
	m.Write([]byte{0})
	m.Write(body)
	return m.Sum(nil)[:macSize]
}

// query reads the parameters of a request and refuses those that are not
// among names, repeated ones and malformed escapes.
func query(r *http.Request, names ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.New(http.StatusBadRequest, "the query string is malformed")
	}
	for name, values := range q {
		if !slices.Contains(names, name) {
			return nil, problem.Field(http.StatusBadRequest, name,
				"is not a parameter of this route; there are: "+strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return nil, problem.Field(http.StatusBadRequest, name, "is given more than once")
		}
	}
	return q, nil
}

// limitOf reads limit, which is 1 to 500, and 50 by default.
func limitOf(q url.Values) (int, error) {
	s := q.Get("limit")
	if s == "" {
		return DefaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, problem.Field(http.StatusBadRequest, "limit", "must be a number from 1 to 500")
	}
	return n, nil
}

// typesOf reads type: names with wildcards, separated by commas; 0 if it is missing.
func typesOf(q url.Values) (event.Mask, error) {
	if q.Get("type") == "" {
		return 0, nil
	}
	types, unknown := event.ParseMask(strings.Split(q.Get("type"), ","))
	if unknown != "" || types == 0 {
		return 0, problem.Field(http.StatusBadRequest, "type", strconv.Quote(unknown)+" matches no type of event")
	}
	return types, nil
}

// timesOf reads from and to as Unix ms; 0 for one that is missing.
func timesOf(q url.Values) (from, to int64, err error) {
	for name, ms := range map[string]*int64{"from": &from, "to": &to} {
		if s := q.Get(name); s != "" {
			t, err := parseTime(name, s)
			if err != nil {
				return 0, 0, err
			}
			*ms = t.UnixMilli()
		}
	}

	if from > 0 && to > 0 && from > to {
		return 0, 0, problem.Field(http.StatusBadRequest, "from", "must not be after to")
	}
	return from, to, nil
}

// orderKeyOf reads orderKey, which is the key itself or its handle; "" if it is missing.
func (a *API) orderKeyOf(c access.Caller, q url.Values) (string, error) {
	s := q.Get("orderKey")
	if !strings.HasPrefix(s, orderKeyHandle) { // no order key begins so
		return s, nil
	}
	key, ok := a.Handles.Read(orderKeyHandle, c.Tenant, s)
	if !ok {
		return "", problem.Field(http.StatusBadRequest, "orderKey",
			"is neither an order key nor the handle of one of this tenant")
	}
	return key, nil
}

// boolOf reads a parameter that is true or false; nil if it is missing.
func boolOf(q url.Values, name string) (*bool, error) {
	switch q.Get(name) {
	case "":
		return nil, nil
	case "true":
		return new(true), nil
	case "false":
		return new(false), nil
	}
	return nil, problem.Field(http.StatusBadRequest, name, "must be true or false")
}

// parseTime reads a time as RFC 3339 or Unix ms; field names it in the problem.
func parseTime(field, s string) (time.Time, error) {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return time.Time{}, problem.Field(http.StatusBadRequest, field,
				"must be RFC 3339 (2026-01-02T15:04:05Z) or Unix milliseconds")
		}
		ms = t.UnixMilli()
	}
	// A number below 1973 in ms is most likely one of seconds, and RFC 3339 cannot print a year past 9999.
	if ms < 100_000_000_000 || ms > 253_402_300_799_999 {
		return time.Time{}, problem.Field(http.StatusBadRequest, field,
			"is out of range: a time is of the years 1973 to 9999, and a number means Unix milliseconds")
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Time is a time that answers write as RFC 3339 UTC with milliseconds.
type Time time.Time

// MarshalJSON writes the time; the zero time is null.
func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// String returns the time as answers write it; "" for nil and the zero time.
func (t *Time) String() string {
	if t == nil || time.Time(*t).IsZero() {
		return ""
	}
	return time.Time(*t).UTC().Format("2006-01-02T15:04:05.000Z")
}

// timePtr returns a time for a view; nil for nil, so that omitempty leaves it out.
func timePtr(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	out := Time(*t)
	return &out
}

// timeOf returns the time of Unix ms.
func timeOf(ms int64) Time { return Time(time.UnixMilli(ms)) }

// timeOrNone returns the time of Unix ms; nil for 0.
func timeOrNone(ms int64) *Time {
	if ms == 0 {
		return nil
	}
	t := timeOf(ms)
	return &t
}
