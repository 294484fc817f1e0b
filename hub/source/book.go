package source

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/source/mapping"
)

// Book holds all sources that are not deleted, and their tokens, in memory, so that an input is
// judged without the database. The zero Book is empty and ready. It is safe for concurrent use.
type Book struct {
	mu       sync.RWMutex
	sources  map[int64]*Source
	tokens   map[[32]byte]Token
	mappings map[int64]*compiled // by source; made when first needed

	syncing sync.Mutex // held by Sync
}

// compiled is the mapping of a version of a source.
type compiled struct {
	version int64
	mapping *mapping.Mapping
}

// Sync reads all sources by load and puts them in place of what the book held.
func (b *Book) Sync(ctx context.Context, load func(context.Context) ([]Source, []Token, error)) error {
	b.syncing.Lock()
	defer b.syncing.Unlock()
	sources, tokens, err := load(ctx)
	if err != nil {
		return fmt.Errorf("load sources: %w", err)
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources = make(map[int64]*Source, len(sources))
	for i := range sources {
		b.sources[sources[i].No] = &sources[i]
	}
	b.tokens = make(map[[32]byte]Token, len(tokens))
	for _, t := range tokens {
		b.tokens[t.Hash] = t
	}
	maps.DeleteFunc(b.mappings, func(no int64, _ *compiled) bool { return b.sources[no] == nil })
	return nil
}

// ByToken returns the source that a token opens, or nil. What it costs does not tell how much
// of a token is right, because only hashes are compared.
func (b *Book) ByToken(token string, now time.Time) *Source {
	hash := HashToken(token)
	b.mu.RLock()
	defer b.mu.RUnlock()
	t, found := b.tokens[hash]
	if !found || !t.Until.IsZero() && !now.Before(t.Until) {
		return nil
	}
	return b.sources[t.Source]
}

// Source returns the source with a number, or nil.
func (b *Book) Source(no int64) *Source {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.sources[no]
}

// All lists all sources by their numbers.
func (b *Book) All() []*Source {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.SortedFunc(maps.Values(b.sources), func(x, y *Source) int { return int(x.No - y.No) })
}

// Mapping returns the mapping of a source, which it keeps.
func (b *Book) Mapping(s *Source) (*mapping.Mapping, error) {
	b.mu.RLock()
	m := b.mappings[s.No]
	b.mu.RUnlock()
	if m != nil && m.version == s.Version {
		return m.mapping, nil
	}

	made, err := s.Compile()
	if err != nil {
		return nil, fmt.Errorf("mapping of source %s: %w", s.ID, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mappings == nil {
		b.mappings = map[int64]*compiled{}
	}
	b.mappings[s.No] = &compiled{s.Version, made}
	return made, nil
}
