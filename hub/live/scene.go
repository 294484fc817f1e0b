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

// Scene is what the figures of a tenant are made of, apart from directory,
// settings and now. It is shared, and never changes.
type Scene struct {
	Since int64 // Unix ms: that of which some time is not before it is in it

	Agents   []Seen
	Spans    map[string][]Span // by agent: real statuses, in their order, those that end after Since
	Calls    []*Call
	Chats    []*Chat
	Visitors []int64 // of those who arrived and did not leave: when, ascending
	Queues   []SeenQueue
}

// Span is a time in which an agent's state stays the same.
type Span struct {
	State

	Start int64 `db:"start_at"` // Unix ms
	End   int64 `db:"end_at"`   // may be Open
}

// SeenQueue is one that queue events name.
type SeenQueue struct {
	ID    string `db:"queue"`
	Media string `db:"media"` // of the earliest event that names it
}

// Scenes has what boards are made of.
type Scenes interface {
	// FindScene gives a tenant's scene since, Unix ms, or earlier, from all that was
	// accepted before it is asked. While nothing changes it is the same one.
	FindScene(ctx context.Context, tenant, since int64) (*Scene, error)
	// EachChat gives the chats that have some time before to, Unix ms, and some not
	// before from, in no order. They are not kept.
	EachChat(ctx context.Context, tenant, from, to int64, fn func(*Chat)) error
	// EachSpan gives the spans that overlap a time, From <= t < To, with their agent:
	// those of one agent one after the other, in their order.
	EachSpan(ctx context.Context, tenant, from, to int64, fn func(agent string, s Span)) error
}

// Settings of a tenant that figures depend on. Zero values are the defaults.
type Settings struct {
	StaleCall int64 // ms without an event after which a call or a wait is over; default 12 h
	StaleChat int64 // and a chat; default 24 h
}

func (s Settings) filled() Settings {
	return Settings{cmp.Or(s.StaleCall, StaleCall), cmp.Or(s.StaleChat, StaleChat)}
}

// Boards gives dialects the present of a tenant, made once while nothing changes.
type Boards struct {
	Scenes    Scenes
	Directory func(tenant int64) *directory.Directory
	Settings  func(tenant int64) Settings // nil: the defaults

	mu      sync.Mutex
	tenants map[int64]*shelf
}

// shelf has the presents of one tenant, the last used first: of several zones.
type shelf struct {
	mu   sync.Mutex
	made []*Present
}

const shelfMost = 4

// At is a tenant's present at a moment, Unix ms; loc says when its day begins.
func (b *Boards) At(ctx context.Context, tenant, now int64, loc *time.Location) (*Present, error) {
	m := Today(now, loc)
	d, set := b.Directory(tenant), b.settings(tenant)
	scene, err := b.Scenes.FindScene(ctx, tenant, min(m.From, now-set.StaleCall, now-set.StaleChat, now-StaleVisitor))
	if err != nil {
		return nil, err
	}
	return b.shelf(tenant).present(m, scene, set, d), nil
}

func (b *Boards) settings(tenant int64) Settings {
	if b.Settings == nil {
		return Settings{}.filled()
	}
	return b.Settings(tenant).filled()
}

func (b *Boards) shelf(tenant int64) *shelf {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenants == nil {
		b.tenants = map[int64]*shelf{}
	}
	if b.tenants[tenant] == nil {
		b.tenants[tenant] = &shelf{}
	}
	return b.tenants[tenant]
}

// present that was made, or a new one: those who come meanwhile wait for it.
func (s *shelf) present(m Moment, scene *Scene, set Settings, d *directory.Directory) *Present {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = slices.DeleteFunc(s.made, func(p *Present) bool { return p.scene != scene || p.directory != d || p.set != set })
	i := slices.IndexFunc(s.made, func(p *Present) bool {
		return p.From == m.From && p.To == m.To && m.Now >= p.Now && m.Now < p.until
	})
	if i < 0 {
		s.made = slices.Insert(s.made[:min(len(s.made), shelfMost-1)], 0, NewPresent(m, scene, set, d))
		return s.made[0]
	}
	p := s.made[i]
	s.made = slices.Insert(slices.Delete(s.made, i, i+1), 0, p)
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
