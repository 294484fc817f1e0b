package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
)

// table is the table of shards that processes share.
type table struct {
	mu      sync.Mutex
	owners  [subscriptions.Shards]string
	epochs  [subscriptions.Shards]int64
	renewed [subscriptions.Shards]time.Time
	members map[string]time.Time
}

// process is a process that shares the table: a ShardStore whose calls can fail or
// be slow, and a ShardOwner that notes what it may send, and until when.
type process struct {
	t     *testing.T
	name  string
	table *table
	cut   bool          // it does not reach the database
	deaf  bool          // what it asks is done, but the answers come too late
	slow  time.Duration // every call takes so long
	stop  func()

	mu    sync.Mutex
	until time.Time
	over  bool
	owns  map[int]int64
}

var errCut = errors.New("no route to the database")

func (p *process) wait() error {
	p.mu.Lock()
	slow, cut := p.slow, p.cut
	p.mu.Unlock()
	time.Sleep(slow)
	if cut {
		time.Sleep(1500 * time.Millisecond)
		return errCut
	}
	return nil
}

// answer returns an error if the answer to a call, which had its effect, comes too late.
func (p *process) answer() error {
	p.mu.Lock()
	deaf := p.deaf
	p.mu.Unlock()
	if !deaf {
		return nil
	}
	time.Sleep(1500 * time.Millisecond)
	return errCut
}

func (p *process) Reach(context.Context) error {
	if err := p.wait(); err != nil {
		return err
	}
	return p.answer()
}

func (p *process) RenewShards(context.Context) (map[int]int64, int, error) {
	if err := p.wait(); err != nil {
		return nil, 0, err
	}
	owned, n := p.renew()
	if err := p.answer(); err != nil {
		return nil, 0, err
	}
	return owned, n, nil
}

func (p *process) renew() (map[int]int64, int) {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members[p.name] = time.Now()
	owned, n := map[int]int64{}, 0
	for s, o := range t.owners {
		if o == p.name {
			owned[s], t.renewed[s] = t.epochs[s], time.Now()
		}
	}
	for _, at := range t.members {
		if time.Since(at) < storage.LeaseFor {
			n++
		}
	}
	return owned, n
}

func (p *process) ClaimShards(_ context.Context, most int) (map[int]int64, error) {
	if err := p.wait(); err != nil {
		return nil, err
	}
	claimed := p.claim(most)
	if err := p.answer(); err != nil {
		return nil, err
	}
	return claimed, nil
}

func (p *process) claim(most int) map[int]int64 {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	claimed := map[int]int64{}
	for s, o := range t.owners {
		if len(claimed) < most && o != p.name && (o == "" || time.Since(t.renewed[s]) > storage.LeaseFor) {
			t.owners[s], t.renewed[s] = p.name, time.Now()
			t.epochs[s]++
			claimed[s] = t.epochs[s]
		}
	}
	return claimed
}

func (p *process) ReleaseShards(_ context.Context, shards map[int]int64) error {
	if err := p.wait(); err != nil {
		return err
	}
	p.table.free(func(s int) bool { return p.table.owners[s] == p.name && p.table.epochs[s] == shards[s] })
	return p.answer()
}

func (p *process) Leave(context.Context) error {
	p.table.mu.Lock()
	delete(p.table.members, p.name)
	p.table.mu.Unlock()
	if err := p.wait(); err != nil {
		return err
	}
	p.table.free(func(s int) bool { return p.table.owners[s] == p.name })
	return p.answer()
}

func (t *table) free(which func(shard int) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.owners {
		if which(s) {
			t.owners[s] = ""
		}
	}
}

func (p *process) Own(shard int, epoch int64) { p.change(func() { p.owns[shard] = epoch }) }
func (p *process) Lose(shard int)             { p.change(func() { delete(p.owns, shard) }) }
func (p *process) Renewed(until time.Time)    { p.change(func() { p.until = until }) }

func (p *process) Release(shard int, epoch int64, _ time.Duration) {
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond) // what is in flight
	p.change(func() {
		if p.owns[shard] == epoch {
			delete(p.owns, shard)
		}
	})
}

func (p *process) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// sends returns the shards, and their epochs, from which the process may send now.
func (p *process) sends() map[int]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || !time.Now().Before(p.until) {
		return nil
	}
	return maps.Clone(p.owns)
}

func newTable() *table { return &table{members: map[string]time.Time{}} }

