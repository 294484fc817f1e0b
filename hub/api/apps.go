package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
)

// AppStore keeps the apps, their secrets sealed. Each change is a row of the
// audit log, too, as the deed of by.
type AppStore interface {
	// CreateApp commits a; ErrLimit if its tenant has limit live apps already.
	CreateApp(ctx context.Context, by access.Caller, a access.App, limit int) error
	// FindApps lists at most limit live apps of a tenant with ids below before,
	// newest first, without their secrets; before "": from the newest on.
	FindApps(ctx context.Context, tenant int64, before string, limit int) ([]access.App, error)
	// DeleteApp commits that an app of the tenant is refused from at on. ErrNotFound.
	DeleteApp(ctx context.Context, by access.Caller, tenant int64, id string, at time.Time) error
	// LoadApps reads the live apps of all tenants with their secrets.
	LoadApps(ctx context.Context) ([]access.App, error)
}

type appView struct {
	ID        string         `json:"id"`
	AppID     string         `json:"appId"`               // the same, in the vendors' word
	AppSecret string         `json:"appSecret,omitempty"` // once, in the answer that makes it
	Kind      access.AppKind `json:"kind"`
	Name      string         `json:"name"`
	Role      access.Role    `json:"role"`
	CreatedAt Time           `json:"createdAt"`
}

func viewApp(a access.App) appView {
	return appView{ID: a.ID, AppID: a.ID, Kind: a.Kind, Name: a.Name, Role: a.Role, CreatedAt: Time(a.CreatedAt)}
}

// CreateApp is POST /v1/apps: a credential for clients of a vendor that sign.
// The tenant's limit of keys is one of apps, too.
func (a *API) CreateApp(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	var in struct {
		Kind access.AppKind `json:"kind"`
		Name string         `json:"name"`
	}
	if err := decode(w, r, &in); err != nil {
		a.fail(w, r, err)
		return
	}
	switch {
	case in.Kind == "":
		a.fail(w, r, problem.Field(http.StatusUnprocessableEntity, "kind", "is required: sobot or oauth1"))
		return
	case in.Kind != access.SobotApp && in.Kind != access.OAuth1App:
		a.fail(w, r, problem.Field(http.StatusUnprocessableEntity, "kind", "must be sobot or oauth1"))
		return
	}
	if msg := checkName(in.Name); msg != "" {
		a.fail(w, r, problem.Field(http.StatusUnprocessableEntity, "name", msg))
		return
	}
	id, err := uuid.NewV7()
	if err != nil {
		a.fail(w, r, err)
		return
	}
	app := access.App{
		ID: id.String(), Tenant: c.Tenant, CompanyID: c.CompanyID, Kind: in.Kind, Name: in.Name,
		Secret: access.NewAppSecret(), Role: access.Query, CreatedAt: a.now().UTC(),
	}
	ctx := context.WithoutCancel(r.Context())
	if err := a.Apps.CreateApp(ctx, c, app, a.limits(c).Keys); err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.Book.SyncApps(ctx, a.Apps.LoadApps); err != nil {
		a.fail(w, r, err)
		return
	}
	v := viewApp(app)
	v.AppSecret = app.Secret
	a.answer(w, r, http.StatusCreated, v)
}

// ListApps is GET /v1/apps: the live ones.
func (a *API) ListApps(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	before := ""
	limit, err := a.readPage(r, "apps", &before)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	apps, err := a.Apps.FindApps(r.Context(), c.Tenant, before, limit+1)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	next := ""
	if len(apps) > limit {
		apps = apps[:limit]
		next = a.Cursors.Make("apps", apps[limit-1].ID)
	}
	views := make([]appView, len(apps))
	for i, app := range apps {
		views[i] = viewApp(app)
	}
	answerList(a, w, r, views, next)
}

// DeleteApp is DELETE /v1/apps/{id}: it and its tokens are refused from now on.
func (a *API) DeleteApp(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) {
	ctx := context.WithoutCancel(r.Context())
	if err := a.Apps.DeleteApp(ctx, c, c.Tenant, ps.ByName("id"), a.now()); err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.Book.SyncApps(ctx, a.Apps.LoadApps); err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
