package comm100

import (
	"net/http"
	"net/url"
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

// readParams; loc is the zone where utcOffset is not given.
func readParams(raw string, loc *time.Location) (*params, error) {
	given, err := url.ParseQuery(raw)
	if err != nil {
		return nil, bad("query", "is malformed")
	}
	p := &params{values: map[string]string{}, zone: loc}
	for name, values := range given {
		key := strings.ToLower(name)
		if _, twice := p.values[key]; twice || len(values) > 1 {
			return nil, bad(shorten(name), "is given more than once")
		}
		p.values[key] = strings.TrimSpace(values[0])
	}
	if s := p.values["utcoffset"]; s != "" {
		n, err := strconv.Atoi(s)
		switch {
		case err != nil || n < -840 || n > 840:
			return nil, bad("utcOffset", "must be a whole number: minutes from -840 to 840, or hours from -14 to 14")
		case n >= -14 && n <= 14:
			n *= 60
		}
		p.zone = time.FixedZone("", n*60)
	}
	return p, nil
}

// shorten what a caller wrote.
func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// text of a parameter; name in the document's case.
func (p *params) text(name string) string { return p.values[strings.ToLower(name)] }

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

const wallTime = "2006-01-02T15:04:05"

// instant, Unix ms; false: it is not given.
func (p *params) instant(name string) (int64, bool, error) {
	s := p.text(name)
	if s == "" {
		return 0, false, nil
	}
	wall, err := time.Parse(wallTime, s)
	if err != nil || len(s) != len(wallTime) || wall.Year() < 1970 {
		return 0, false, bad(name, "must be a time, yyyy-mm-ddThh:mm:ss, from 1970 on")
	}
	return max(0, live.AtWall(wall, p.zone).UnixMilli()), true, nil
}

// window that is asked for. Its times have whole seconds: the last one is in it.
func (p *params) window(now int64) (w live.Window, from bool, err error) {
	w.Now, w.To = now, now+1000
	if w.From, from, err = p.instant("startTime"); err != nil {
		return w, from, err
	}
	if !from {
		w.From = live.Today(now, p.zone).From
	}
	end, given, err := p.instant("endTime")
	if err != nil {
		return w, from, err
	}
	if given {
		if end < w.From {
			return w, from, bad("endTime", "is before startTime")
		}
		w.To = end + 1000
	}
	return w, from, nil
}

// bad is a parameter that cannot be taken.
func bad(param, text string) *problem {
	return &problem{http.StatusBadRequest, param + ": " + text}
}