func (t *table) join(tt *testing.T, name string) *process {
	p := &process{t: tt, name: name, table: t, owns: map[int]int64{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewOwnership(p, p, slog.New(slog.DiscardHandler)).Run(ctx) }()
	var once sync.Once
	p.stop = func() {
		once.Do(func() {
			p.change(func() { p.over = true }) // lanes end before ownership
			cancel()
			require.NoError(tt, <-done)
		})
	}
	tt.Cleanup(p.stop)
	return p
}

// shares returns from how many shards each process may send now. No shard may be
// sent by two.
func shares(t *testing.T, processes ...*process) (n []int) {
	t.Helper()
	by := map[int]string{}
	for _, p := range processes {
		sends := p.sends()
		n = append(n, len(sends))
		for s := range sends {
			require.Empty(t, by[s], "shard %d is sent by two: %s too", s, p.name)
			by[s] = p.name
		}
	}
	return n
}

// Shards are shared fairly as processes come and go, and never sent by two.
func TestFairShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable()
		a := table.join(t, "a")
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, []int{64}, shares(t, a), "at once")

		b := table.join(t, "b")
		time.Sleep(6 * time.Second)
		require.Equal(t, []int{32, 32}, shares(t, a, b))

		c := table.join(t, "c")
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			shares(t, a, b, c)
		}
		n := shares(t, a, b, c)
		require.Equal(t, 64, n[0]+n[1]+n[2])
		for _, n := range n {
			require.InDelta(t, 21, n, 1)
		}

		b.stop()
		require.Empty(t, b.sends())
		time.Sleep(2500 * time.Millisecond)
		require.Equal(t, []int{32, 32}, shares(t, a, c), "a clean stop hands over at once")
	})
}

// A process that is cut off is silent before others take its shards, and they
// have all of them within LeaseFor and a little.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable()
		a, b := table.join(t, "a"), table.join(t, "b")
		time.Sleep(10 * time.Second)
		require.Equal(t, []int{32, 32}, shares(t, a, b))

		a.change(func() { a.cut = true })
		cut := time.Now()
		for len(b.sends()) < 64 {
			shares(t, a, b)
			time.Sleep(50 * time.Millisecond)
			require.Less(t, time.Since(cut), 10*time.Second)
		}
		require.Greater(t, time.Since(cut), storage.LeaseFor-renewEvery)
		require.Empty(t, a.sends())

		time.Sleep(time.Minute)
		a.change(func() { a.cut = false })
		for range 200 {
			time.Sleep(50 * time.Millisecond)
			shares(t, a, b)
		}
		require.Equal(t, []int{32, 32}, shares(t, a, b), "and it joins again")
	})
}

// A process whose answers all come too late does not keep its shards from others,
// although each of its renewals is done.
func TestDeafOwnerLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable()
		a, b := table.join(t, "a"), table.join(t, "b")
		time.Sleep(10 * time.Second)
		a.change(func() { a.deaf = true })
		deaf := time.Now()
		for len(b.sends()) < 64 {
			shares(t, a, b)
			time.Sleep(50 * time.Millisecond)
			require.Less(t, time.Since(deaf), 12*time.Second)
		}
		require.Empty(t, a.sends())
		a.change(func() { a.deaf = false })
		time.Sleep(15 * time.Second)
		require.Equal(t, []int{32, 32}, shares(t, a, b), "and it joins again")
	})
}

// Whatever happens to processes, no shard is sent by two, and all are sent by
// somebody once things have calmed down.
func TestOwnershipStorm(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				table := newTable()
				var all []*process
				for i := range 4 {
					all = append(all, table.join(t, fmt.Sprint(i)))
				}

				// Something happens to one of them, 60 times.
				for step := range 60 {
					p := all[r.IntN(len(all))]
					switch r.IntN(6) {
					case 0:
						p.change(func() { p.cut = true })
					case 3:
						p.change(func() { p.deaf = true })
					case 1:
						p.change(func() { p.slow = time.Duration(r.IntN(1500)) * time.Millisecond })
					case 2:
						p.stop()
						all = append(all, table.join(t, fmt.Sprint("s", step)))
					default:
						p.change(func() { p.cut, p.deaf, p.slow = false, false, 0 })
					}
					for range 30 {
						time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
						shares(t, all...)
					}
				}

				// Then all is well again.
				for _, p := range all {
					p.change(func() { p.cut, p.deaf, p.slow = false, false, 0 })
				}
				time.Sleep(30 * time.Second)
				sum := 0
				for _, n := range shares(t, all...) {
					sum += n
				}
				require.Equal(t, 64, sum)
			})
		})
	}
}
