package liveperson

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/julienschmidt/httprouter"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

// More requests of a tenant at a time than the bound are told to wait a second;
// those of another are not.
func TestTooManyAtATime(t *testing.T) {
	a := &API{Caller: func(r *http.Request) (access.Caller, error) {
		c := access.Caller{Tenant: 1, CompanyID: "acme", Role: access.Query}
		if r.Header.Get("Authorization") != "" {
			c = access.Caller{Tenant: 2, CompanyID: "other", Role: access.Query}
		}
		return c, nil
	}}
	for range maxAnswering {
		require.NoError(t, a.answering.Try(1, maxAnswering))
	}
	m := httprouter.New()
	for _, rt := range a.Routes() {
		m.Handle(rt.Method, rt.Path, rt.Handle)
	}
	get := func(account, authorization string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(http.MethodGet, prefix+account+"/queuestate", nil), httptest.NewRecorder()
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		m.ServeHTTP(w, r)
		return w
	}
	w := get("acme", "")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.JSONEq(t,
		`{"error":{"statusCode":429,"internalCode":"TOO_MANY_REQUESTS","message":"too many requests at a time, wait a second"}}`,
		w.Body.String())
	require.Equal(t, http.StatusBadRequest, get("other", "Bearer x").Code, "its own bound; v is missing")
	a.answering.Give(1)
	require.Equal(t, http.StatusBadRequest, get("acme", "").Code)
	require.Equal(t, http.StatusBadRequest, get("acme", "").Code, "and each leaves")
}
