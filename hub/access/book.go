package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Book holds all tenants and live keys in memory, so that a request is judged
// without the database and a revocation holds from the moment it is put here.
// The zero Book is empty and ready; it is safe for concurrent use.
type Book struct {
	mu       sync.RWMutex
	changes  int64             // how often something was put or removed
	tenants  map[int64]*Tenant // replaced, never changed in place
	numbers  map[string]int64  // companyId -> number
	keys     map[[32]byte]*entry
	hashes   map[string][32]byte // key id -> hash
	apps     map[string]*App     // by id; replaced as a whole
	syncing  sync.Mutex          // of apps
	usedMu   sync.Mutex
	used     []*entry // used since the last Flush
	flushing sync.Mutex
}

// entry is a live key; key never changes once it is in the book.
type entry struct {
	key    Key
	usedAt atomic.Int64 // Unix ms
	dirty  atomic.Bool  // it is in used
}

// Replace puts the tenants and keys given in place of all that the book held.
func (b *Book) Replace(tenants []Tenant, keys []Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replace(tenants, keys)
}

// syncTries bounds Sync while changes come faster than all can be read.
const syncTries = 5

// Sync puts what load reads in place of all that the book held, for other
// processes make changes too. What is put or removed meanwhile is never undone
// by what was read before: it is read again then.
func (b *Book) Sync(ctx context.Context, load func(context.Context) ([]Tenant, []Key, error)) error {
	for range syncTries {
		b.mu.RLock()
		before := b.changes
		b.mu.RUnlock()
		tenants, keys, err := load(ctx)
		if err != nil {
			return err
		}
		if b.replaceIf(before, tenants, keys) {
			return nil
		}
	}
	return errors.New("tenants and keys change faster than they can be read")
}

func (b *Book) replaceIf(changes int64, tenants []Tenant, keys []Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes != changes {
		return false
	}
	b.replace(tenants, keys)
	return true
}

func (b *Book) replace(tenants []Tenant, keys []Key) {
	b.changes++
	b.tenants = make(map[int64]*Tenant, len(tenants))
	b.numbers = make(map[string]int64, len(tenants))
	b.keys = make(map[[32]byte]*entry, len(keys))
	b.hashes = make(map[string][32]byte, len(keys))
	for _, t := range tenants {
		b.putTenant(t)
	}
	for _, k := range keys {
		b.putKey(k)
	}
}

// PutTenant adds t, or replaces it unless the book holds a later version.
func (b *Book) PutTenant(t Tenant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.putTenant(t)
}

func (b *Book) putTenant(t Tenant) {
	if b.tenants == nil {
		b.tenants, b.numbers = map[int64]*Tenant{}, map[string]int64{}
	}
	if old := b.tenants[t.No]; old != nil && old.Version > t.Version {
		return
	}
	b.tenants[t.No], b.numbers[t.CompanyID] = &t, t.No
}

// RemoveTenant forgets a tenant; its keys are refused from now on.
func (b *Book) RemoveTenant(no int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	if t := b.tenants[no]; t != nil {
		delete(b.numbers, t.CompanyID)
		delete(b.tenants, no)
	}
}

// PutKey adds a key. A revoked one is removed instead.
func (b *Book) PutKey(k Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.putKey(k)
}

func (b *Book) putKey(k Key) {
	if b.keys == nil {
		b.keys, b.hashes = map[[32]byte]*entry{}, map[string][32]byte{}
	}
	if old, ok := b.hashes[k.ID]; ok {
		delete(b.keys, old)
		delete(b.hashes, k.ID)
	}
	if k.RevokedAt != nil {
		return
	}
	b.keys[k.Hash], b.hashes[k.ID] = &entry{key: k}, k.Hash
}

// RemoveKey forgets a key; it is refused from now on.
func (b *Book) RemoveKey(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	if h, ok := b.hashes[id]; ok {
		delete(b.keys, h)
		delete(b.hashes, id)
	}
}

