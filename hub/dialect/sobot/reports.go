package sobot

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/report"
)

// dimension says whether the rows of a report are by time, by key or by both, and which
// of both is shown and compared first.
type dimension struct {
	byTime, byKey, keyFirst bool
}

// reportKind is what differs between S13, S14 and S15.
type reportKind struct {
	kind       string // in the envelope
	of         *report.Report
	dimensions map[int64]dimension
	clocks     bool // startTime and endTime are required
	// typ is the name of the parameter that says which records are counted; it is the
	// 8th in the table of each report.
	typ      string
	typs     []int64
	needsTyp bool
	filter   string // the name of the parameter that lists the keys that are wanted
}

var (
	relayReport = reportKind{
		kind: "GatewayNumberTable", of: report.Relay, dimensions: dimensions(2, 3, 4),
		typ: "callType", typs: []int64{2, 3}, filter: "gatewayNumber",
	}
	agentReport = reportKind{
		kind: "AgentTable", of: report.Agent, dimensions: dimensions(8, 9, 10), clocks: true,
		typ: "agentReportType", typs: []int64{2, 3, 4}, needsTyp: true, filter: "agents",
	}
	departmentReport = reportKind{
		kind: "DepartTable", of: report.Department, dimensions: dimensions(11, 12, 13), clocks: true,
		typ: "callType", typs: []int64{2, 3}, needsTyp: true, filter: "departIds",
	}
)

// dimensions returns those of a report by their codes: 1 is time, the others are codes
// of its own for key, time and key, key and time.
func dimensions(key, timeKey, keyTime int64) map[int64]dimension {
	return map[int64]dimension{
		1:       {byTime: true},
		key:     {byKey: true},
		timeKey: {byTime: true, byKey: true},
		keyTime: {byTime: true, byKey: true, keyFirst: true},
	}
}

// maxRange is how long the range of a report may be, in days of 24 hours on the wall.
const maxRange = 366

// searchReport answers S13, S14 or S15.
func (a *API) searchReport(k *reportKind) momentHandler {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, at moment) error {
		p, err := readBody(w, r)
		if err != nil {
			return err
		}
		q, err := k.read(p)
		if err != nil {
			return err
		}
		if q.Settings, err = a.reportSettings(at.Tenant); err != nil {
			return err
		}
		q.Tenant = at.Tenant
		q.Zone = at.zone
		q.Now = at.now

		t, err := report.Run(ctx, a.Reports, &q.Query)
		if err != nil {
			return err
		}
		return succeedReport(w, k.kind, k.show(q, &t))
	}
}

// reportSettings returns those of a tenant that reports go by.
func (a *API) reportSettings(tenant int64) (report.Settings, error) {
	var of map[string]any
	if a.Settings != nil {
		of = a.Settings(tenant)
	}
	return report.NewSettings(of, a.directory(tenant))
}

// reportQuery is what a request for a report asks for.
type reportQuery struct {
	report.Query
	currPage, pageSize int64
}

