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

	"github.com/hookline/hookline/hub/problem"
)

// How many rows a page holds when the caller does not say, and at most.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// page is the envelope of every list. No nextCursor: this was the last page.
type page[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"nextCursor,omitempty"`
}

// answerList writes one page; next is "" on the last.
func answerList[T any](a *API, w http.ResponseWriter, r *http.Request, data []T, next string) {
	if data == nil {
		data = []T{} // a list is never null
	}
	a.answer(w, r, http.StatusOK, page[T]{data, next})
}

// Cursors makes and reads the cursors of lists. They are sealed against
// change: a forged one could otherwise ask for rows that no page showed.
type Cursors struct {
	Key []byte // 32 secret bytes, the same on every process
}

const macSize = 16

// Make a cursor of list out of a place in it, any JSON value.
func (c Cursors) Make(list string, place any) string {
	body, err := json.Marshal(place)
	if err != nil {
		panic("api: cursor of " + list + ": " + err.Error()) // our own plain structs always marshal
	}
	return base64.RawURLEncoding.EncodeToString(append(c.mac(list, body), body...))
}

// Read a cursor that Make of the same list gave into place. Anything else is a
// problem with the field cursor.
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
			return nil, problem.Field(http.StatusBadRequest, name, "is not a parameter of this route; there are: "+strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return nil, problem.Field(http.StatusBadRequest, name, "is given more than once")
		}
	}
	return q, nil
}

// limitOf reads limit: 1..500, default 50.
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

// parseTime reads a time as RFC 3339 or Unix ms; field names it in the problem.
func parseTime(field, s string) (time.Time, error) {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return time.Time{}, problem.Field(http.StatusBadRequest, field, "must be RFC 3339 (2026-01-02T15:04:05Z) or Unix milliseconds")
		}
		ms = t.UnixMilli()
	}
	// Below 1973 in ms are most likely seconds; past 9999 does not print.
	if ms < 100_000_000_000 || ms > 253_402_300_799_999 {
		return time.Time{}, problem.Field(http.StatusBadRequest, field, "is out of range: a time is of the years 1973 to 9999, and a number means Unix milliseconds")
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Time goes out as RFC 3339 UTC with milliseconds.
type Time time.Time

// MarshalJSON writes the time, the zero one as null.
func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// String is the time as it goes out; "" for nil and the zero one.
func (t *Time) String() string {
	if t == nil || time.Time(*t).IsZero() {
		return ""
	}
	return time.Time(*t).UTC().Format("2006-01-02T15:04:05.000Z")
}

// timePtr is nil for nil, so that omitempty leaves it out.
func timePtr(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	out := Time(*t)
	return &out
}
