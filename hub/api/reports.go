package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/hub/stream"
)

// Bounds of a report.
const (
	defaultReportRows = 100
	maxReportRows     = 1000    // of a page
	csvReportRows     = 10_000  // that are worked out at a time
	maxCSVReportRows  = 100_000 // of a file
	maxReportDays     = 366
	maxReportKeys     = 10_000
)

// indicatorView is what there is to know of an indicator.
type indicatorView struct {
	Report  string      `json:"report"`
	Name    string      `json:"name"`
	Label   string      `json:"label"`
	Unit    report.Unit `json:"unit"`
	Type    string      `json:"type"`
	Meaning string      `json:"meaning"`
}

// ListIndicators is GET /v1/indicators: all that reports can show. It changes with the
// program only, so a client may keep it.
func (a *API) ListIndicators(w http.ResponseWriter, r *http.Request, _ access.Caller, _ httprouter.Params) {
	if _, err := query(r); err != nil {
		a.fail(w, r, err)
		return
	}
	var views []indicatorView
	for _, of := range report.Reports {
		for _, i := range of.Indicators {
			views = append(views, indicatorView{of.Name, i.Name, i.Label, i.Unit, i.Type, i.Meaning})
		}
	}
	body := marshal(pageOf(views, ""))

	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // fails if the caller went away
}

// reportBody is what callers may ask of reports.
type reportBody struct {
	Report      string   `json:"report"`
	Indicators  []string `json:"indicators"`
	From        string   `json:"from"`
	To          string   `json:"to"`
	Zone        string   `json:"zone"`
	Rows        []string `json:"rows"`
	Bucket      string   `json:"bucket"`
	WeekStart   string   `json:"weekStart"`
	Records     string   `json:"records"`
	Scope       string   `json:"scope"`
	Keys        []string `json:"keys"`
	WorkNumbers bool     `json:"workNumbers"`
	Labels      bool     `json:"labels"`
	Limit       *int     `json:"limit"`
	Cursor      string   `json:"cursor"`
}

var (
	reportBuckets = map[string]report.DateType{
		"halfHour": report.HalfHour, "hour": report.Hour, "": report.Day, "day": report.Day, "week": report.Week, "month": report.Month,
	}
	reportRecords = map[string]report.Flags{"": report.In | report.Out, "all": report.In | report.Out, "inbound": report.In, "outbound": report.Out}
)

// reportQuery is a question for a report, with how its answer is shown.
type reportQuery struct {
	report.Query
	body reportBody
}

// read checks what is asked, and makes a query of it. Of several faults it returns all.
func (a *API) readReport(in *reportBody, c access.Caller) (*reportQuery, error) {
	var errs []problem.Error
	bad := func(field, message string) { errs = append(errs, problem.Error{Field: field, Message: message}) }
	q := &reportQuery{body: *in}
	q.Tenant = c.Tenant

	// Which report, and what of it.
	i := slices.IndexFunc(report.Reports, func(r *report.Report) bool { return r.Name == in.Report })
	if i < 0 {
		bad("report", "must be relay, agent or department")
	} else {
		q.Report = report.Reports[i]
		q.readIndicators(bad)
		q.readRecords(bad)
	}
	q.readRows(bad)

	// Of when.
	q.From = wallOf("from", in.From, bad)
	q.To = wallOf("to", in.To, bad)
	switch {
	case len(errs) > 0:
	case q.To <= q.From:
		bad("to", "must be after from")
	case q.To-q.From > maxReportDays*24*hour:
		bad("to", fmt.Sprintf("must not be more than %d days after from", maxReportDays))
	}
	if in.Zone != "" {
		zone, known := dialect.ZoneNamed(in.Zone)
		if !known {
			bad("zone", "is not a time zone of the IANA database, such as Asia/Singapore")
		}
		q.Zone = zone
	}

	// Which page.
	q.Limit = defaultReportRows
	if in.Limit != nil {
		if *in.Limit < 1 || *in.Limit > maxReportRows {
			bad("limit", fmt.Sprintf("must be from 1 to %d", maxReportRows))
		}
		q.Limit = *in.Limit
	}
	if in.Cursor != "" {
		if err := a.Cursors.Read("reports", in.Cursor, &q.Offset); err != nil {
			bad("cursor", "is not a cursor of this list")
		}
	}

	if len(errs) > 0 {
		return nil, &problem.Details{Status: http.StatusUnprocessableEntity, Detail: errs[0].Field + ": " + errs[0].Message, Errors: errs}
	}
	return q, nil
}

