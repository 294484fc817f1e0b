package sobot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
)

// Bounds of a list of records. The document has no bounds.
const (
	maxPageSize = 1000
	maxRows     = 100_000 // pageNum * pageSize
	maxSpan     = 366 * 24 * 60 * 60 * 1000
)

// page is the data of a list in pages.
type page struct {
	CurrPage int64           `json:"currPage"`
	PageSize int64           `json:"pageSize"`
	Total    int             `json:"total"`
	List     json.RawMessage `json:"list"`
}

// searchCalls is S1, "Query Main Talk List": main records by startTime
// (startTime ≤ t < endTime), newest first.
func (a *API) searchCalls(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) error {
	if err := checkZone(r); err != nil {
		return err
	}

	p, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := readSearch(p)
	if err != nil {
		return err
	}

	q.filter.Tenant = c.Tenant
	if q.filter.Department != "" && a.DepartmentAgents != nil {
		q.filter.DepartmentAgents = a.DepartmentAgents(c.Tenant, q.filter.Department)
	}

	ctx, stop := dialect.Bound(r)
	defer stop()
	records, total, err := a.Records.FindCalls(ctx, q.filter)
	if err != nil {
		return err
	}

	out := []byte{'['}
	for i, rec := range records {
		if i > 0 {
			out = append(out, ',')
		}
		out = a.showCall(out, c, rec, q.hide)
	}
	return succeed(w, "MainCDRInfo", page{q.pageNum, q.pageSize, total, append(out, ']')})
}

// query is what a request of S1 asks for.
type query struct {
	filter            search.CallFilter
	hide              bool
	pageNum, pageSize int64
}

// amountCodes are the meanings of transferCount and consultCount: 1 is none, 2 is some.
var amountCodes = []search.Amount{search.Any, search.None, search.Some}

// readSearch reads a request of S1.
func readSearch(p *params) (q query, err error) {
	f := &q.filter
	f.From, f.To = p.instant("startTime"), p.instant("endTime")

	q.pageNum = p.page(maxRows, "pageNum", "currPage")
	q.pageSize = p.page(maxPageSize, "pageSize")
	f.CallID = p.text("callID")
	q.hide = p.hideNumber()
	p.text("operator") // who asks: it must be a text, and nothing depends on it

	agent := p.text("agent")
	if p.code("agentType", 0, 0, 1) == 1 {
		f.AgentUUID = agent
	} else {
		f.AgentID = agent
	}

	f.Customer = p.text("customerNumber")
	f.Gateway = p.text("gatewayNumber")
	f.CallType = p.code("callType", 0, 1, 2, 3)
	f.DialType = p.word("mainDialType", "Inbound", "RegularMakeCall", "ClickToCallback", "TwoWayToPSTN", "Internal",
		"PreviewOutbound", "PredictiveOutbound")

	// The parameter's table lists 4 to 9, 21 and 22, the records' example 1 to 9.
	f.CallResult = p.code("callResult", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 22)
	f.Hangup = p.code("hangupDisposition", 0, 1, 2, 3)
	f.Attached = p.attached()

	agents := p.code("agentCount", 0, 1, 2, 3)
	transfers := p.code("transferCount", 0, 1, 2)
	consults := p.code("consultCount", 0, 1, 2)
	f.Department = p.text("departmentId")

	switch {
	case p.err != nil:
	case f.To <= f.From:
		p.refuse("RANGE_INVALID", "endTime", "must be after startTime")
	case f.To-f.From > maxSpan:
		p.refuse("RANGE_TOO_LARGE", "endTime", "must not be more than 366 days after startTime")
	case q.pageNum*q.pageSize > maxRows:
		p.refuse("PARAM_VALUE", "pageNum", "pageNum * pageSize must not be more than 100000")
	}
	if p.err != nil {
		return q, p.err
	}

	f.Agents = []search.Amount{search.Any, search.None, search.One, search.Several}[agents]
	f.Transfers, f.Consults = amountCodes[transfers], amountCodes[consults]
	f.Offset, f.Limit = int((q.pageNum-1)*q.pageSize), int(q.pageSize)
	return q, nil
}

