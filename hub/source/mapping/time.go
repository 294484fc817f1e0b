package mapping

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// units are how platforms write times. Nothing is guessed by the size of a number.
var units = []string{"s", "ms", "us", "gregorian-s", "iso", "rfc2822", "local"}

// gregorian is what the Gregorian seconds of Erlang are ahead of Unix time.
const gregorian = 62_167_219_200

// millis reads a time in a unit as Unix ms. zone is that of texts without one, of the unit
// local; "" is UTC. A time in the hour that comes twice when clocks are set back is the first
// of both, and one in the hour that does not exist is as much later.
func millis(v any, unit, zone string) (int64, error) {
	text := strings.TrimSpace(textOf(v))
	switch unit {
	// Numbers.
	case "s":
		return scaled(text, 1000)
	case "ms":
		return scaled(text, 1)
	case "us":
		n, err := scaled(text, 1)
		return floorDiv(n, 1000), err
	case "gregorian-s":
		n, err := scaled(text, 1)
		return (n - gregorian) * 1000, err

	// Texts. Local times need the zone.
	case "iso":
		t, err := time.Parse(time.RFC3339Nano, text)
		return t.UnixMilli(), asTime(err)
	case "rfc2822":
		t, err := mail.ParseDate(text)
		return t.UnixMilli(), asTime(err)
	case "local":
		where, err := zoneOf(zone)
		if err != nil {
			return 0, fmt.Errorf("%q is no time zone", zone)
		}
		return localMillis(text, where)
	}
	return 0, fmt.Errorf("%q is no unit of time", unit)
}

func asTime(err error) error {
	if err != nil {
		return errors.New("is not a time of this unit")
	}
	return nil
}

// latest is the end of the year 9999 in Unix ms.
const latest = 253_402_300_799_999

// scaled reads a decimal number, times a factor, cut to a whole one.
func scaled(text string, factor int64) (int64, error) {
	if len(text) > 40 {
		return 0, errors.New("is not a number")
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n > math.MaxInt64/factor || n < math.MinInt64/factor {
			return 0, errors.New("is out of range")
		}
		return n * factor, nil
	}
	if strings.ContainsAny(text, "/eExXpP_") {
		return 0, errors.New("is not a number")
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, errors.New("is not a number")
	}
	r.Mul(r, new(big.Rat).SetInt64(factor))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() {
		return 0, errors.New("is out of range")
	}
	return n.Int64(), nil
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

func zoneOf(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if name == "Local" {
		return nil, errors.New("the hub's own zone is nobody's")
	}
	return time.LoadLocation(name)
}

var localForms = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006/01/02 15:04:05", "02/01/2006 15:04:05"}

func localMillis(text string, where *time.Location) (int64, error) {
	for _, form := range localForms {
		t, err := time.ParseInLocation(form, text, where)
		if err != nil {
			continue
		}
		// If clocks were set back, the same text may mean an hour, or half of one, earlier.
		for _, back := range []time.Duration{time.Hour, 30 * time.Minute} {
			if earlier := t.Add(-back); earlier.In(where).Format(form) == t.Format(form) {
				return earlier.UnixMilli(), nil
			}
		}
		return t.UnixMilli(), nil
	}
	return 0, errors.New("is not a local time such as 2026-11-30 14:05:06")
}

// textOf returns a single value as text.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
