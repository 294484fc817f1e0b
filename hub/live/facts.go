package live

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/directory"
)

// Facts are what the figures of a tenant are made of, apart from the directory, the
// settings and now. They are shared by all who ask, and never change.
type Facts struct {
	// Since, Unix ms: the facts hold everything that was still going on then, or began later.
	Since int64

	Agents    []SeenAgent          // in no order, as are calls, chats and queues
	Stretches map[string][]Stretch // by agent: what statuses say, in the order of time; those that end after Since
	Calls     []*Call
	Chats     []*Chat
	Visitors  []int64 // when those arrived who did not leave, ascending
	Queues    []SeenQueue
}

// SeenQueue is a queue that events name.
type SeenQueue struct {
	ID    string `db:"queue"`
	Media string `db:"media"` // of the earliest event that names it
}

// FactStore has what boards are made of.
type FactStore interface {
	// FindFacts returns a tenant's facts since a time, Unix ms, or since an earlier
	// one, from everything that was accepted before the call. While nothing changes it
	// returns the same pointer.
	FindFacts(ctx context.Context, tenant, since int64) (*Facts, error)
	// EachChat gives fn the chats that have an event before to, Unix ms, and one at from or
	// later, in no order. They are not kept.
	EachChat(ctx context.Context, tenant, from, to int64, fn func(*Chat)) error
	// EachStretch gives fn the stretches that overlap from <= t < to, with their agent:
	// those of one agent one after the other, in the order of time.
	EachStretch(ctx context.Context, tenant, from, to int64, fn func(agent string, s Stretch)) error
}

// Settings of a tenant that figures depend on. Zero values are the defaults.
type Settings struct {
	StaleCall int64 // after how many ms without an event a call or a wait is over; default 12 h
	StaleChat int64 // after how many ms without an event a chat is over; default 24 h
}

// filled returns the settings with the defaults.
func (s Settings) filled() Settings {
	return Settings{StaleCall: cmp.Or(s.StaleCall, StaleCall), StaleChat: cmp.Or(s.StaleChat, StaleChat)}
}

// Boards gives dialects the board of a tenant, which is made once while nothing changes.
type Boards struct {
	Facts     FactStore
	Directory func(tenant int64) *directory.Directory
	Settings  func(tenant int64) Settings // nil: the defaults

	same    *Boards // boards of the same facts are there; nil: here
	mu      sync.Mutex
	tenants map[int64]*boardCache
}

// boardCache has the boards of one tenant, one for each day that begins in some zone. The
// last used is the first.
type boardCache struct {
	mu     sync.Mutex
	boards []*Board
}

// maxBoards of a tenant are kept.
const maxBoards = 4

// Over returns boards whose facts come from another view of the same store, such as one
// that does not wait. Boards of the same facts are made once for both.
func (b *Boards) Over(facts FactStore) *Boards {
	return &Boards{Facts: facts, Directory: b.Directory, Settings: b.Settings, same: b}
}

// At returns a tenant's board at a moment, Unix ms; loc says when its day begins.
func (b *Boards) At(ctx context.Context, tenant, now int64, loc *time.Location) (*Board, error) {
	m := Today(now, loc)
	d := b.Directory(tenant)
	set := b.settings(tenant)

	// From when on something may still go on, or has to do with today.
	since := min(m.From, now-set.StaleCall, now-set.StaleChat, now-StaleVisitor)
	facts, err := b.Facts.FindFacts(ctx, tenant, since)
	if err != nil {
		return nil, err
	}
	return b.cacheOf(tenant).board(m, facts, set, d), nil
}

func (b *Boards) settings(tenant int64) Settings {
	if b.Settings == nil {
		return Settings{}.filled()
	}
	return b.Settings(tenant).filled()
}

func (b *Boards) cacheOf(tenant int64) *boardCache {
	if b.same != nil {
		return b.same.cacheOf(tenant)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenants == nil {
		b.tenants = map[int64]*boardCache{}
	}
	if b.tenants[tenant] == nil {
		b.tenants[tenant] = &boardCache{}
	}
	return b.tenants[tenant]
}

// board returns a board that was made before and still holds, or makes a new one. Others
// who ask during that time wait for it instead of making it again.
func (c *boardCache) board(m Moment, facts *Facts, set Settings, d *directory.Directory) *Board {
	c.mu.Lock()
	defer c.mu.Unlock()

	// Boards of other facts hold no more, whatever their day.
	c.boards = slices.DeleteFunc(c.boards, func(b *Board) bool {
		return b.facts != facts || b.directory != d || b.set != set
	})
	i := slices.IndexFunc(c.boards, func(b *Board) bool {
		return b.From == m.From && b.To == m.To && m.Now >= b.Now && m.Now < b.validUntil
	})
	if i < 0 {
		b := NewBoard(m, facts, set, d)
		c.boards = slices.Insert(c.boards[:min(len(c.boards), maxBoards-1)], 0, b)
		return b
	}

	b := c.boards[i]
	c.boards = slices.Insert(slices.Delete(c.boards, i, i+1), 0, b)
	return b
}

// CompareNumbers orders agentIDs: those of digits by value, then the others by code point;
// empty ones are last. 7 and 007 are equal.
func CompareNumbers(a, b string) int {
	const digits, other, empty = 0, 1, 2
	kind := func(s string) int {
		if s == "" {
			return empty
		}
		for i := range len(s) {
			if s[i] < '0' || s[i] > '9' {
				return other
			}
		}
		return digits
	}
	if kind(a) != digits || kind(b) != digits {
		return cmp.Or(cmp.Compare(kind(a), kind(b)), cmp.Compare(a, b))
	}

	// Numbers of any length, by value.
	x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
}

// CompareRows is the order of agents where nothing else is asked for: by agentID, then by
// agentUUID. No two agents are equal in it.
func CompareRows(a, b *Row) int {
	return cmp.Or(CompareNumbers(a.AgentID, b.AgentID), cmp.Compare(a.UUID, b.UUID), cmp.Compare(a.Key, b.Key))
}