// hideNumber reports whether customers' numbers are masked. 0, the default, means plain
// numbers, as 2 does.
func (p *params) hideNumber() bool { return p.code("hideNumber", 0, 0, 1, 2) == 1 }

// attached reads attachedData: a text, or the object itself.
func (p *params) attached() *search.Attached {
	_, v := p.given("attachedData")
	if v == nil {
		return nil
	}

	text := string(v)
	if v[0] != '{' {
		text = p.text("attachedData")
		if text == "" {
			return nil
		}
	}

	a := search.ParseAttached(text)
	if len(a.Atoms) > maxAttached {
		p.refuse("PARAM_VALUE", "attachedData", fmt.Sprintf("must not ask for more than %d values", maxAttached))
	}
	return a
}

// maxAttached is how many values of custom data a request may ask for. The object that holds
// them counts, too, and so does each object in it.
const maxAttached = 64

// listParties is S2, "Query Sub Agent Talk List": the party records of a call,
// by startTime.
func (a *API) listParties(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) error {
	if err := checkZone(r); err != nil {
		return err
	}

	call, parties, err := a.find(r, c, strings.Trim(ps.ByName("callID"), " \t\r\n"))
	if err != nil {
		return err
	}
	return succeed(w, "PartyCDRInfo", struct {
		List json.RawMessage `json:"list"`
	}{a.showParties(call, parties, false)})
}

// findCall is S3, "Query Main and Sub Talk Lists". The answer has call and parties, as the
// document's table says; its example is a list that is no JSON.
func (a *API) findCall(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) error {
	if err := checkZone(r); err != nil {
		return err
	}

	p, err := readBody(w, r)
	if err != nil {
		return err
	}

	_, id := p.given("callID")
	p.required("callID", id)
	callID := p.text("callID")
	hide := p.hideNumber()
	if p.err != nil {
		return p.err
	}

	call, parties, err := a.find(r, c, callID)
	if err != nil {
		return err
	}
	if call == nil { // the call is still in progress, or its record got lost
		return unknownCall
	}
	return succeed(w, "JSONObject", struct {
		Call    json.RawMessage `json:"call"`
		Parties json.RawMessage `json:"parties"`
	}{a.showCall(nil, c, *call, hide), a.showParties(call, parties, hide)})
}

var unknownCall = &problem{http.StatusNotFound, "NOT_FOUND", "callID: there is no such call"}

// find finds a call and its parties.
func (a *API) find(r *http.Request, c access.Caller, callID string) (*search.Record, []search.Record, error) {
	ctx, stop := dialect.Bound(r)
	defer stop()
	call, parties, err := a.Records.FindCall(ctx, c.Tenant, record.Telemarketing, callID)
	if errors.Is(err, search.ErrNotFound) {
		return nil, nil, unknownCall
	}
	return call, parties, err
}

// showCall appends a main record. If its numbers are masked, encryptCustomerNumber says
// which customer it was.
func (a *API) showCall(out []byte, c access.Caller, rec search.Record, hide bool) []byte {
	if !hide {
		return newRow(rec.Body).show(out, callFields)
	}

	r := newRow(event.Partial.Body(rec.Type, rec.Body))
	if number := newRow(rec.Body).text("customerNumber"); number != "" && a.SealNumber != nil {
		r["encryptCustomerNumber"] = appendText(nil, a.SealNumber(c.CompanyID, number))
	}
	return r.show(out, callFields)
}

// showParties returns a list of party records. A party without a callType has that of its
// call.
func (a *API) showParties(call *search.Record, parties []search.Record, hide bool) json.RawMessage {
	out := []byte{'['}
	callType := event.Value("null")
	if call != nil {
		callType = newRow(call.Body).value("callType")
	}

	for i, rec := range parties {
		if i > 0 {
			out = append(out, ',')
		}
		if hide {
			rec.Body = event.Partial.Body(rec.Type, rec.Body)
		}

		r := newRow(rec.Body)
		if _, ok := r.value("callType").Int(); !ok {
			r["callType"] = callType
		}
		out = r.show(out, partyFields)
	}
	return append(out, ']')
}
