package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
)

// ErrLastKey is returned by RevokeKey for the last platform key that never expires:
// without such a key nobody could make another one. It is answered with 409.
var ErrLastKey = errors.New("it is the last platform key that does not expire; make another one first")

// KeyStore keeps the keys, without their secrets. Each change is also a row of the
// audit log, under the name of by.
type KeyStore interface {
	// CreateKey commits k; ErrLimit if its tenant has limit live keys already.
	CreateKey(ctx context.Context, by access.Caller, k access.Key, limit int) error
	// FindKeys lists at most limit keys of a tenant (0: the platform's) with ids
	// below before, newest first; before "" starts at the newest.
	FindKeys(ctx context.Context, tenant int64, before string, limit int) ([]access.Key, error)
	// RevokeKey commits that a key of the tenant is refused from the time at. It is
	// safe to repeat: the first time stays. ErrNotFound, ErrLastKey.
	RevokeKey(ctx context.Context, by access.Caller, tenant int64, id string, at time.Time) error
}

type keyView struct {
	ID         string      `json:"id"`
	Key        string      `json:"key,omitempty"` // only in the answer that makes it
	CompanyID  string      `json:"companyId,omitempty"`
	Role       access.Role `json:"role"`
	PII        bool        `json:"pii"`
	Name       string      `json:"name"`
	CreatedBy  string      `json:"createdBy,omitempty"`
	CreatedAt  Time        `json:"createdAt"`
	ExpiresAt  *Time       `json:"expiresAt,omitempty"`
	RevokedAt  *Time       `json:"revokedAt,omitempty"`
	LastUsedAt *Time       `json:"lastUsedAt,omitempty"`
}

func viewKey(k *access.Key) keyView {
	return keyView{
		ID: k.ID, CompanyID: k.CompanyID, Role: k.Role, PII: k.PII, Name: k.Name, CreatedBy: k.CreatedBy,
		CreatedAt: Time(k.CreatedAt), ExpiresAt: timePtr(k.ExpiresAt), RevokedAt: timePtr(k.RevokedAt),
		LastUsedAt: timePtr(k.LastUsed),
	}
}

// moment is a time in a body: RFC 3339, or a number of Unix ms.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		s = string(b)
	}
	if s == "null" {
		return nil
	}
	m.Time, err = parseTime("expiresAt", s)
	return err
}

// keyHolder returns the tenant whose keys the path means. For the platform alone it
// may be the platform itself, number 0.
func (a *API) keyHolder(ctx context.Context, c access.Caller, ps httprouter.Params) (*access.Tenant, error) {
	if c.Role == access.Platform && ps.ByName("id") == access.PlatformID {
		return &access.Tenant{CompanyID: access.PlatformID}, nil
	}
	return a.tenant(ctx, c, ps)
}

// CreateKey is POST /v1/tenants/{id}/keys.
func (a *API) CreateKey(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	t, err := a.keyHolder(r.Context(), c, ps)
	if err != nil {
		return 0, nil, err
	}

	var in struct {
		Role      access.Role `json:"role"`
		Name      string      `json:"name"`
		PII       bool        `json:"pii"`
		ExpiresAt moment      `json:"expiresAt"`
	}
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}

	k := access.Key{Tenant: t.No, Role: in.Role, Name: in.Name, PII: in.PII, CreatedBy: c.KeyID, CreatedAt: a.now().UTC()}
	if !in.ExpiresAt.IsZero() {
		k.ExpiresAt = &in.ExpiresAt.Time
	}
	if err := checkKey(k); err != nil {
		return 0, nil, err
	}
	if t.No != 0 {
		k.CompanyID = t.CompanyID
	}

	id, err := uuid.NewV7()
	if err != nil {
		return 0, nil, fmt.Errorf("id of a key: %w", err)
	}
	text := access.NewKey(t.CompanyID)
	k.ID, k.Hash = id.String(), access.HashKey(text)

	// Once begun this is finished, and the book knows it, even if the caller goes away.
	ctx := context.WithoutCancel(r.Context())
	a.changes.Lock()
	defer a.changes.Unlock()
	if err := a.Keys.CreateKey(ctx, c, k, t.Limits.Effective().Keys); err != nil {
		return 0, nil, err
	}

	a.Book.PutKey(k)
	if t.No != 0 {
		a.nearCounts(ctx, t.No, t.Limits.Effective())
	}
	v := viewKey(&k)
	v.Key = text
	return http.StatusCreated, v, nil
}

// checkKey says what is wrong with a new key.
func checkKey(k access.Key) error {
	refuse := func(field, message string) error {
		return problem.Field(http.StatusUnprocessableEntity, field, message)
	}
	switch {
	case k.Role == "":
		return refuse("role", "is required: "+roleNames(k.Tenant))
	case !slices.Contains(access.Roles, k.Role), (k.Role == access.Platform) != (k.Tenant == 0):
		return refuse("role", "must be one of "+roleNames(k.Tenant))
	case k.PII && k.Role != access.Auditor && k.Role != access.Query:
		return refuse("pii", "is for keys of role auditor or query only")
	case k.ExpiresAt != nil && !k.ExpiresAt.After(k.CreatedAt):
		return refuse("expiresAt", "must be in the future")
	}
	if msg := checkName(k.Name); msg != "" {
		return refuse("name", msg)
	}
	return nil
}

func roleNames(tenant int64) string {
	if tenant == 0 {
		return string(access.Platform)
	}
	return "owner, ingest, query, auditor"
}

// ListKeys is GET /v1/tenants/{id}/keys.
func (a *API) ListKeys(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	t, err := a.keyHolder(r.Context(), c, ps)
	if err != nil {
		return 0, nil, err
	}
	list, before := "keys/"+t.CompanyID, ""
	limit, err := a.readPage(r, list, &before)
	if err != nil {
		return 0, nil, err
	}

	keys, err := a.Keys.FindKeys(r.Context(), t.No, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	keys, next := cutPage(a.Cursors, list, keys, limit, func(k *access.Key) any { return k.ID })
	return http.StatusOK, pageOf(viewsOf(keys, viewKey), next), nil
}

// RevokeKey is DELETE /v1/tenants/{id}/keys/{keyId}.
func (a *API) RevokeKey(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	t, err := a.keyHolder(r.Context(), c, ps)
	if err != nil {
		return 0, nil, err
	}

	id := ps.ByName("keyId")
	ctx := context.WithoutCancel(r.Context())
	a.changes.Lock()
	defer a.changes.Unlock()
	if err := a.Keys.RevokeKey(ctx, c, t.No, id, a.now()); err != nil {
		return 0, nil, err
	}

	a.Book.RemoveKey(id)
	return http.StatusNoContent, nil, nil
}