// readIndicators reads which figures rows have: each once, in the order of the request.
func (q *reportQuery) readIndicators(bad func(field, message string)) {
	if len(q.body.Indicators) == 0 {
		bad("indicators", "is required")
	}
	for i, name := range q.body.Indicators {
		field := fmt.Sprintf("indicators[%d]", i)
		indicator := q.Report.Indicator(name)
		switch {
		case indicator == nil:
			bad(field, "is not an indicator of the report "+q.Report.Name)
			return
		case slices.Contains(q.Indicators, indicator):
			bad(field, "is there twice")
			return
		}
		q.Indicators = append(q.Indicators, indicator)
	}
}

// readRecords reads which records are counted.
func (q *reportQuery) readRecords(bad func(field, message string)) {
	q.Kind = report.Parties
	if q.Report == report.Relay {
		q.Kind = report.Calls
	}
	switch q.body.Scope {
	case "", "telemarketing":
	case "bot":
		if q.Report != report.Relay {
			bad("scope", "must be telemarketing, as only the report relay counts calls of bots")
		}
		q.Kind = report.BotCalls
	default:
		bad("scope", "must be telemarketing or bot")
	}

	var known bool
	if q.Only, known = reportRecords[q.body.Records]; known {
		return
	}
	if q.body.Records == "states" && q.Report == report.Agent {
		q.Kind = report.States
		return
	}
	bad("records", "must be inbound, outbound or all, or, of the report agent, states")
}

// readRows reads what there is a row of.
func (q *reportQuery) readRows(bad func(field, message string)) {
	rows := q.body.Rows
	if rows == nil {
		rows = []string{"key"}
	}
	switch strings.Join(rows, ",") {
	case "":
	case "time":
		q.ByTime = true
	case "key":
		q.ByKey = true
	case "time,key":
		q.ByTime, q.ByKey = true, true
	case "key,time":
		q.ByTime, q.ByKey, q.KeyFirst = true, true, true
	default:
		bad("rows", "must have time, key, or both in the order of the rows, each once")
	}

	var known bool
	if q.DateType, known = reportBuckets[q.body.Bucket]; !known {
		bad("bucket", "must be halfHour, hour, day, week or month")
	}
	switch q.body.WeekStart {
	case "", "monday":
	case "sunday":
		q.Sunday = true
	default:
		bad("weekStart", "must be monday or sunday")
	}

	if len(q.body.Keys) > maxReportKeys {
		bad("keys", fmt.Sprintf("must not have more than %d items", maxReportKeys))
	}
	if len(q.body.Keys) > 0 {
		q.Keys = q.body.Keys
	}
	if q.body.WorkNumbers && q.body.Report != report.Agent.Name {
		bad("workNumbers", "is for the report agent only")
	}
	q.WorkNumbers = q.body.WorkNumbers
}

// wallOf reads a time of the wall clock, in ms as if it were UTC.
func wallOf(field, s string, bad func(field, message string)) int64 {
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04"} {
		at, err := time.Parse(layout, s)
		if err == nil && len(s) == len(layout) && at.Year() >= 2000 && at.Year() <= 2099 {
			return at.UnixMilli()
		}
	}
	bad(field, "must be a time of the wall clock in the years 2000 to 2099: 2026-01-02 or 2026-01-02T15:04")
	return 0
}

