package api

import (
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
)

// StepUp is the type of the problem that asks for the key again: the session is too old for
// what was asked.
const StepUp = "https://hookline.dev/problems/step-up"

// NeedsKey is the answer to a session that is too old for what it asks.
func NeedsKey() *problem.Details {
	return &problem.Details{
		Type: StepUp, Status: http.StatusForbidden,
		Detail: "this needs the key again: the last sign-in is more than 15 minutes ago",
	}
}

// sessionView is who is signed in. Timezone is empty for the platform, which has none.
type sessionView struct {
	Role       access.Role `json:"role"`
	CompanyID  string      `json:"companyId,omitempty"`
	Tenant     string      `json:"tenant,omitempty"`
	Timezone   string      `json:"timezone,omitempty"`
	PII        bool        `json:"pii"`
	Key        string      `json:"key"`
	KeyID      string      `json:"keyId"`
	SignedInAt *Time       `json:"signedInAt,omitempty"`
	ExpiresAt  *Time       `json:"expiresAt,omitempty"`
	Now        Time        `json:"now"`
	Build      string      `json:"build"`
}

// GetSession is GET /v1/session: who is signed in.
func (a *API) GetSession(_ *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	v := sessionView{
		Role: c.Role, CompanyID: c.CompanyID, PII: c.PII || c.Role == access.Owner, Key: c.Name, KeyID: c.KeyID,
		Now: Time(a.now()), Build: a.Build,
	}
	if t := a.Book.Tenant(c.Tenant); t != nil {
		v.Tenant, v.Timezone = t.Name, t.Timezone
	}
	if c.Session != "" {
		v.SignedInAt, v.ExpiresAt = timePtr(&c.SignedInAt), timePtr(&c.Until)
	}
	return http.StatusOK, v, nil
}

// CreateSession is POST /v1/session: it signs a browser in, by a key or by the code of a
// one-time link. With the cookie of a session and its key together it renews the sign-in.
func (a *API) CreateSession(w http.ResponseWriter, r *http.Request, _ access.Caller, _ httprouter.Params) {
	c, renewed, err := a.signIn(r)
	if err != nil {
		if !Deny(w, err) {
			a.fail(w, r, err)
		}
		return
	}
	if renewed {
		w.WriteHeader(http.StatusNoContent)
		return
	}

	cookie, session, err := a.Auth.Sessions.Begin(r.Context(), c, r.UserAgent())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	http.SetCookie(w, a.Auth.Sessions.Cookie(r, cookie, session.ExpiresAt))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// crossOrigin refuses what a page of another site sends.
var crossOrigin = http.NewCrossOriginProtection()

// signIn returns whose session a request begins. renewed is true when it has one already,
// and only gave its key again.
func (a *API) signIn(r *http.Request) (c access.Caller, renewed bool, err error) {
	if err := crossOrigin.Check(r); err != nil {
		return c, false, problem.New(http.StatusForbidden, "only a page of this hub may sign in: "+err.Error())
	}
	if ip := access.ClientIP(r, a.Auth.Trusted); !a.Auth.Sessions.Secure(r) && !ip.IsLoopback() {
		return c, false, problem.New(http.StatusForbidden,
			"the console needs https: set HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY, or put a TLS proxy in front "+
				"(HOOKLINE_TRUSTED_PROXIES)")
	}

	if c, err = a.credentialOf(r); err != nil {
		return c, false, err
	}
	if c.Role == access.Ingest {
		return c, false, problem.New(http.StatusForbidden, "a key of role ingest sends events only: it cannot sign in")
	}

	// The key of the session that the request has: the sign-in is renewed.
	if old, err := a.Auth.AuthenticateSession(r); err == nil && old.KeyID == c.KeyID {
		return c, true, a.Auth.Sessions.Renew(r.Context(), old)
	}
	return c, false, nil
}

// credentialOf returns the caller of a key in the header, or of a code in the body.
func (a *API) credentialOf(r *http.Request) (access.Caller, error) {
	if r.Header.Get("Authorization") != "" {
		return a.Auth.Authenticate(r, false)
	}
	var in struct {
		Code string `json:"code"`
	}
	if err := decode(r, &in); err != nil {
		return access.Caller{}, err
	}
	if in.Code == "" {
		return access.Caller{}, access.ErrNoCredential
	}
	return a.Auth.AuthenticateCode(r, in.Code)
}

// EndSession is DELETE /v1/session: it signs out. A caller with a key has no session, and
// gets the same answer.
func (a *API) EndSession(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	if c.Session != "" {
		if err := a.Auth.Sessions.End(r.Context(), c); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	http.SetCookie(w, a.Auth.Sessions.Cookie(r, "", time.Time{}))
	w.WriteHeader(http.StatusNoContent)
}

// holds reports whether the credential of a caller is still good.
func (a *API) holds(c access.Caller) bool {
	return a.Book.Holds(c, a.now()) && (a.Auth == nil || a.Auth.Sessions == nil || a.Auth.Sessions.Holds(c))
}
