package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
)

// Stats is GET /v1/stats: sums by hour or day of the tenant's time zone, or of the last
// minutes, as JSON or CSV. They are of deliveries and attempts, of failed attempts by their
// error, or of events.
func (a *API) Stats(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	v, err := a.stats(r, c)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if r.URL.Query().Get("format") != "csv" {
		a.answer(w, r, http.StatusOK, v)
		return
	}

	name := "stats-" + c.CompanyID + a.now().UTC().Format("-20060102T150405Z.csv")
	w.Header().Set("Content-Type", (*csvRows)(nil).contentType())
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(statsCSV(v.table())) // the caller went away: there is nobody to report this to
}

// statsAnswer is an answer of Stats, which is also a table.
type statsAnswer interface {
	// table returns the names of the columns, and the cells of each row: texts, and whole or
	// broken numbers; nil for what is not known.
	table() (columns []string, rows [][]any)
}

// stats answers a request for stats.
func (a *API) stats(r *http.Request, c access.Caller) (statsAnswer, error) {
	q, err := query(r, "from", "to", "bucket", "by", "of", "format")
	if err != nil {
		return nil, err
	}
	if f := q.Get("format"); f != "" && f != "json" && f != "csv" {
		return nil, problem.Field(http.StatusBadRequest, "format", "must be json or csv")
	}

	minutes := q.Get("bucket") == "minute"
	switch q.Get("of") {
	case "", "deliveries":
	case "events":
		if minutes {
			return nil, problem.Field(http.StatusBadRequest, "bucket", "must be hour or day of events")
		}
		if by := q.Get("by"); by != "" && by != "none" {
			return nil, problem.Field(http.StatusBadRequest, "by", "must be none of events")
		}
		return a.eventStats(r, c, q)
	default:
		return nil, problem.Field(http.StatusBadRequest, "of", "must be deliveries or events")
	}
	switch {
	case minutes:
		return a.minuteStats(r, c, q)
	case q.Get("by") == "error":
		return a.errorStats(r, c, q)
	}
	return a.deliveryStats(r, c, q)
}

const (
	minutesKept = 60     // by which attempts are counted one by one
	minute      = 60_000 // ms
)

// minuteStatsView is the attempts of the last minutes.
type minuteStatsView struct {
	From   Time        `json:"from"`
	To     Time        `json:"to"`
	Bucket string      `json:"bucket"`
	By     string      `json:"by"`
	Data   []minuteRow `json:"data"` // without minutes in which nothing was tried
	Total  minuteRow   `json:"total"`
}

// minuteRow is what was tried in one minute.
type minuteRow struct {
	From         Time         `json:"from"`
	To           Time         `json:"to"`
	Subscription string       `json:"subscription,omitempty"`
	Attempts     int64        `json:"attempts"`
	Failed       int64        `json:"failedAttempts"`
	LatencyMs    *latencyView `json:"latencyMs"` // null: nothing was tried
}

func minuteRowOf(from, to int64, sub string, t *search.Tried) minuteRow {
	return minuteRow{
		From: timeOf(from * minute), To: timeOf(to * minute), Subscription: sub,
		Attempts: t.OK + t.Failed, Failed: t.Failed, LatencyMs: viewLatency(t),
	}
}

// minuteStats answers with the attempts of the last minutes.
func (a *API) minuteStats(r *http.Request, c access.Caller, q url.Values) (statsAnswer, error) {
	f := search.StatsFilter{Tenant: c.Tenant, By: groupings[q.Get("by")]}
	if by := q.Get("by"); by != "" && by != "none" && by != "subscription" {
		return nil, problem.Field(http.StatusBadRequest, "by", "must be subscription or none by the minute")
	}
	begin, end, err := timesOf(q)
	if err != nil {
		return nil, err
	}

	// The minute of now is the last one.
	last := a.now().UnixMilli()/minute + 1
	f.To = last
	if end > 0 {
		f.To = min(last, (end+minute-1)/minute)
	}
	f.From = last - minutesKept
	if begin > 0 {
		f.From = begin / minute
	}
	if f.From < last-minutesKept {
		return nil, problem.Field(http.StatusBadRequest, "from", "is more than 60 minutes ago: older minutes are not kept")
	}
	f.To = max(f.To, f.From)

	rows, err := a.Figures.FindMinuteStats(r.Context(), f)
	if err != nil {
		return nil, refusedStats(err)
	}
	v := minuteStatsView{From: timeOf(f.From * minute), To: timeOf(f.To * minute), Bucket: "minute", By: byOf(q), Data: []minuteRow{}}
	var total search.Tried
	for i := range rows {
		m := &rows[i]
		v.Data = append(v.Data, minuteRowOf(m.Minute, m.Minute+1, m.Subscription, &m.Tried))
		total.Add(&m.Tried)
	}
	v.Total = minuteRowOf(f.From, f.To, "", &total)
	return v, nil
}

// byOf returns what rows are about, as answers say it.
func byOf(q url.Values) string {
	if by := q.Get("by"); by != "" {
		return by
	}
	return "none"
}

// errorStatsView is failed attempts by their error.
type errorStatsView struct {
	statsHead
	Data  []errorRow `json:"data"`
	Total errorRow   `json:"total"`
}

// errorRow is the failed attempts of one class in one bucket.
type errorRow struct {
	From   Time   `json:"from"`
	To     Time   `json:"to"`
	Error  string `json:"error,omitempty"` // unknown: from before errors were counted
	Failed int64  `json:"failedAttempts"`
}

