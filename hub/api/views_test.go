package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
)

// notebook keeps the rows of views.
type notebook struct {
	mu   sync.Mutex
	rows []string
	err  error
}

func (n *notebook) Note(_ context.Context, by access.Caller, d audit.Deed) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return n.err
	}

	after, err := json.Marshal(d.After)
	n.rows = append(n.rows, by.KeyID+by.IP+" "+d.Object+" "+string(after))
	return err
}

// The first look of a key at an object is a row at once; those of the minute after it are
// one row at its end, also when the hub stops.
func TestViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book notebook
		v := &api.Views{Store: &book}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- v.Run(ctx) }()
		see := func(key, ip, object string) error {
			return v.Note(ctx, access.Caller{KeyID: key, IP: ip}, audit.Deed{Tenant: 1, Action: audit.EventView, Object: object})
		}
		wrote := func(rows ...string) {
			t.Helper()
			book.mu.Lock()
			defer book.mu.Unlock()
			require.ElementsMatch(t, rows, book.rows)
			book.rows = nil
		}

		for range 4 {
			require.NoError(t, see("a", "", "event/1"))
		}
		wrote("a event/1 null")
		require.NoError(t, see("b", "", "event/1"))
		require.NoError(t, see("a", "", "event/2"))
		require.NoError(t, see("a", "@elsewhere", "event/1"))
		wrote("b event/1 null", "a event/2 null", "a@elsewhere event/1 null")

		time.Sleep(50 * time.Second)
		synctest.Wait()
		wrote()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		wrote(`a event/1 {"further":3}`)
		require.NoError(t, see("a", "", "event/1"))
		wrote("a event/1 null")

		// Nothing is shown that has no row.
		away := func(err error) {
			book.mu.Lock()
			defer book.mu.Unlock()
			book.err = err
		}
		away(errors.New("the store is away"))
		require.Error(t, see("c", "", "event/1"))
		require.Error(t, see("c", "", "event/1"))
		away(nil)
		require.NoError(t, see("c", "", "event/1"))
		wrote("c event/1 null")

		require.NoError(t, see("c", "", "event/1"))
		stop()
		require.NoError(t, <-ended)
		wrote(`c event/1 {"further":1}`)
	})
}
