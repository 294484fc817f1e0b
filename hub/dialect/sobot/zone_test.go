package sobot

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timezoneid takes what java.time's ZoneId takes, its offsets included.
func TestZoneID(t *testing.T) {
	at := time.Date(2022, 7, 5, 12, 0, 0, 0, time.UTC)
	for id, want := range map[string]int{
		"Asia/Singapore":   8 * 3600,
		" Asia/Singapore ": 8 * 3600,
		"America/New_York": -4 * 3600,
		"Etc/GMT+8":        -8 * 3600, // a zone's name, whose sign is the other way round
		"UTC":              0,
		"GMT":              0,
		"UT":               0,
		"UCT":              0,
		"Z":                0,
		"+8":               8 * 3600,
		"-8":               -8 * 3600,
		"+08":              8 * 3600,
		"+08:00":           8 * 3600,
		"+0800":            8 * 3600,
		"-03:30":           -(3*3600 + 30*60),
		"-0330":            -(3*3600 + 30*60),
		"+05:45:30":        5*3600 + 45*60 + 30,
		"+054530":          5*3600 + 45*60 + 30,
		"+18:00":           18 * 3600,
		"-18":              -18 * 3600,
		"UTC+8":            8 * 3600,
		"UTC+08:00":        8 * 3600,
		"GMT+8":            8 * 3600,
		"GMT-0330":         -(3*3600 + 30*60),
		"GMT0":             0,
		"GMT+0":            0,
		"UT+08":            8 * 3600,
		"UTC-18:00":        -18 * 3600,
	} {
		zone, err := zoneNamed(id)
		require.NoError(t, err, "%q", id)
		_, offset := at.In(zone).Zone()
		require.Equal(t, want, offset, "%q", id)
	}

	for _, id := range []string{
		"Local", "Mars", "Asia/Nowhere", "asia/singapore", "utc", "z", "../etc/passwd", "/etc/localtime", "Asia/", "\x00",
		"8", "+", "-", "+:", "+8:00", "+080", "+08:0", "+08:60", "+0860", "+08:00:60", "+08:0000", "+0800:00", "+18:01",
		"+19", "-18:00:01",
		"+ 8", "+08:00 x", "UTC8", "UTC 8", "GMT 0", "UTC+", "GMT+19", "UT+8:00", "Z+8", "UTCZ", "+٠٨:00",
		// Folders of a machine's own database: with leap seconds, or what the machine is set to.
		"right/Asia/Singapore", "posix/Asia/Singapore", "localtime", "posixrules",
	} {
		_, err := zoneNamed(id)
		var refused *problem
		require.ErrorAs(t, err, &refused, "%q", id)
		require.Equal(t, 400, refused.Status)
		require.Equal(t, "PARAM_VALUE", refused.Reason)
	}
}

// Whatever timezoneid is, it is a zone whose offset java.time knows, or a problem
// that says 400.
func FuzzZoneID(f *testing.F) {
	for _, id := range []string{"Asia/Singapore", "UTC+8", "GMT-03:30", "+05:45:30", "Z", "", "Local", "+18:00:01", "UT"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		zone, err := zoneNamed(id)
		if err != nil {
			var refused *problem
			if !errors.As(err, &refused) || refused.Status != 400 {
				t.Fatalf("%v", err)
			}
			return
		}
		if zone == nil {
			return
		}
		if _, offset := time.UnixMilli(1_657_000_000_000).In(zone).Zone(); offset < -maxOffset || offset > maxOffset {
			t.Fatalf("%q is %d s from UTC", id, offset)
		}
	})
}