// errorStats answers with failed attempts by their error.
func (a *API) errorStats(r *http.Request, c access.Caller, q url.Values) (statsAnswer, error) {
	f, err := a.statsFilter(c, q)
	if err != nil {
		return nil, err
	}
	rows, err := a.Figures.FindErrorStats(r.Context(), f)
	if err != nil {
		return nil, refusedStats(err)
	}
	v := errorStatsView{statsHead: a.statsHead(c, q, f), Data: []errorRow{}}
	v.Total = errorRow{From: v.From, To: v.To}
	for _, e := range rows {
		class := e.Class.String()
		if class == "" {
			class = "unknown"
		}
		v.Data = append(v.Data, errorRow{From: timeOf(e.From * hour), To: timeOf(e.To * hour), Error: class, Failed: e.Attempts})
		v.Total.Failed += e.Attempts
	}
	return v, nil
}

// eventStatsView is what became of events that came in.
type eventStatsView struct {
	statsHead
	CountedFrom *Time          `json:"countedFrom,omitempty"` // events of earlier hours were not counted
	Data        []eventStatRow `json:"data"`
	Total       eventStatRow   `json:"total"`
}

// eventStatRow counts the events of one bucket; null: not all of them were counted. Accepted
// has the unmatched ones.
type eventStatRow struct {
	From      Time   `json:"from"`
	To        Time   `json:"to"`
	Accepted  *int64 `json:"accepted"`
	Duplicate *int64 `json:"duplicate"`
	Rejected  *int64 `json:"rejected"`
	Unmatched *int64 `json:"unmatched"`
}

func eventStatRowOf(r *search.EventStats, countedFrom int64) eventStatRow {
	row := eventStatRow{From: timeOf(r.From * hour), To: timeOf(r.To * hour)}
	if r.From >= countedFrom {
		row.Accepted = &r.Accepted
		row.Duplicate = &r.Duplicate
		row.Rejected = &r.Rejected
		row.Unmatched = &r.Unmatched
	}
	return row
}

// eventStats answers with what became of events that came in.
func (a *API) eventStats(r *http.Request, c access.Caller, q url.Values) (statsAnswer, error) {
	f, err := a.statsFilter(c, q)
	if err != nil {
		return nil, err
	}
	rows, countedFrom, err := a.Figures.FindEventStats(r.Context(), f)
	if err != nil {
		return nil, refusedStats(err)
	}

	v := eventStatsView{statsHead: a.statsHead(c, q, f), CountedFrom: timeOrNone(countedFrom * hour), Data: []eventStatRow{}}
	total := search.EventStats{From: f.From, To: f.To}
	for i := range rows {
		v.Data = append(v.Data, eventStatRowOf(&rows[i], countedFrom))
		total.Add(&rows[i])
	}
	v.Total = eventStatRowOf(&total, countedFrom)
	return v, nil
}

// statsCSV writes a table as CSV.
func statsCSV(columns []string, rows [][]any) []byte {
	var l csvLine
	for _, name := range columns {
		l.text(name)
	}
	l.end()
	for _, cells := range rows {
		for _, cell := range cells {
			switch cell := cell.(type) {
			case int64:
				l.number(cell)
			case float64:
				l.separate()
				l.bytes = strconv.AppendFloat(l.bytes, cell, 'f', -1, 64)
			case string:
				l.text(cell)
			default: // not known
				l.separate()
			}
		}
		l.end()
	}
	return l.bytes
}

// latencyCells are the columns of a latency.
var latencyCells = []string{"p50Ms", "p95Ms", "p99Ms"}

func latencyCellsOf(v *latencyView) []any {
	if v == nil {
		return []any{nil, nil, nil}
	}
	return []any{v.P50, v.P95, v.P99}
}

func (v statsView) table() (columns []string, rows [][]any) {
	columns = append([]string{
		"from", "to", "subscription", "class", "type", "matched", "delivered", "exhausted", "expired", "cancelled", "superseded",
		"pending", "attempts", "failedAttempts",
	}, latencyCells...)
	for _, r := range v.Data {
		cells := []any{
			r.From.String(), r.To.String(), r.Subscription, r.Class, r.Type, r.Matched, r.Delivered, r.Exhausted, r.Expired,
			r.Cancelled, r.Superseded, r.Pending, r.Attempts, r.Failed,
		}
		rows = append(rows, append(cells, latencyCellsOf(r.LatencyMs)...))
	}
	return columns, rows
}

func (v minuteStatsView) table() (columns []string, rows [][]any) {
	for _, r := range v.Data {
		cells := []any{r.From.String(), r.To.String(), r.Subscription, r.Attempts, r.Failed}
		rows = append(rows, append(cells, latencyCellsOf(r.LatencyMs)...))
	}
	return append([]string{"from", "to", "subscription", "attempts", "failedAttempts"}, latencyCells...), rows
}

func (v errorStatsView) table() (columns []string, rows [][]any) {
	for _, r := range v.Data {
		rows = append(rows, []any{r.From.String(), r.To.String(), r.Error, r.Failed})
	}
	return []string{"from", "to", "error", "failedAttempts"}, rows
}

func (v eventStatsView) table() (columns []string, rows [][]any) {
	known := func(n *int64) any {
		if n == nil {
			return nil
		}
		return *n
	}
	for _, r := range v.Data {
		rows = append(rows, []any{
			r.From.String(), r.To.String(), known(r.Accepted), known(r.Duplicate), known(r.Rejected), known(r.Unmatched),
		})
	}
	return []string{"from", "to", "accepted", "duplicate", "rejected", "unmatched"}, rows
}
