package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
)

// AuditStore keeps the audit log. Changes write their own rows.
type AuditStore interface {
	// Note commits a row that says what by is about to see, or to do without
	// changing a setting. It returns after the commit, so nothing is shown before
	// the log has its row.
	Note(ctx context.Context, by access.Caller, d audit.Deed) error
	// FindAudit reads a page, newest first. next is the Before of the page that
	// follows, 0 at the end. A page may be short, even empty, although more follows.
	FindAudit(ctx context.Context, f audit.Filter) (page []audit.Row, next int64, err error)
}

// viewed notes that the caller is about to see bodies, unless phone numbers are
// masked for it.
func (a *API) viewed(r *http.Request, c access.Caller, kind, id string) error {
	if c.Role == access.Auditor && !c.PII {
		return nil
	}
	return a.Views.Note(r.Context(), c, audit.Deed{Tenant: c.Tenant, Action: kind + ".view", Object: kind + "/" + id})
}

type auditView struct {
	ID     string          `json:"id"`
	Seq    int64           `json:"seq,omitempty"` // for the platform only
	At     Time            `json:"at"`
	Who    string          `json:"who"` // id of a key, or the hub itself: "hub", "hookline serve"
	Name   string          `json:"name,omitempty"`
	IP     string          `json:"ip,omitempty"`
	Action string          `json:"action"`
	Object string          `json:"object"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// auditRow returns a row of the audit log as the caller may see it.
func (v viewer) auditRow(r *audit.Row) auditView {
	object, _ := v.identifier("", r.Object)
	row := auditView{
		ID: v.rowHandle(r.Seq), At: timeOf(r.At), Who: r.Who, Name: r.Name, IP: r.IP, Action: r.Action, Object: object,
		Before: v.note(r.Before), After: v.note(r.After),
	}

	// Numbers grow over all tenants: one tenant's rows would tell how much others do.
	if v.tenant == 0 {
		row.Seq = r.Seq
	}
	return row
}

// rowHandle returns the id of a row of the audit log, which does not show its number.
func (v viewer) rowHandle(seq int64) string {
	return v.handles.Make(auditHandle, v.tenant, strconv.FormatInt(seq, 10))
}

// ListAudit is GET /v1/audit: who changed or saw what, newest first. Owners and
// auditors see the rows of their tenant, platform keys what platform keys did
// and what belongs to no tenant. A page may be short although a cursor follows.
func (a *API) ListAudit(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	f := audit.Filter{Tenant: c.Tenant}
	var err error
	if f.Limit, err = a.readPage(r, "audit", &f.Before, "action", "object", "who", "from", "to"); err != nil {
		return 0, nil, err
	}

	q := r.URL.Query()
	f.Action, f.Object, f.Who = q.Get("action"), q.Get("object"), q.Get("who")
	if f.From, f.To, err = timesOf(q); err != nil {
		return 0, nil, err
	}

	rows, next, err := a.Audit.FindAudit(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}

	cursor := ""
	if next != 0 {
		cursor = a.Cursors.Make("audit", next)
	}
	return http.StatusOK, pageOf(viewsOf(rows, a.viewer(c).auditRow), cursor), nil
}
