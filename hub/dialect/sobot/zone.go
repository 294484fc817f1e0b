package sobot

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/dialect"
)

// checkZone returns an error when the header timezoneid cannot be read. It is for
// queries whose times have no zone.
func checkZone(r *http.Request) error {
	_, err := zoneNamed(r.Header.Get("timezoneid"))
	return err
}

// zoneNamed returns the time zone that a value of timezoneid means; nil when the
// value is empty.
func zoneNamed(id string) (*time.Location, error) {
	id = strings.Trim(id, " \t")
	if id == "" {
		return nil, nil //nolint:nilnil // not given is no error
	}
	zone, ok := readZone(id)
	if !ok {
		return nil, bad("PARAM_VALUE", "timezoneid", "must be a time zone, such as Asia/Singapore, UTC or +08:00")
	}
	return zone, nil
}

// readZone reads what java.time's ZoneId takes, which the document names as the
// type of timezoneid: Z, an offset such as +8 or -03:30, one of these behind UTC,
// GMT or UT, or the name of a zone.
func readZone(id string) (*time.Location, bool) {
	offset := id
	for _, prefix := range []string{"UTC", "GMT", "UT"} {
		rest, has := strings.CutPrefix(id, prefix)
		if !has {
			continue
		}
		if rest == "" {
			return time.UTC, true
		}
		offset = rest
		break
	}

	switch {
	case id == "Z":
		return time.UTC, true
	case offset[0] == '+' || offset[0] == '-':
		seconds, ok := readOffset(offset)
		return time.FixedZone(id, seconds), ok
	}
	return dialect.ZoneNamed(id)
}

// offsetForms are those of java.time's ZoneOffset.
var offsetForms = regexp.MustCompile(`^[+-](\d{1,2}|(\d\d):?(\d\d)|(\d\d):(\d\d):(\d\d)|(\d\d)(\d\d)(\d\d))$`)

// maxOffset is that of java.time.
const maxOffset = 18 * 60 * 60 // seconds

// readOffset reads an offset from UTC in seconds: ±h, ±hh, ±hh:mm, ±hhmm, ±hh:mm:ss
// or ±hhmmss, at most 18 hours.
func readOffset(s string) (seconds int, ok bool) {
	if !offsetForms.MatchString(s) {
		return 0, false
	}
	digits := strings.ReplaceAll(s[1:], ":", "")
	if len(digits) == 1 {
		digits = "0" + digits
	}

	for unit := 60 * 60; digits != ""; unit /= 60 {
		n, err := strconv.Atoi(digits[:2])
		if err != nil || unit < 60*60 && n > 59 {
			return 0, false
		}
		seconds += n * unit
		digits = digits[2:]
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, seconds >= -maxOffset && seconds <= maxOffset
}
