package hub

import (
	"time"

	"github.com/hookline/hookline/hub/peers"
	"github.com/hookline/hookline/hub/source"
)

// sources is the way in for platforms with words of their own.
type sources struct {
	book  source.Book
	inbox *source.Inbox
	folds *source.Folds
	news  *sourceNews
}

// wireSources plugs the inbox and the folds of sources together.
func (h *Hub) wireSources() {
	metrics := source.NewMetrics(h.metrics.registry)
	h.sources.news = newSourceNews(h.log)
	h.sources.news.store = h.db
	h.sources.folds = &source.Folds{
		Book: &h.sources.book, Store: h.db, Tenants: h.book, News: h.sources.news, Shared: h.db.Shared(), Metrics: metrics, Log: h.log,
	}
	h.sources.inbox = &source.Inbox{
		Book: &h.sources.book, Store: h.db, Tenants: h.book, Admit: h.ingest.Admit,
		Bodies: &h.bounds.bodies, Parsers: &h.bounds.parsers, Held: h.sources.folds.Wake, Metrics: metrics,
		PublicURL: h.cfg.PublicBase(), Log: h.log,
	}
}

// owners are several that work on the shards which this process owns.
type owners []peers.ShardOwner

func (o owners) Own(shard int, epoch int64) {
	for _, each := range o {
		each.Own(shard, epoch)
	}
}

func (o owners) Lose(shard int) {
	for _, each := range o {
		each.Lose(shard)
	}
}

func (o owners) Release(shard int, epoch int64, drain time.Duration) {
	for _, each := range o {
		each.Release(shard, epoch, drain)
	}
}

func (o owners) Renewed(until time.Time) {
	for _, each := range o {
		each.Renewed(until)
	}
}
