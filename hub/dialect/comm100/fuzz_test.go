package comm100

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

// Whatever a query says, its window is one, or the answer is 400.
func FuzzParams(f *testing.F) {
	for _, q := range []string{
		"startTime=2022-07-05T00:00:00&endTime=2022-07-05T23:59:59", "UTCOFFSET=-14&starttime=9999-12-31T23:59:59",
		"pageSize=5&x=%00;", "endTime=1970-01-01T00:00:00&utcOffset=840",
		"startTime=1970-01-01T00:00:00.0000001%2B14:00&endTime=9999-12-31T23:59:59.999999999-1400",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var p *problem
		q, err := readParams(raw, time.UTC)
		if err != nil {
			require.ErrorAs(t, err, &p)
			require.Equal(t, http.StatusBadRequest, p.Status)
			return
		}
		w, _, err := q.window(1_700_000_000_000)
		if err != nil {
			require.ErrorAs(t, err, &p)
			return
		}
		require.GreaterOrEqual(t, w.From, int64(0))
		require.GreaterOrEqual(t, w.Length(), int64(0)) // none, when it begins after now
		_, _ = q.flag("includeStatusDistribution")
		n, err := q.number("pageSize", defaultPage, maxPage)
		require.True(t, err != nil || n >= 1 && n <= maxPage)
	})
}

// A header is a key, none, or wrong.
func FuzzKey(f *testing.F) {
	for _, h := range []string{"Bearer hk_a_b", "Basic YTpi", "basic  Og==", "x", ""} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, err := readKey([]string{header})
		require.True(t, (key != "") == (err == nil))
		require.True(t, err == nil || errors.Is(err, access.ErrCredential))
	})
}

func TestShapes(t *testing.T) {
	for ms, want := range map[timeSpan]string{
		0: "00:00:00", 50: "00:00:00.0500000", 24_837_050: "06:53:57.0500000", 90_061_000: "1.01:01:01",
		1: "00:00:00.0010000",
	} {
		raw, err := json.Marshal(ms)
		require.NoError(t, err)
		require.Equal(t, `"`+want+`"`, string(raw))
	}
	for d, want := range map[double]string{0: "0.0", 1: "1.0", 0.25: "0.25", 1e21: "1000000000000000000000.0"} {
		raw, err := json.Marshal(d)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
}

// The allowance of one address is not that of another, nor of another tenant.
func TestAllowance(t *testing.T) {
	var a allowance
	require.Zero(t, a.take(1, "x", 1))
	require.Positive(t, a.take(1, "x", 1))
	require.Zero(t, a.take(1, "y", 1))
	require.Zero(t, a.take(2, "x", 1))
	for _, c := range a.counts { // 5 minutes later
		c.until = c.until.Add(-2 * allowanceTime)
	}
	require.Zero(t, a.take(1, "x", 1))
	a.cleaned = a.cleaned.Add(-2 * allowanceTime)
	require.Zero(t, a.take(3, "z", 1))
	require.Len(t, a.counts, 2, "the others were dropped")
}

// What is no time in one of the forms is refused.
func TestInstants(t *testing.T) {
	for _, wrong := range []string{
		"2022-07-05", "2022-07-05T00:00", "2022-07-05 00:00:00", "2022-07-05T00:00:00z", "2022-07-05T00:00:00.",
		"2022-07-05T00:00:00,5",
		"2022-07-05T00:00:00.1234567890", "2022-07-05T00:00:00+8", "2022-07-05T00:00:00+08", "2022-07-05T00:00:00+14:01",
		"2022-07-05T00:00:00-15:00",
		"2022-07-05T00:00:00+08:60", "2022-07-05T00:00:00ZZ", "2022-07-05T00:00:00Z+08:00", "2022-02-30T00:00:00Z",
		"2022-07-05T24:00:00", "1969-12-31T23:59:59Z",
		"2022-07-05T00:00:00 GMT", "0022-07-05T00:00:00", "٢022-07-05T00:00:00",
	} {
		p := &params{values: map[string]string{"starttime": wrong}, zone: time.UTC}
		_, _, err := p.instant("startTime")
		require.ErrorContains(t, err, "startTime: must be a time", wrong)
	}
}
