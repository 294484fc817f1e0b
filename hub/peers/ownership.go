package peers

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hookline/hookline/subscriptions"
)

// A process stops sending sendFor after its last renewal, by its own clock.
// Others take its shards storage.LeaseFor after that renewal, by the clock of the
// database.
const (
	renewEvery = time.Second
	sendFor    = 4 * time.Second
	drainFor   = 5 * time.Second // of a shard that is handed over
)

// ShardStore keeps who owns which shard. Every call is bounded in time. A call
// that fails may have had its effect all the same.
type ShardStore interface {
	// Reach reports whether the store answers in time. It changes nothing.
	Reach(ctx context.Context) error
	// RenewShards keeps all shards of this process for a while more. It returns
	// these shards with their epochs, and how many processes there are.
	RenewShards(ctx context.Context) (owned map[int]int64, processes int, err error)
	// ClaimShards takes up to most shards that nobody has, each under a new epoch.
	ClaimShards(ctx context.Context, most int) (map[int]int64, error)
	// ReleaseShards lets others have some, unless they are owned under another epoch.
	ReleaseShards(ctx context.Context, shards map[int]int64) error
	// Leave lets others have all.
	Leave(ctx context.Context) error
}

// ShardOwner sends from the shards that this process owns.
type ShardOwner interface {
	Own(shard int, epoch int64)
	Lose(shard int)
	Release(shard int, epoch int64, drain time.Duration)
	Renewed(until time.Time)
}

// Ownership keeps this process's fair share of the shards: it renews them every
// second, takes those that nobody has, and hands over the surplus when another
// process joins.
type Ownership struct {
	store ShardStore
	lanes ShardOwner
	log   *slog.Logger

	silent   bool          // the store did not answer the last call
	mine     map[int]int64 // shard → epoch
	leaving  map[int]bool  // those of mine that are handed over; nothing is sent from them
	drained  []int         // those of leaving from which nothing is in flight
	released chan int      // shards that become drained
	releases sync.WaitGroup
}

// NewOwnership returns the Ownership of a process that owns no shard yet.
func NewOwnership(store ShardStore, lanes ShardOwner, log *slog.Logger) *Ownership {
	return &Ownership{
		store: store, lanes: lanes, log: log,
		mine: map[int]int64{}, leaving: map[int]bool{}, released: make(chan int, subscriptions.Shards),
	}
}

// Run keeps the shards until ctx ends, when nothing may be in flight any more.
// Then it gives up every shard, so that others can take them at once.
func (o *Ownership) Run(ctx context.Context) error {
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

// turn does the work of one second.
func (o *Ownership) turn(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}

	// If the connection is so slow that answers come too late, renewals would keep
	// the shards from others for ever while nothing is sent. So after a call
	// without an answer nothing is renewed until the store has answered again.
	if o.silent {
		if err := o.store.Reach(ctx); err != nil {
			o.log.Warn("shards are not renewed", "err", err)
			return
		}
	}

	// Renew. The time to send is counted from before the call, for the lease may
	// have begun any time since.
	began := time.Now()
	owned, processes, err := o.store.RenewShards(ctx)
	o.silent = err != nil
	if o.silent {
		o.log.Warn("renew shards", "err", err) // the lease ends by itself
		return
	}
	o.compare(owned)
	o.lanes.Renewed(began.Add(sendFor))
	o.give(ctx)

	// Come nearer to the fair share.
	share := (subscriptions.Shards + processes - 1) / max(1, processes)
	switch have := len(o.mine) - len(o.leaving); {
	case have < share:
		o.claim(ctx, share-have)
	case have > share:
		o.handOver(have - share)
	}
}

// compare puts the shards that this process believes to own in step with those
// that it owns.
func (o *Ownership) compare(owned map[int]int64) {
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

func (o *Ownership) claim(ctx context.Context, most int) {
	claimed, err := o.store.ClaimShards(ctx, most)
	o.silent = err != nil
	if o.silent {
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

func (o *Ownership) take(shard int, epoch int64) {
	o.mine[shard] = epoch
	o.lanes.Own(shard, epoch)
}

// handOver begins to give up n shards. Each is free once nothing from it is in flight.
func (o *Ownership) handOver(n int) {
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
			o.released <- shard // never blocks: there is room for all shards
		})
	}
}

// give lets others have the drained shards.
func (o *Ownership) give(ctx context.Context) {
	for more := true; more; {
		select {
		case s := <-o.released:
			o.drained = append(o.drained, s)
		default:
			more = false
		}
	}
	// A shard that was lost in the meantime belongs to another process already.
	o.drained = slices.DeleteFunc(o.drained, func(s int) bool { return !o.leaving[s] })
	if len(o.drained) == 0 {
		return
	}

	free := make(map[int]int64, len(o.drained))
	for _, s := range o.drained {
		free[s] = o.mine[s]
	}
	if err := o.store.ReleaseShards(ctx, free); err != nil {
		// Nobody knows whether it was done: another process may own them already, so
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
