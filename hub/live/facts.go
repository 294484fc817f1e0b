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

	Agents    []SeenAgent
	Stretches map[string][]Stretch // by agent: real statuses, in their order, those that end after Since
	Calls     []*Call
	Chats     []*Chat
	Visitors  []int64 // of those who arrived and did not leave: when, ascending
	Queues    []SeenQueue
}

// Stretch is a time in which an agent's state stays the same.
type Stretch struct {
	State

	Start int64 `db:"start_at"` // Unix ms
	End   int64 `db:"end_at"`   // may be Open
}

// SeenQueue is one that queue events name.
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
	// EachChat gives the chats that have some time before to, Unix ms, and some not
	// before from, in no order. They are not kept.
	EachChat(ctx context.Context, tenant, from, to int64, fn func(*Chat)) error
	// EachStretch gives fn the stretches that overlap from <= t < to, with their agent:
	// those of one agent one after the other, in the order of time.
	EachStretch(ctx context.Context, tenant, from, to int64, fn func(agent string, s Stretch)) error
}

// Settings of a tenant that figures depend on. Zero values are the defaults.
type Settings struct {
	StaleCall int64 // ms without an event after which a call or a wait is over; default 12 h
	StaleChat int64 // and a chat; default 24 h
}

func (s Settings) filled() Settings {
	return Settings{cmp.Or(s.StaleCall, StaleCall), cmp.Or(s.StaleChat, StaleChat)}
}

// Boards gives dialects the board of a tenant, which is made once while nothing changes.
type Boards struct {
	Facts     FactStore
	Directory func(tenant int64) *directory.Directory
	Settings  func(tenant int64) Settings // nil: the defaults

	mu      sync.Mutex
	tenants map[int64]*boardCache
}

// boardCache has the boards of one tenant, one for each day that zones have now; the
// last used first.
type boardCache struct {
	mu     sync.Mutex
	boards []*Board
}

const maxBoards = 4

// At returns a tenant's board at a moment, Unix ms; loc says when its day begins.
func (b *Boards) At(ctx context.Context, tenant, now int64, loc *time.Location) (*Board, error) {
	m := Today(now, loc)
	d, set := b.Directory(tenant), b.settings(tenant)
	facts, err := b.Facts.FindFacts(ctx, tenant, min(m.From, now-set.StaleCall, now-set.StaleChat, now-StaleVisitor))
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

// board returns one that was made before and still holds, or makes a new one. Others
// who ask during that time wait for it instead of making it again.
func (s *boardCache) board(m Moment, facts *Facts, set Settings, d *directory.Directory) *Board {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boards = slices.DeleteFunc(s.boards, func(p *Board) bool { return p.facts != facts || p.directory != d || p.set != set })
	i := slices.IndexFunc(s.boards, func(p *Board) bool {
		return p.From == m.From && p.To == m.To && m.Now >= p.Now && m.Now < p.validUntil
	})
	if i < 0 {
		s.boards = slices.Insert(s.boards[:min(len(s.boards), maxBoards-1)], 0, NewBoard(m, facts, set, d))
		return s.boards[0]
	}
	p := s.boards[i]
	s.boards = slices.Insert(slices.Delete(s.boards, i, i+1), 0, p)
	return p
}

// CompareNumbers orders agentIDs: those of digits by value, then the others by
// code point, those without one last.
func CompareNumbers(a, b string) int {
	kind := func(s string) int {
		if s == "" {
			return 2
		}
		for i := range len(s) {
			if s[i] < '0' || s[i] > '9' {
				return 1
			}
		}
		return 0
	}
	if by := cmp.Compare(kind(a), kind(b)); by != 0 || kind(a) != 0 {
		return cmp.Or(by, cmp.Compare(a, b))
	}
	x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
}

// CompareRows is the order of agents where nothing else says: by agentID, then by
// agentUUID.
func CompareRows(a, b *Row) int {
	return cmp.Or(CompareNumbers(a.AgentID, b.AgentID), cmp.Compare(a.UUID, b.UUID))
}
