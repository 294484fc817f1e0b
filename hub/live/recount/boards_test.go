package recount

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
)

var (
	firstSeed = flag.Uint64("seed", 0, "of the first random history; 0: a random one. The others follow")
	histories = flag.Int("histories", 1, "how many random histories TestBoards plays on each store")
)

// tenant is the number of the one whose boards are asked for.
const tenant = 1

var singapore = time.FixedZone("", 8*3600)

// Whatever is sent, in whatever order, each figure of the boards is what a recount
// of all events gives: while events come, at later moments, after a restart and
// after a rebuild. go test -run Boards -seed 7 repeats one history.
func TestBoards(t *testing.T) {
	for store, place := range map[string]func(t *testing.T) storage.Config{
		"sqlite":   func(t *testing.T) storage.Config { return storage.Config{Dir: hubtest.Folder(t)} },
		"postgres": func(t *testing.T) storage.Config { return storage.Config{URL: hubtest.Postgres(t)} },
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			seed := *firstSeed
			if seed == 0 {
				seed = rand.Uint64()
			}
			for i := range uint64(*histories) {
				testBoards(t, newCentre(t, place(t), seed+i))
			}
		})
	}
}

func testBoards(t *testing.T, c *centre) {
	g := newRandom(c.seed)
	for load := range 12 {
		var entries []entry
		for range 1 + g.IntN(40) {
			if len(c.log) > 0 && g.IntN(6) == 0 {
				entries = append(entries, g.repeated(c.log[g.IntN(len(c.log))]))
			} else {
				entries = append(entries, g.entry())
			}
		}
		c.send(entries)
		c.check(fmt.Sprint("load ", load), noon+g.Int64N(60)*second)
	}

	// Time alone changes boards: calls and chats go stale, days end.
	const minute = 60 * second
	moments := []int64{0, 1, 40 * minute, 11 * hour, 12 * hour, 13*hour + 500, 23 * hour, 26 * hour, -2 * hour}
	for _, after := range moments {
		c.check("later", noon+after)
	}
	require.NoError(t, c.folds.Rebuild(t.Context(), tenant))
	c.check("rebuilt", noon)
	c.restart()
	for _, after := range moments {
		c.check("restarted", noon+after)
	}
	c.checkWaits()

	c.forget()
	c.check("bodies are gone", noon)
}

// centre is a contact centre whose events go to a store, and to the recount.
type centre struct {
	*recount
	t      *testing.T
	seed   uint64
	cfg    storage.Config
	db     *storage.DB
	folds  *folds.Folds
	boards *live.Boards
}

func newCentre(t *testing.T, cfg storage.Config, seed uint64) *centre {
	t.Helper()
	box, err := signing.NewBox(make([]byte, 32))
	require.NoError(t, err)
	cfg.Process, cfg.Box, cfg.Log = "test", box, slog.New(slog.DiscardHandler)
	c := &centre{recount: newRecount(), t: t, seed: seed, cfg: cfg}
	c.boards = &live.Boards{Directory: c.book().Of}
	c.open()
	t.Cleanup(c.close)

	boss := access.Caller{KeyID: "root", Role: access.Platform}
	company := &access.Tenant{CompanyID: "demo", Name: "Demo", Timezone: "Asia/Singapore"}
	require.NoError(t, c.db.CreateTenant(t.Context(), boss, company))
	require.EqualValues(t, tenant, company.No)
	return c
}

func (c *centre) open() {
	var err error
	c.db, err = storage.Open(c.t.Context(), c.cfg)
	require.NoError(c.t, err)
	c.folds = storage.NewFolds(c.db)
	c.boards.Facts = c.folds
}

func (c *centre) close() {
	if err := c.db.Close(); err != nil {
		c.t.Errorf("close the store: %v", err)
	}
}

// restart closes the store and opens it again, as another start of the hub does.
func (c *centre) restart() {
	c.close()
	c.open()
}

// send hands events to the store, a few at a time, so that they arrive in this
// order, and to the recount.
func (c *centre) send(entries []entry) {
	c.t.Helper()
	c.log = append(c.log, entries...)
	var events []*event.Event
	for _, e := range entries {
		typ, known := event.ParseType(e.typ)
		require.True(c.t, known, e.typ)
		body, err := json.Marshal(e.body)
		require.NoError(c.t, err)
		events = append(events, &event.Event{Tenant: tenant, Type: typ, OrderKey: "x", OccurredAt: e.at, Body: body})
	}
	for few := range slices.Chunk(events, 7) {
		_, err := c.db.Accept(c.t.Context(), few)
		require.NoError(c.t, err)
	}
}

// check asks for the boards of a moment, and compares.
func (c *centre) check(what string, now int64) {
	c.t.Helper()
	board, err := c.boards.At(c.t.Context(), tenant, now, singapore)
	require.NoError(c.t, err)
	c.now, c.dayBegin, c.dayEnds = now, board.From, board.To
	c.read()
	c.compare(c.t, fmt.Sprintf("seed %d, %s, now %d", c.seed, what, now-noon), c.boards, board)
}

// checkWaits compares the waits that are over, which come by their beginning.
func (c *centre) checkWaits() {
	c.t.Helper()
	var waits []string
	last := int64(0)
	require.NoError(c.t, c.folds.EachWait(c.t.Context(), tenant, noon-40*hour, noon+2*hour, func(w live.Wait) error {
		require.GreaterOrEqual(c.t, w.At, last)
		last = w.At
		waits = append(waits, fmt.Sprint(w.Media, " ", w.Contact, " ", w.Queue, " ", w.At, " ", w.EndsAt, " ", w.Outcome))
		return nil
	}))
	slices.Sort(waits)
	require.Equal(c.t, c.endedWaits(), waits, "seed %d", c.seed)
}

// forget lets retention take all bodies away: boards know nothing any more, and
// their tables are empty.
func (c *centre) forget() {
	c.t.Helper()
	require.NoError(c.t, c.db.Trim(c.t.Context(), time.Now().AddDate(1, 0, 0)))
	require.NoError(c.t, c.folds.Trim(c.t.Context()))
	c.log = nil

	driver, place := "sqlite", filepath.Join(c.cfg.Dir, storage.File)
	if c.cfg.URL != "" {
		driver, place = "postgres", c.cfg.URL
	}
	raw, err := sql.Open(driver, place)
	require.NoError(c.t, err)
	defer raw.Close()
	for _, table := range []string{
		"live_calls", "live_chats", "live_visitors", "seen_queues", "waits", "agent_calls", "seen_agents",
		"agent_statuses", "agent_stretches",
	} {
		var rows int
		require.NoError(c.t, raw.QueryRowContext(c.t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
		require.Zero(c.t, rows, table)
	}
}
