package problem_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/problem"
)

func TestWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		give  problem.Details
		body  string
		retry string
	}{
		"title defaults to the status's text": {
			give: problem.Details{Status: http.StatusNotFound},
			body: `{"type":"about:blank","title":"Not Found","status":404}`,
		},
		"fields": {
			give: *problem.Field(http.StatusUnprocessableEntity, "url", "must be https"),
			body: `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"url: must be https","errors":[{"field":"url","message":"must be https"}]}`,
		},
		"retry after is rounded up to whole seconds": {
			give:  problem.Details{Status: http.StatusTooManyRequests, Title: "Slow down", RetryAfter: 1200 * time.Millisecond},
			body:  `{"type":"about:blank","title":"Slow down","status":429}`,
			retry: "2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			problem.Write(w, tt.give)
			require.Equal(t, tt.give.Status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.Equal(t, tt.retry, w.Header().Get("Retry-After"))
			require.JSONEq(t, tt.body, w.Body.String())
		})
	}
}

func TestDetailsAsError(t *testing.T) {
	require.EqualError(t, problem.Field(422, "name", "too long"), "Unprocessable Entity: name: too long; name: too long")
	require.EqualError(t, problem.New(404, "no such tenant"), "Not Found: no such tenant")
}