// read reads the parameters in the order of the document's table: of several that are
// wrong, the first is refused.
func (k *reportKind) read(p *params) (*reportQuery, error) {
	q := &reportQuery{Query: report.Query{Report: k.of}}

	codes := []int64{}
	for code := range k.dimensions {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	d := k.dimensions[p.whole("dimensions", required, codes...)]
	q.ByTime, q.ByKey, q.KeyFirst = d.byTime, d.byKey, d.keyFirst
	q.DateType = report.DateType(p.whole("dateType", required, 11, 12, 13, 14, 15))
	q.Sunday = p.whole("weekType", 0, 0, 1) == 1

	startDate := p.date("startDate")
	startTime := p.clock("startTime", k.clocks, 0, false)
	endDate := p.date("endDate")
	endTime := p.clock("endTime", k.clocks, dayMS, true)
	otherwise := int64(0) // both
	if k.needsTyp {
		otherwise = required
	}
	typ := p.whole(k.typ, otherwise, k.typs...)
	q.Indicators = p.indicators(k.of)
	q.currPage = p.atLeast("currPage", 1, 1, math.MaxInt64)
	q.pageSize = p.atLeast("pageSize", 15, 1, maxPageSize)
	q.Keys = p.names(k.filter)

	// Which records are counted.
	q.Kind = report.Parties
	switch k {
	case &relayReport:
		q.Kind = report.Calls
		if p.whole("numberScope", 2, 2, 3) == 3 {
			q.Kind = report.BotCalls
		}
	case &agentReport:
		q.WorkNumbers = p.whole("agentType", 1, 1, 2) == 2
	}
	switch typ {
	case 0:
		q.Only = report.In | report.Out
	case 2:
		q.Only = report.In
	case 3:
		q.Only = report.Out
	case 4:
		q.Kind = report.States
	}

	q.From = startDate + startTime
	q.To = endDate + endTime
	switch {
	case q.To <= q.From:
		p.refuse("RANGE_INVALID", "endDate", "the range must end after it starts")
	case q.To-q.From > maxRange*dayMS:
		p.refuse("RANGE_TOO_LARGE", "endDate", "the range must not be longer than "+strconv.Itoa(maxRange)+" days")
	}

	q.Offset = int(min(q.currPage-1, maxPage) * q.pageSize)
	q.Limit = int(q.pageSize)
	return q, p.err
}

const dayMS = 24 * 60 * 60 * 1000

// maxPage keeps the product of page and size within bounds: no report has so many rows.
const maxPage = 1 << 40

// required stands in the place of a default when a parameter has no default.
const required = -1 << 62

// whole reads a code that must be one of allowed.
func (p *params) whole(name string, otherwise int64, allowed ...int64) int64 {
	n, given := p.strict(name, otherwise)
	if given && !slices.Contains(allowed, n) {
		p.refuse("PARAM_VALUE", name, "must be one of "+list(allowed))
	}
	return n
}

// atLeast reads an integer from least to most.
func (p *params) atLeast(name string, otherwise, least, most int64) int64 {
	n, given := p.strict(name, otherwise)
	if given && (n < least || n > most) {
		p.refuse("PARAM_VALUE", name, "must be "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10))
	}
	return n
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// strict reads a JSON integer, or a text of its digits. An integer that is too long for
// int64 has the right type and no value that is allowed.
func (p *params) strict(name string, otherwise int64) (n int64, given bool) {
	_, v := p.given(name)
	if v == nil {
		if otherwise == required {
			p.required(name, nil)
		}
		return otherwise, false
	}

	// What events may write as 13.0 must be 13 here (indicators.md 1.2).
	written := string(v)
	if v[0] == '"' {
		written = strings.Trim(v.Text(), " \t\r\n")
	}
	if !wholeNumber.MatchString(written) {
		p.refuse("PARAM_TYPE", name, "must be an integer")
		return 0, false
	}
	n, ok := v.Int()
	if !ok {
		n = required
	}
	return n, true
}

// literal reads a value that must be a JSON string.
func (p *params) literal(name string) (string, bool) {
	_, v := p.given(name)
	switch {
	case v == nil:
		return "", false
	case v[0] != '"':
		p.refuse("PARAM_TYPE", name, "must be a string")
		return "", false
	}
	return v.Text(), true
}

// date reads a required day, as a wall clock in ms.
func (p *params) date(name string) int64 {
	s, ok := p.literal(name)
	if !ok {
		if _, v := p.given(name); v == nil {
			p.required(name, nil)
		}
		return 0
	}

	day, err := time.Parse("2006-01-02", s)
	if err != nil || len(s) != len("2006-01-02") || day.Year() < 2000 || day.Year() > 2099 {
		p.refuse("PARAM_VALUE", name, "must be a day of 2000 to 2099 as yyyy-MM-dd")
		return 0
	}
	return day.UnixMilli()
}

var clocks = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// clock reads a time of a day, in ms since its midnight. last says that it may be
// 24:00. The document prints blanks round the colon.
func (p *params) clock(name string, needed bool, otherwise int64, last bool) int64 {
	s, ok := p.literal(name)
	s = blanksAtColon.ReplaceAllString(s, ":")
	switch {
	case !ok:
		if _, v := p.given(name); v == nil && needed {
			p.required(name, nil)
		}
		return otherwise
	case last && s == "24:00":
		return dayMS
	case !clocks.MatchString(s):
		p.refuse("PARAM_VALUE", name, "must be a time as HH:mm")
		return 0
	}

	hours, _ := strconv.ParseInt(s[:2], 10, 64)
	minutes, _ := strconv.ParseInt(s[3:], 10, 64)
	return (hours*60 + minutes) * 60_000
}

// indicators reads the indicators of a report: at least one, each once.
func (p *params) indicators(of *report.Report) (all []*report.Indicator) {
	const name = "customerFields"
	names := p.names(name)
	if len(names) == 0 {
		p.refuse("PARAM_REQUIRED", name, "is required")
	}
	for _, n := range names {
		i := of.Indicator(n)
		if i == nil {
			p.refuse("UNKNOWN_INDICATOR", name, "the "+of.Name+" report has no indicator "+strconv.Quote(cut(n)))
			return nil
		}
		all = append(all, i)
	}
	return all
}

// cut returns the beginning of what a caller wrote.
func cut(s string) string {
	if utf8.RuneCountInString(s) > 80 {
		return string([]rune(s)[:80]) + "…"
	}
	return s
}

// names reads a list: an array of texts, a text that holds such an array, or a text with
// commas. It is nil when the list is not given or empty. The size of the body bounds it.
func (p *params) names(name string) (all []string) {
	_, v := p.given(name)
	if v == nil {
		return nil
	}

	var items []string
	ok := true
	switch {
	case v[0] == '[':
		ok = texts(v, &items)
	case v[0] != '"':
		ok = false
	case strings.HasPrefix(v.Text(), "["):
		ok = texts(event.Value(v.Text()), &items)
	default:
		items = strings.Split(v.Text(), ",")
	}
	if !ok {
		p.refuse("PARAM_TYPE", name, "must be a list of strings")
		return nil
	}

	seen := map[string]bool{}
	for _, i := range items {
		if i = strings.Trim(i, " \t\r\n"); i != "" && !seen[i] {
			seen[i] = true
			all = append(all, i)
		}
	}
	return all
}

// texts appends the texts of a JSON array; false when it holds anything else.
func texts(raw event.Value, into *[]string) bool {
	var items []*string
	if json.Unmarshal(raw, &items) != nil {
		return false
	}
	for _, i := range items {
		if i == nil {
			return false
		}
		*into = append(*into, *i)
	}
	return true
}

// reportData is the data of an answer. Its rows are objects whose members come in the
// order of the document's examples.
type reportData struct {
	Metric   []json.RawMessage `json:"metric"`
	Amount   json.RawMessage   `json:"amount"`
	Total    int               `json:"total"`
	CurrPage int64             `json:"currPage"`
	PageSize int64             `json:"pageSize"`
}

// show returns the data of an answer.
func (k *reportKind) show(q *reportQuery, t *report.Table) reportData {
	d := reportData{
		Metric: make([]json.RawMessage, len(t.Rows)), Total: t.Total, CurrPage: q.currPage, PageSize: q.pageSize,
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		var row object
		if q.ByTime && !q.KeyFirst {
			row.text("result_date", r.Date)
		}
		if q.ByKey {
			switch k {
			case &relayReport:
				row.text("gateway_number", r.Key)
			case &agentReport:
				row.text("serviceId", r.Agent.UUID)
				row.text("serviceNo", r.Agent.Number)
				row.text("serviceName", r.Agent.Name)
			default:
				row.text("departId", r.Key)
				row.text("departName", r.Name)
			}
		}
		if q.ByTime && q.KeyFirst {
			row.text("result_date", r.Date)
		}
		d.Metric[i] = row.figures(q.Indicators, r.Figures)
	}

	var amount object
	d.Amount = amount.figures(q.Indicators, t.Amount)
	return d
}

// object is a JSON object that is being written.
type object []byte

// member appends a member. Its name needs no escapes.
func (o *object) member(name string, value []byte) {
	start := byte(',')
	if len(*o) == 0 {
		start = '{'
	}
	*o = append(*o, start, '"')
	*o = append(*o, name...)
	*o = append(*o, '"', ':')
	*o = append(*o, value...)
}

// text appends a member that is a text.
func (o *object) text(name, value string) { o.member(name, appendText(nil, value)) }

// figures appends the figures of the indicators and ends the object.
func (o *object) figures(of []*report.Indicator, figures []string) json.RawMessage {
	for i, ind := range of {
		o.member(ind.Name, []byte(figures[i]))
	}
	return json.RawMessage(append(*o, '}'))
}
