package dialect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/ingest"
)

func TestFaultOf(t *testing.T) {
	secret := errors.New("table calls is locked")
	for _, tt := range []struct {
		err    error
		status int
		retry  string
		logged bool
	}{
		{&access.SlowDown{After: 6100 * time.Millisecond}, 429, "7", false},
		{access.ErrSignLimit, 429, "1", false},
		{access.ErrNoCredential, 401, "", false},
		{access.ErrCredential, 401, "", false},
		{access.ErrSignTime, 401, "", false},
		{access.ErrSignUsed, 401, "", false},
		{access.ErrSuspended, 403, "", false},
		{access.ErrTokenInURL, 403, "", false},
		{fmt.Errorf("%w: %w", ingest.ErrBusy, secret), 503, "1", true},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, secret), 503, "1", true},
		{secret, 500, "", true},
	} {
		var log bytes.Buffer
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil)
		f := dialect.FaultOf(w, r, slog.New(slog.NewTextHandler(&log, nil)), tt.err)
		require.NotNil(t, f, "%v", tt.err)
		require.Equal(t, tt.status, f.Status, "%v", tt.err)
		require.Equal(t, tt.retry, w.Header().Get("Retry-After"), "%v", tt.err)
		require.Equal(t, tt.logged, log.Len() > 0, "%v", tt.err)
		require.NotContains(t, f.Text, secret.Error(), "what is inside stays in the log")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/x", nil)
	require.Nil(t, dialect.FaultOf(httptest.NewRecorder(), r, slog.New(slog.DiscardHandler), context.Canceled),
		"the caller went away")
}