// Tenant by its number; nil when unknown. The caller must not change it.
func (b *Book) Tenant(no int64) *Tenant {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.tenants[no]
}

// TenantOf a companyId; nil when unknown. The caller must not change it.
func (b *Book) TenantOf(companyID string) *Tenant {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if no, ok := b.numbers[companyID]; ok {
		return b.tenants[no]
	}
	return nil
}

// Lookup finds the live key of a text: ErrCredential when there is none, or it
// has expired, or its tenant is gone; ErrSuspended when its tenant is
// suspended, with the caller that it would have been.
func (b *Book) Lookup(text string, now time.Time) (Caller, error) {
	if _, ok := ParseKey(text); !ok {
		return Caller{}, ErrCredential
	}
	hash := HashKey(text)

	b.mu.RLock()
	e := b.keys[hash]
	var t *Tenant
	if e != nil {
		t = b.tenants[e.key.Tenant]
	}
	b.mu.RUnlock()

	if e == nil || subtle.ConstantTimeCompare(e.key.Hash[:], hash[:]) != 1 {
		return Caller{}, ErrCredential
	}
	if e.key.ExpiresAt != nil && !now.Before(*e.key.ExpiresAt) {
		return Caller{}, ErrCredential
	}
	c := Caller{KeyID: e.key.ID, Name: e.key.Name, Role: e.key.Role, PII: e.key.PII}
	if e.key.Role != Platform {
		if t == nil {
			return Caller{}, ErrCredential
		}
		c.Tenant, c.CompanyID, c.Strict = t.No, t.CompanyID, t.Strict()
		if t.SuspendedAt != nil {
			return c, ErrSuspended
		}
	}
	b.use(e, now)
	return c, nil
}

// Holds says whether the key or token of a caller is still good for what it was
// let in for: not revoked, not expired, its tenant not suspended. For what goes
// on for longer than a request.
func (b *Book) Holds(c Caller, now time.Time) bool {
	if c.Token != "" {
		_, _, err := b.App(c.KeyID)
		return err == nil && now.Before(c.Until)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	hash, ok := b.hashes[c.KeyID]
	if !ok {
		return false
	}
	e, t := b.keys[hash], b.tenants[c.Tenant]
	return (e.key.ExpiresAt == nil || now.Before(*e.key.ExpiresAt)) && (c.Role == Platform || t != nil && t.SuspendedAt == nil)
}

func (b *Book) use(e *entry, now time.Time) {
	e.usedAt.Store(now.UnixMilli())
	if e.dirty.Load() || !e.dirty.CompareAndSwap(false, true) {
		return // noted already
	}
	b.usedMu.Lock()
	b.used = append(b.used, e)
	b.usedMu.Unlock()
}

// UsageStore keeps when keys were last used. Safe to repeat; a time never goes back.
type UsageStore interface {
	RecordKeyUse(ctx context.Context, used map[string]time.Time) error
}

// Flush writes the use of keys since the last Flush, all in one call. What
// could not be written stays for the next one. Call it every 10 s or so and
// when the hub stops.
func (b *Book) Flush(ctx context.Context, s UsageStore) error {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	b.usedMu.Lock()
	batch := b.used
	b.used = nil
	b.usedMu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	used := make(map[string]time.Time, len(batch))
	for _, e := range batch {
		// First dirty, then the time: a use in between is written now or noted anew, never lost.
		e.dirty.Store(false)
		at := time.UnixMilli(e.usedAt.Load())
		if at.After(used[e.key.ID]) {
			used[e.key.ID] = at
		}
	}
	err := s.RecordKeyUse(ctx, used)
	if err == nil {
		return nil
	}
	b.usedMu.Lock()
	defer b.usedMu.Unlock()
	for _, e := range batch {
		if e.dirty.CompareAndSwap(false, true) {
			b.used = append(b.used, e)
		}
	}
	return err
}
