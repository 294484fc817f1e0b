package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
)

// Bounds of a question about stats.
const (
	maxStatsHours = 31 * 24 // by hour
	maxStatsDays  = 400     // by day
	maxStatsRows  = 20_000  // of the answer
)

const hour = 3_600_000 // ms

// refusedStats answers an error of Figures.
func refusedStats(err error) error {
	if errors.Is(err, search.ErrTooManyRows) {
		return problem.Field(http.StatusBadRequest, "to",
			fmt.Sprintf("is so late that there are more than %d rows; ask for a shorter time, for days, or for fewer groups",
				maxStatsRows))
	}
	return err
}

// statsHead says what stats by hour or day are about.
type statsHead struct {
	From     Time   `json:"from"`
	To       Time   `json:"to"`
	Bucket   string `json:"bucket"`
	By       string `json:"by"`
	Timezone string `json:"timezone"` // of the days
}

type statsView struct {
	statsHead
	Data  []statsRow `json:"data"` // without rows in which nothing happened
	Total statsRow   `json:"total"`
}

// statsRow adds up: matched = delivered + exhausted + expired + cancelled + superseded + pending.
type statsRow struct {
	From         Time         `json:"from"`
	To           Time         `json:"to"`
	Subscription string       `json:"subscription,omitempty"`
	Class        string       `json:"class,omitempty"`
	Type         string       `json:"type,omitempty"` // unknown: from before types were counted
	Matched      int64        `json:"matched"`
	Delivered    int64        `json:"delivered"`
	Exhausted    int64        `json:"exhausted"`
	Expired      int64        `json:"expired"`
	Cancelled    int64        `json:"cancelled"`
	Superseded   int64        `json:"superseded"`
	Pending      int64        `json:"pending"`
	Attempts     int64        `json:"attempts"`
	Failed       int64        `json:"failedAttempts"`
	LatencyMs    *latencyView `json:"latencyMs"` // null: nothing was tried
}

func viewStats(r *search.StatsRow) statsRow {
	return statsRow{
		From: timeOf(r.From * hour), To: timeOf(r.To * hour), Subscription: r.Subscription,
		Matched: r.Matched, Delivered: r.Delivered, Exhausted: r.Exhausted, Expired: r.Expired, Cancelled: r.Cancelled,
		Superseded: r.Superseded, Pending: r.Pending(), Attempts: r.OK +
			r.Failed, Failed: r.Failed, LatencyMs: viewLatency(&r.Tried),
	}
}

var groupings = map[string]search.Grouping{
	"": search.ByNone, "none": search.ByNone, "subscription": search.BySubscription, "class": search.ByClass,
	"type": search.ByType, "error": search.ByNone, // errors have a form of their own
}

// deliveryStats answers with the sums of deliveries and attempts.
func (a *API) deliveryStats(r *http.Request, c access.Caller, q url.Values) (statsAnswer, error) {
	f, err := a.statsFilter(c, q)
	if err != nil {
		return nil, err
	}

	rows, err := a.Figures.FindStats(r.Context(), f)
	if err != nil {
		return nil, refusedStats(err)
	}

	v := statsView{statsHead: a.statsHead(c, q, f), Data: make([]statsRow, len(rows))}
	total := search.StatsRow{From: f.From, To: f.To}
	for i := range rows {
		v.Data[i] = viewStats(&rows[i])
		switch {
		case f.By == search.ByClass:
			v.Data[i].Class = rows[i].Class.String()
		case f.By == search.ByType && rows[i].Type == 0:
			v.Data[i].Type = "unknown"
		case f.By == search.ByType:
			v.Data[i].Type = rows[i].Type.String()
		}
		total.Counts.Add(&rows[i].Counts)
		total.Tried.Add(&rows[i].Tried)
	}
	v.Total = viewStats(&total)
	return v, nil
}

// statsHead says what stats by hour or day are about.
func (a *API) statsHead(c access.Caller, q url.Values, f search.StatsFilter) statsHead {
	h := statsHead{From: timeOf(f.From * hour), To: timeOf(f.To * hour), Bucket: "hour", By: byOf(q), Timezone: a.zoneName(c)}
	if f.Days != nil {
		h.Bucket = "day"
	}
	return h
}

// zone returns the time zone of the caller's tenant. It was checked when it was set, but
// by a version that took more names: days of another zone would look right and be wrong.
func (a *API) zone(c access.Caller) (*time.Location, error) {
	name := a.zoneName(c)
	z, ok := dialect.ZoneNamed(name)
	if !ok {
		return nil, problem.Field(http.StatusBadRequest, "timezone", fmt.Sprintf(
			"of the tenant is %q, which is no zone of the IANA database; an owner sets another with PATCH /v1/tenants/%s",
			name, c.CompanyID))
	}
	return z, nil
}

// zoneName returns what the time zone of the caller's tenant is called.
func (a *API) zoneName(c access.Caller) string {
	if t := a.Book.Tenant(c.Tenant); t != nil && t.Timezone != "" {
		return t.Timezone
	}
	return DefaultTimezone
}

// statsFilter reads the parameters of a request for stats by hour or day.
func (a *API) statsFilter(c access.Caller, q url.Values) (f search.StatsFilter, err error) {
	f = search.StatsFilter{Tenant: c.Tenant, Limit: maxStatsRows}
	usual, longest := int64(24), int64(maxStatsHours)
	switch q.Get("bucket") {
	case "", "hour":
	case "day":
		if f.Days, err = a.zone(c); err != nil {
			return f, err
		}
		usual, longest = 30*24, maxStatsDays*24
	default:
		return f, problem.Field(http.StatusBadRequest, "bucket", "must be minute, hour or day")
	}

	by, known := groupings[q.Get("by")]
	if !known {
		return f, problem.Field(http.StatusBadRequest, "by", "must be subscription, class, type, error or none")
	}
	f.By = by

	if f.From, f.To, err = hoursOf(q, a.now(), usual); err != nil {
		return f, err
	}
	if f.To-f.From > longest {
		return f, problem.Field(http.StatusBadRequest, "from",
			fmt.Sprintf("is more than %d days before to, the longest that can be asked for in buckets of this size", longest/24))
	}
	return f, nil
}

// hoursOf reads from and to as whole hours since 1970 that cover the range between
// them. By default the last hour is the one of now, and the range is usual hours long.
func hoursOf(q url.Values, now time.Time, usual int64) (from, to int64, err error) {
	begin, end, err := timesOf(q)
	if err != nil {
		return 0, 0, err
	}
	if end == 0 {
		end = max(now.UnixMilli(), begin) + 1
	}

	to = (end + hour - 1) / hour
	from = begin / hour
	if begin == 0 {
		from = to - usual
	}
	if from == to { // an empty range on the hour
		to++
	}

	return from, to, nil
}
