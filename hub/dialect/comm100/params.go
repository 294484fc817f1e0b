package comm100

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/live"
)

// params of a request by their names in small letters: the document's server takes
// them in any case, and ignores those that it does not know.
type params struct {
	values map[string]string
	zone   *time.Location
}

// readParams reads a query. zone is that of its times when it gives no utcOffset.
func readParams(raw string, zone *time.Location) (*params, error) {
	given, err := url.ParseQuery(raw)
	if err != nil {
		return nil, bad("query", "is malformed")
	}

	p := &params{values: map[string]string{}, zone: zone}
	for name, values := range given {
		key := strings.ToLower(name)
		if _, twice := p.values[key]; twice || len(values) > 1 {
			return nil, bad(shorten(name), "is given more than once")
		}
		p.values[key] = strings.TrimSpace(values[0])
	}

	// The document does not say in which unit utcOffset is: no zone is 15 minutes or
	// less from UTC, so that a small number means hours.
	if s := p.values["utcoffset"]; s != "" {
		n, err := strconv.Atoi(s)
		switch {
		case err != nil || n < -maxOffset || n > maxOffset:
			return nil, bad("utcOffset", "must be a whole number: minutes from -840 to 840, or hours from -14 to 14")
		case n >= -14 && n <= 14:
			n *= 60
		}
		p.zone = time.FixedZone("", n*60)
	}
	return p, nil
}

// shorten returns the beginning of what a caller wrote.
func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// text returns a parameter, "" when it is not given; name is in the document's case.
func (p *params) text(name string) string { return p.values[strings.ToLower(name)] }

// flag reads a parameter that is true or false; false when it is not given.
func (p *params) flag(name string) (bool, error) {
	s := p.text(name)
	if s == "" {
		return false, nil
	}
	is, err := strconv.ParseBool(strings.ToLower(s))
	if err != nil {
		return false, bad(name, "must be true or false")
	}
	return is, nil
}

// number reads a whole number from 1 to most; absent when it is not given.
func (p *params) number(name string, absent, most int) (int, error) {
	s := p.text(name)
	if s == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, bad(name, "must be a whole number from 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// instantForm is a time as the document has it, and as .NET's clients write it, too:
// with a fraction of a second, and with Z or an offset. A + that was not encoded in
// a query is a blank.
var instantForm = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:(Z)|([+ -])(\d\d):?(\d\d))?$`)

// wallTime is the form for time.Parse, which takes a fraction without being asked.
const wallTime = "2006-01-02T15:04:05"

// instant reads a time in Unix ms; false when it is not given. One that says no
// offset is on the clocks of the zone.
func (p *params) instant(name string) (at int64, given bool, err error) {
	s := p.text(name)
	if s == "" {
		return 0, false, nil
	}
	refused := bad(name, "must be a time, yyyy-mm-ddThh:mm:ss, from 1970 on; a fraction, Z or an offset may follow")

	parts := instantForm.FindStringSubmatch(s)
	if parts == nil {
		return 0, false, refused
	}
	wall, err := time.Parse(wallTime, parts[1])
	if err != nil || wall.Year() < 1970 {
		return 0, false, refused
	}

	zone := p.zone
	switch sign := parts[3]; {
	case parts[2] == "Z":
		zone = time.UTC
	case sign != "":
		minutes, ok := offsetMinutes(parts[4], parts[5])
		if !ok {
			return 0, false, refused
		}
		if sign == "-" {
			minutes = -minutes
		}
		zone = time.FixedZone("", minutes*60)
	}
	return max(0, live.AtWall(wall, zone).UnixMilli()), true, nil
}

// offsetMinutes reads two digits each of hours and minutes, at most 14 hours.
func offsetMinutes(hours, minutes string) (int, bool) {
	h, hoursErr := strconv.Atoi(hours)
	m, minutesErr := strconv.Atoi(minutes)
	n := h*60 + m
	return n, hoursErr == nil && minutesErr == nil && m < 60 && n <= maxOffset
}

// maxOffset is how far a zone may be from UTC, in minutes.
const maxOffset = 14 * 60

// window reads the window that is asked for; from says whether startTime is given.
// The second that endTime names belongs to it as a whole.
func (p *params) window(now int64) (w live.Window, from bool, err error) {
	w.Now = now
	w.From, from, err = p.instant("startTime")
	if err != nil {
		return w, from, err
	}
	if !from {
		w.From = live.Today(now, p.zone).From
	}

	w.To = now + 1000
	end, given, err := p.instant("endTime")
	if err != nil {
		return w, from, err
	}
	if given {
		if end < w.From {
			return w, from, bad("endTime", "is before startTime")
		}
		w.To = end - end%1000 + 1000
	}
	return w, from, nil
}

// bad returns the problem of a parameter that cannot be taken.
func bad(param, text string) *problem {
	return &problem{http.StatusBadRequest, param + ": " + text}
}
