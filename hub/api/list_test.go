package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCursors(t *testing.T) {
	c := Cursors{Key: []byte("0123456789abcdef0123456789abcdef")}
	type place struct{ Seq, Sub int64 }
	text := c.Make("deliveries", place{1 << 60, 7})
	require.Regexp(t, `^[A-Za-z0-9_-]+$`, text)

	var got place
	require.NoError(t, c.Read("deliveries", text, &got))
	require.Equal(t, place{1 << 60, 7}, got)

	changed := []byte(text)
	changed[len(changed)-2] ^= 1
	for name, tt := range map[string]struct {
		c          Cursors
		list, text string
	}{
		"of another list": {c, "events", text},
		"of another key":  {Cursors{Key: []byte("another")}, "deliveries", text},
		"changed":         {c, "deliveries", string(changed)},
		"cut":             {c, "deliveries", text[:len(text)-4]},
		"not base64":      {c, "deliveries", text + "!"},
		"short":           {c, "deliveries", "AAAA"},
		"empty":           {c, "deliveries", ""},
	} {
		require.ErrorContains(t, tt.c.Read(tt.list, tt.text, &got), "cursor", name)
	}
}

func FuzzCursorRead(f *testing.F) {
	c := Cursors{Key: []byte("0123456789abcdef0123456789abcdef")}
	f.Add(c.Make("keys", "x"))
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		var place string
		if c.Read("keys", text, &place) == nil {
			require.Equal(t, c.Make("keys", place), text, "only what Make gave is read")
		}
	})
}

func TestQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"limit=5&cursor=x": "",
		"":                 "",
		"limt=5":           "limt: is not a parameter of this route; there are: limit, cursor",
		"limit=1&limit=2":  "limit: is given more than once",
		"limit=%zz":        "the query string is malformed",
		"a;b=1":            "the query string is malformed",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = raw
		_, err := query(r, "limit", "cursor")
		if want == "" {
			require.NoError(t, err, raw)
			continue
		}
		require.ErrorContains(t, err, want, raw)
	}
}

func TestLimitOf(t *testing.T) {
	for s, want := range map[string]int{
		"": 50, "1": 1, "500": 500, "0": 0, "501": 0, "-1": 0, "x": 0, "1.5": 0, "99999999999999999999": 0,
	} {
		got, err := limitOf(map[string][]string{"limit": {s}})
		require.Equal(t, want, got, s)
		require.Equal(t, want == 0, err != nil, s)
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 11, 20, 8, 0, 0, 123e6, time.UTC)
	for _, s := range []string{"2026-11-20T08:00:00.123Z", "2026-11-20T16:00:00.123+08:00", "1795161600123"} {
		got, err := parseTime("from", s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "now", "2026-11-20", "1795161600", "-1", "999999999999999", "99999999999999999999"} {
		_, err := parseTime("from", s)
		require.ErrorContains(t, err, "from", s)
	}
}

func TestTimeGoesOutInUTCWithMilliseconds(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	b, err := Time(time.Date(2026, 11, 20, 16, 0, 0, 0, zone)).MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, `"2026-11-20T08:00:00.000Z"`, string(b))
	b, err = Time{}.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, `null`, string(b))
}

func TestIfMatch(t *testing.T) {
	for s, want := range map[string]int64{
		"": 0, "*": 0, `"7"`: 7, "7": 7, `W/"7"`: -1, `"x"`: -1, "0": -1, "-3": -1, `"1","2"`: -1,
	} {
		r := httptest.NewRequest(http.MethodPatch, "/", nil)
		r.Header.Set("If-Match", s)
		got, err := ifMatch(r)
		if want < 0 {
			require.ErrorContains(t, err, "If-Match", s)
			continue
		}
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
}