// reportView is a page of a report.
type reportView struct {
	Report string `json:"report"`
	From   string `json:"from"`
	To     string `json:"to"`
	Zone   string `json:"zone"`
	Now    Time   `json:"now"`
	fresh
	Count      int             `json:"count"` // rows of all pages
	Total      json.RawMessage `json:"total"` // figures over all of them
	Data       []reportRow     `json:"data"`
	NextCursor string          `json:"nextCursor,omitempty"`
}

// reportRow is a row. It has what the report has rows of.
type reportRow struct {
	Date       string            `json:"date,omitempty"`
	Number     *string           `json:"gatewayNumber,omitempty"`
	Agent      *reportAgent      `json:"agent,omitempty"`
	Department *reportDepartment `json:"department,omitempty"`
	Figures    json.RawMessage   `json:"figures"`
}

type reportAgent struct {
	UUID   string `json:"agentUUID"`
	Number string `json:"agentID"`
	Name   string `json:"name"`
}

type reportDepartment struct {
	ID   string `json:"departmentId"`
	Name string `json:"name"`
}

// RunReport is POST /v1/reports: a page of rows and the total as JSON, or all rows as CSV
// if that is what Accept names.
func (a *API) RunReport(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	if err := a.runReport(w, r, c); err != nil {
		a.fail(w, r, err)
	}
}

func (a *API) runReport(w http.ResponseWriter, r *http.Request, c access.Caller) error {
	if _, err := query(r); err != nil {
		return err
	}
	var in reportBody
	if err := decode(r, &in); err != nil {
		return err
	}
	q, err := a.readReport(&in, c)
	if err != nil {
		return err
	}
	if q.Now, err = a.moment(r); err != nil {
		return err
	}
	if q.Zone == nil {
		if q.Zone, err = a.Kit.Zone(c.Tenant); err != nil {
			return err
		}
	}
	if q.Settings, err = a.ReportSettings(c.Tenant); err != nil {
		return err
	}

	ctx, stop := dialect.Bound(r)
	defer stop()
	as, err := a.wait(ctx, c.Tenant)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "text/csv") {
		return a.reportCSV(w, r, q, as)
	}
	t, err := report.Run(ctx, a.Reports, &q.Query)
	if err != nil {
		return err
	}
	a.answer(w, r, http.StatusOK, a.viewReport(q, &t, as))
	return nil
}

func (a *API) viewReport(q *reportQuery, t *report.Table, as fresh) reportView {
	v := reportView{
		Report: q.Report.Name, From: q.body.From, To: q.body.To, Zone: q.Zone.String(), Now: timeOf(q.Now), fresh: as,
		Count: t.Total, Total: figuresOf(q.Indicators, t.Amount), Data: make([]reportRow, len(t.Rows)),
	}
	for i := range t.Rows {
		v.Data[i] = q.row(&t.Rows[i])
	}
	if next := q.Offset + len(t.Rows); len(t.Rows) > 0 && next < t.Total {
		v.NextCursor = a.Cursors.Make("reports", next)
	}
	return v
}

func (q *reportQuery) row(r *report.Row) reportRow {
	row := reportRow{Date: r.Date, Figures: figuresOf(q.Indicators, r.Figures)}
	if !q.ByKey {
		return row
	}
	switch q.Report {
	case report.Relay:
		row.Number = &r.Key
	case report.Agent:
		row.Agent = &reportAgent{r.Agent.UUID, r.Agent.Number, r.Agent.Name}
	default:
		row.Department = &reportDepartment{r.Key, r.Name}
	}
	return row
}

// figuresOf returns the figures of a row as an object, in the order in which they were
// asked for.
func figuresOf(of []*report.Indicator, figures []string) json.RawMessage {
	b := []byte{'{'}
	for i, indicator := range of {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, indicator.Name) // letters, digits and _
		b = append(b, ':')
		b = append(b, figures[i]...)
	}
	return append(b, '}')
}

