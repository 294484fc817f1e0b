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

// AppStore keeps the apps, their secrets sealed. Each change is also a row of the
// audit log, under the name of by.
type AppStore interface {
	// CreateApp commits a; ErrLimit if its tenant has limit live apps already.
	CreateApp(ctx context.Context, by access.Caller, a access.App, limit int) error
	// FindApps lists at most limit live apps of a tenant with ids below before,
	// newest first, without their secrets; before "" starts at the newest.
	FindApps(ctx context.Context, tenant int64, before string, limit int) ([]access.App, error)
	// DeleteApp commits that an app of the tenant is refused from the time at.
	// ErrNotFound.
	DeleteApp(ctx context.Context, by access.Caller, tenant int64, id string, at time.Time) error
	// LoadApps reads the live apps of all tenants with their secrets.
	LoadApps(ctx context.Context) ([]access.App, error)
}

type appView struct {
	ID        string         `json:"id"`
	AppID     string         `json:"appId"`               // the same, as vendors call it
	AppSecret string         `json:"appSecret,omitempty"` // only in the answer that makes it
	Kind      access.AppKind `json:"kind"`
	Name      string         `json:"name"`
	Role      access.Role    `json:"role"`
	CreatedAt Time           `json:"createdAt"`
}

func viewApp(a *access.App) appView {
	return appView{ID: a.ID, AppID: a.ID, Kind: a.Kind, Name: a.Name, Role: a.Role, CreatedAt: Time(a.CreatedAt)}
}

// CreateApp is POST /v1/apps: it makes a credential for clients of a vendor that sign
// their requests. The tenant's limit of keys is also its limit of apps.
func (a *API) CreateApp(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var in struct {
		Kind access.AppKind `json:"kind"`
		Name string         `json:"name"`
	}

	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}

	switch {
	case in.Kind == "":
		return 0, nil, problem.Field(http.StatusUnprocessableEntity, "kind", "is required: sobot or oauth1")
	case in.Kind != access.SobotApp && in.Kind != access.OAuth1App:
		return 0, nil, problem.Field(http.StatusUnprocessableEntity, "kind", "must be sobot or oauth1")
	}
	if msg := checkName(in.Name); msg != "" {
		return 0, nil, problem.Field(http.StatusUnprocessableEntity, "name", msg)
	}

	id, err := uuid.NewV7()
	if err != nil {
		return 0, nil, err
	}
	app := access.App{
		ID: id.String(), Tenant: c.Tenant, CompanyID: c.CompanyID, Kind: in.Kind, Name: in.Name,
		Secret: access.NewAppSecret(), Role: access.Query, CreatedAt: a.now().UTC(),
	}

	// Once begun this is finished, even if the caller goes away.
	ctx := context.WithoutCancel(r.Context())
	if err := a.Apps.CreateApp(ctx, c, app, a.limits(c).Keys); err != nil {
		return 0, nil, err
	}
	if err := a.Book.SyncApps(ctx, a.Apps.LoadApps); err != nil {
		return 0, nil, err
	}

	v := viewApp(&app)
	v.AppSecret = app.Secret
	return http.StatusCreated, v, nil
}

// ListApps is GET /v1/apps: the live ones.
func (a *API) ListApps(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	before := ""
	limit, err := a.readPage(r, "apps", &before)
	if err != nil {
		return 0, nil, err
	}

	apps, err := a.Apps.FindApps(r.Context(), c.Tenant, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	apps, next := cutPage(a.Cursors, "apps", apps, limit, func(a *access.App) any { return a.ID })
	return http.StatusOK, pageOf(viewsOf(apps, viewApp), next), nil
}

// DeleteApp is DELETE /v1/apps/{id}: the app and its tokens are refused from now on.
func (a *API) DeleteApp(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	ctx := context.WithoutCancel(r.Context())
	if err := a.Apps.DeleteApp(ctx, c, c.Tenant, ps.ByName("id"), a.now()); err != nil {
		return 0, nil, err
	}
	if err := a.Book.SyncApps(ctx, a.Apps.LoadApps); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, nil
}
