package dialect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

func TestKitZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	unreadable := errors.New("unknown time zone Mars/Olympus")
	k := dialect.Kit{TenantZone: func(tenant int64) (*time.Location, error) {
		switch tenant {
		case 1:
			return berlin, nil
		case 2:
			return nil, nil //nolint:nilnil // it has set none
		}
		return nil, unreadable
	}}

	zone, err := k.Zone(1)
	require.NoError(t, err)
	require.Equal(t, berlin, zone)
	zone, err = k.Zone(2)
	require.NoError(t, err)
	require.Equal(t, dialect.DefaultZone, zone.String())
	_, err = k.Zone(3)
	require.ErrorIs(t, err, unreadable)
	zone, err = (&dialect.Kit{}).Zone(1)
	require.NoError(t, err)
	require.Equal(t, dialect.DefaultZone, zone.String())
}

func TestKitNow(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	before := time.Now().UnixMilli()
	now, err := (&dialect.Kit{}).Now(r)
	require.NoError(t, err)
	require.GreaterOrEqual(t, now, before)

	k := dialect.Kit{Clock: func(*http.Request) (int64, error) { return 7, nil }}
	now, err = k.Now(r)
	require.NoError(t, err)
	require.Equal(t, int64(7), now)

	k.Clock = func(*http.Request) (int64, error) { return 0, errors.New("X-Hookline-Now: is no time") }
	_, err = k.Now(r)
	require.Equal(t, &dialect.Fault{Status: 400, Text: "X-Hookline-Now: is no time"}, err)
}

func TestMayQuery(t *testing.T) {
	for _, role := range access.Roles {
		err := dialect.MayQuery(access.Caller{Role: role})
		if role == access.Owner || role == access.Query {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, &dialect.Fault{Status: 403, Text: "a key of role " + string(role) + " may not query"}, err)
	}
}

func TestReadBody(t *testing.T) {
	read := func(body, coding string) ([]byte, error) {
		r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(body))
		if coding != "" {
			r.Header.Set("Content-Encoding", coding)
		}
		return dialect.ReadBody(httptest.NewRecorder(), r, 100)
	}
	for _, coding := range []string{"", "identity", "Identity"} {
		raw, err := read("{}", coding)
		require.NoError(t, err)
		require.Equal(t, "{}", string(raw))
	}
	_, err := read("{}", "gzip")
	require.Equal(t, &dialect.Fault{Status: 415, Text: "must not be encoded", Body: true}, err)
	_, err = read(strings.Repeat(" ", 101), "")
	require.Equal(t, &dialect.Fault{Status: 413, Text: "must not be larger than 100 bytes", Body: true}, err)
}

// A fault is answered as it is, and is not the log's business.
func TestFaultOfFault(t *testing.T) {
	var log bytes.Buffer
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil)
	want := &dialect.Fault{Status: 415, Text: "must not be encoded", Body: true}
	require.Equal(t, want, dialect.FaultOf(w, r, slog.New(slog.NewTextHandler(&log, nil)), want))
	require.Empty(t, log.String())
}

// Whatever is read as an object is one, with all of its members.
func FuzzReadObject(f *testing.F) {
	for _, raw := range []string{
		`{}`, ` {"a": 1, "b": [{}]}`, `[]`, ``, `{} {}`, `{"a": 1,}`, "{\"a\": \"\xff\"}", `{"\u0061": null}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		members, ok := dialect.ReadObject(raw)
		if !ok {
			return
		}
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &want))
		for name, value := range members {
			require.True(t, json.Valid(value), "%q", name)
		}
	})
}