// reportCSV answers with all rows as CSV. They are worked out page by page, each in its
// turn among the reports of the tenant. If that fails half way, the answer is cut off, so
// that it cannot be taken for a whole one.
func (a *API) reportCSV(w http.ResponseWriter, r *http.Request, q *reportQuery, as fresh) error {
	if q.body.Limit != nil || q.body.Cursor != "" {
		return problem.Field(http.StatusUnprocessableEntity, "limit", "and cursor are for JSON: a CSV has all rows")
	}
	q.Offset = 0
	q.Limit = csvReportRows
	t, err := a.runPage(r.Context(), q)
	if err != nil {
		return err
	}
	if t.Total > maxCSVReportRows {
		return problem.Field(http.StatusUnprocessableEntity, "rows",
			fmt.Sprintf("are %d, and a CSV has at most %d: ask for a shorter time or larger buckets", t.Total, maxCSVReportRows))
	}

	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="report-`+q.Report.Name+`.csv"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Hookline-As-Of", as.AsOf.String())
	h.Set("X-Hookline-Behind", strconv.FormatInt(as.Behind, 10))
	out := stream.NewWriter(w, exportWrite)
	defer out.Release()
	part := q.csvHeader()
	for {
		if err := out.Send(q.appendCSV(part, t)); err != nil {
			panic(http.ErrAbortHandler)
		}
		if q.Offset += len(t.Rows); len(t.Rows) == 0 || q.Offset >= t.Total {
			return nil
		}
		if t, err = a.runTurn(r.Context(), q); err != nil {
			if r.Context().Err() == nil {
				a.log().ErrorContext(r.Context(), "report cut off", "request", h.Get("X-Request-Id"), "err", err)
			}
			panic(http.ErrAbortHandler)
		}
		part = nil
	}
}

// runTurn is runPage when it is the tenant's turn.
func (a *API) runTurn(ctx context.Context, q *reportQuery) (*report.Table, error) {
	if a.Pages != nil {
		place, err := a.turn(ctx, q.Tenant)
		if err != nil {
			return nil, err
		}
		defer place.Free()
	}
	return a.runPage(ctx, q)
}

func (a *API) runPage(ctx context.Context, q *reportQuery) (*report.Table, error) {
	t, err := report.Run(ctx, a.Reports, &q.Query)
	return &t, err
}

// csvHeader returns the first line: what rows are of, then the indicators.
func (q *reportQuery) csvHeader() []byte {
	var l csvLine

	// What a row is about.
	if q.ByTime {
		l.text("date")
	}
	if q.ByKey {
		switch q.Report {
		case report.Relay:
			l.text("gatewayNumber")
		case report.Agent:
			l.text("agentUUID")
			l.text("agentID")
			l.text("name")
		default:
			l.text("departmentId")
			l.text("name")
		}
	}

	// Its figures.
	for _, i := range q.Indicators {
		if q.body.Labels {
			l.text(i.Label)
		} else {
			l.text(i.Name)
		}
	}
	l.end()
	return l.bytes
}

// appendCSV appends the rows of a page. A figure is a number, or empty if there is none.
func (q *reportQuery) appendCSV(part []byte, t *report.Table) []byte {
	l := csvLine{bytes: part}
	for i := range t.Rows {
		r := &t.Rows[i]
		if q.ByTime {
			l.text(r.Date)
		}
		if q.ByKey {
			switch q.Report {
			case report.Agent:
				l.text(r.Agent.UUID)
				l.text(r.Agent.Number)
				l.text(r.Agent.Name)
			case report.Department:
				l.text(r.Key)
				l.text(r.Name)
			default:
				l.text(r.Key)
			}
		}
		for _, figure := range r.Figures {
			l.figure(figure)
		}
		l.end()
	}
	return l.bytes
}

// figure writes a number as it is, and null as an empty cell.
func (l *csvLine) figure(json string) {
	l.separate()
	if json != "null" {
		l.bytes = append(l.bytes, json...)
	}
}
