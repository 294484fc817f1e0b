package hub_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
)

// What every event pays before ingest sees it: request id, route, key.
func BenchmarkIngestRoute(b *testing.B) {
	book, text := &access.Book{}, access.NewKey("acme")
	book.PutTenant(access.Tenant{No: 1, CompanyID: "acme"})
	book.PutKey(access.Key{ID: "k", Tenant: 1, Role: access.Ingest, Hash: access.HashKey(text)})
	nothing := http.NotFoundHandler()
	h := (&hub.Routes{
		Auth: &access.Authenticator{Book: book}, API: &api.API{}, Healthz: nothing, Readyz: nothing,
		Ingest: func(w http.ResponseWriter, _ *http.Request, _ access.Caller, _ string) {
			w.WriteHeader(http.StatusAccepted)
		},
	}).Handler()
	r := httptest.NewRequest(http.MethodPost, "/v1/events", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
