package hub

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hookline/hookline/subscriptions"
)

// Times of ownership. A process stops sending sendFor after its last renewal,
// by its own clock; others take its shards storage.LeaseFor after it, by the
// clock of the database.
const (
	renewEvery = time.Second
	sendFor    = 4 * time.Second
	drainFor   = 5 * time.Second // of a shard that is handed over
)

// shardStore keeps who owns which shard; every call is bounded in time. One that
// fails may have had its effect all the same.
type shardStore interface {
	// Reach says whether the store answers in time. It changes nothing.
	Reach(ctx context.Context) error
	// RenewShards keeps all shards of this process for a while more, and says which
	// they are, with their epochs, and how many processes there are.
	RenewShards(ctx context.Context) (owned map[int]int64, processes int, err error)
	// ClaimShards takes up to most shards that nobody has, each under a new epoch.
	ClaimShards(ctx context.Context, most int) (map[int]int64, error)
	// ReleaseShards lets others have some, unless they are owned under another epoch.
	ReleaseShards(ctx context.Context, shards map[int]int64) error
	// Leave lets others have all.
	Leave(ctx context.Context) error
}

// owner is what ownership tells who sends.
type owner interface {
	Own(shard int, epoch int64)
	Lose(shard int)
	Release(shard int, epoch int64, drain time.Duration)
	Renewed(until time.Time)
}

// ownership keeps this process's fair share of the shards: it renews them every
// second, takes those that nobody has, and hands over what is too much when
// another process joins.
type ownership struct {
	store shardStore
	lanes owner
	log   *slog.Logger

	unheard  bool          // the last call failed
	mine     map[int]int64 // shard -> epoch
	leaving  map[int]bool  // of mine: being handed over, nothing of them is sent
	drained  []int         // of leaving: nothing of them is in flight
	released chan int      // they become drained
	releases sync.WaitGroup
}

func newOwnership(store shardStore, lanes owner, log *slog.Logger) *ownership {
	return &ownership{
		store: store, lanes: lanes, log: log,
		mine: map[int]int64{}, leaving: map[int]bool{}, released: make(chan int, subscriptions.Shards),
	}
}

// Run until ctx ends, when nothing must be in flight any more; then every shard
// is given up, so that others take them at once.
func (o *ownership) Run(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		o.turn(ctx)
		select {
		case <-ctx.Done():
			o.releases.Wait()
			if err := o.store.Leave(context.WithoutCancel(ctx)); err != nil {
				o.log.Warn("shards are not handed over", "err", err) // others take them in a while
			}
			return nil
		case shard := <-o.released:
			o.drained = append(o.drained, shard)
			o.give(ctx)
		case <-tick.C:
		}
	}
}

// turn is what is done every second.
func (o *ownership) turn(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	// Over a way so slow that answers come too late, renewals would keep the shards
	// from others for ever, and nothing would be sent. So after one without an answer
	// there is no other until the store was heard again.
	if o.unheard {
		if err := o.store.Reach(ctx); err != nil {
			o.log.Warn("shards are not renewed", "err", err)
			return
		}
	}
	began := time.Now()
	owned, processes, err := o.store.RenewShards(ctx)
	if o.unheard = err != nil; o.unheard {
		o.log.Warn("renew shards", "err", err) // the lease ends by itself
		return
	}
	o.compare(owned)
	o.lanes.Renewed(began.Add(sendFor))
	o.give(ctx)
	share := (subscriptions.Shards + processes - 1) / max(1, processes)
	switch have := len(o.mine) - len(o.leaving); {
	case have < share:
		o.claim(ctx, share-have)
	case have > share:
		o.handOver(have - share)
	}
}

// compare what is thought to be owned with what is.
func (o *ownership) compare(owned map[int]int64) {
	for shard, epoch := range o.mine {
		if owned[shard] != epoch {
			o.log.Warn("shard lost", "shard", shard, "epoch", epoch)
			o.lanes.Lose(shard)
			delete(o.mine, shard)
			delete(o.leaving, shard)
		}
	}
	for shard, epoch := range owned {
		if o.mine[shard] == 0 { // it was claimed, but the answer was lost
			o.take(shard, epoch)
		}
	}
}

func (o *ownership) claim(ctx context.Context, most int) {
	claimed, err := o.store.ClaimShards(ctx, most)
	if o.unheard = err != nil; o.unheard {
		o.log.Warn("claim shards", "err", err)
		return
	}
	for shard, epoch := range claimed {
		o.take(shard, epoch)
	}
	if len(claimed) > 0 {
		o.log.Info("shards taken", "shards", len(claimed), "now", len(o.mine))
	}
}

func (o *ownership) take(shard int, epoch int64) {
	o.mine[shard] = epoch
	o.lanes.Own(shard, epoch)
}

// handOver begins to give up some shards; each is free once nothing of it is in flight.
func (o *ownership) handOver(n int) {
	o.log.Info("shards are handed over", "shards", n)
	for _, shard := range slices.Sorted(maps.Keys(o.mine)) {
		if n == 0 {
			return
		}
		if o.leaving[shard] {
			continue
		}
		o.leaving[shard] = true
		n--
		epoch := o.mine[shard]
		o.releases.Go(func() {
			o.lanes.Release(shard, epoch, drainFor)
			o.released <- shard // room for all
		})
	}
}

// give drained shards to whoever wants them.
func (o *ownership) give(ctx context.Context) {
	for more := true; more; {
		select {
		case s := <-o.released:
			o.drained = append(o.drained, s)
		default:
			more = false
		}
	}
	o.drained = slices.DeleteFunc(o.drained, func(s int) bool { return !o.leaving[s] }) // lost meanwhile
	if len(o.drained) == 0 {
		return
	}
	free := make(map[int]int64, len(o.drained))
	for _, s := range o.drained {
		free[s] = o.mine[s]
	}
	if err := o.store.ReleaseShards(ctx, free); err != nil {
		// Whether it was done nobody knows: another may own them already, so
		// nothing is sent from here. The next turn tries again.
		o.log.Warn("hand over shards", "err", err)
		return
	}
	for _, s := range o.drained {
		delete(o.mine, s)
		delete(o.leaving, s)
	}
	o.drained = nil
}
