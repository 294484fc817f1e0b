package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Book holds all tenants, live keys and apps in memory, so that a request is judged
// without the database, and a revocation holds from the moment it is put here. The
// zero Book is empty and ready. It is safe for concurrent use.
type Book struct {
	mu      sync.RWMutex
	changes int64               // how often something was put or removed
	tenants map[int64]*Tenant   // replaced, never changed in place
	numbers map[string]int64    // companyId -> number
	keys    map[[32]byte]*entry // by hash
	hashes  map[string][32]byte // key id -> hash
	apps    map[string]*App     // by id; replaced as a whole

	syncing  sync.Mutex // held by SyncApps
	flushing sync.Mutex // held by Flush

	usesMu sync.Mutex
	uses   []*entry // keys that were used since the last Flush
}

// entry is a live key. Its key never changes once it is in the book.
type entry struct {
	key    Key
	usedAt atomic.Int64 // Unix ms
	dirty  atomic.Bool  // it is among the uses of the book
}

// Replace puts these tenants and keys in place of all that the book held.
func (b *Book) Replace(tenants []Tenant, keys []Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replace(tenants, keys)
}

// syncTries is how often Sync reads while changes come faster than it can read.
const syncTries = 5

// Tenants returns how many tenants there are.
func (b *Book) Tenants() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.tenants)
}

// Sync reads tenants and keys by load and puts them in place of all that the book
// held, as other processes make changes too. When something is put or removed while
// load reads, it reads again: what was read before must not undo the change.
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

// replaceIf is Replace, unless there were other changes than this many; then it
// returns false.
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

// PutTenant adds a tenant, or replaces it unless the book holds a later version.
func (b *Book) PutTenant(t Tenant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.putTenant(t)
}

func (b *Book) putTenant(t Tenant) {
	if b.tenants == nil {
		b.tenants = map[int64]*Tenant{}
		b.numbers = map[string]int64{}
	}
	if old := b.tenants[t.No]; old != nil && old.Version > t.Version {
		return
	}
	b.tenants[t.No] = &t
	b.numbers[t.CompanyID] = t.No
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

// PutKey adds a key, or removes it when it is revoked.
func (b *Book) PutKey(k Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.putKey(k)
}

func (b *Book) putKey(k Key) {
	if b.keys == nil {
		b.keys = map[[32]byte]*entry{}
		b.hashes = map[string][32]byte{}
	}

	if old, ok := b.hashes[k.ID]; ok {
		delete(b.keys, old)
		delete(b.hashes, k.ID)
	}
	if k.RevokedAt != nil {
		return
	}
	b.keys[k.Hash] = &entry{key: k}
	b.hashes[k.ID] = k.Hash
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

// Tenant returns the tenant with this number, or nil. The caller must not change it.
func (b *Book) Tenant(no int64) *Tenant {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.tenants[no]
}

// TenantOf returns the tenant with this companyId, or nil. The caller must not change
// it.
func (b *Book) TenantOf(companyID string) *Tenant {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if no, ok := b.numbers[companyID]; ok {
		return b.tenants[no]
	}
	return nil
}

// Lookup returns the caller whose key a text is, and notes that the key was used. The
// error is ErrCredential when there is no such key, or it has expired, or its tenant
// is gone. It is ErrSuspended when the tenant is suspended; the caller is then who it
// would have been.
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

	return b.callerOf(e, t, now)
}

// byID returns the caller who holds the key with an id, and notes that the key was used.
// The errors are those of Lookup.
func (b *Book) byID(id string, now time.Time) (Caller, error) {
	b.mu.RLock()
	e := b.keys[b.hashes[id]]
	var t *Tenant
	if e != nil {
		t = b.tenants[e.key.Tenant]
	}
	b.mu.RUnlock()

	if e == nil || e.key.ID != id || e.key.ExpiresAt != nil && !now.Before(*e.key.ExpiresAt) {
		return Caller{}, ErrCredential
	}
	return b.callerOf(e, t, now)
}

// callerOf returns the caller who holds a live key of a tenant.
func (b *Book) callerOf(e *entry, t *Tenant, now time.Time) (Caller, error) {
	c := Caller{KeyID: e.key.ID, Name: e.key.Name, Role: e.key.Role, PII: e.key.PII}
	if e.key.Role != Platform {
		if t == nil {
			return Caller{}, ErrCredential
		}
		c.Tenant = t.No
		c.CompanyID = t.CompanyID
		c.Strict = t.Strict()
		if t.SuspendedAt != nil {
			return c, ErrSuspended
		}
	}
	b.use(e, now)
	return c, nil
}

// expiry returns when the key with an id expires; nil if it never does.
func (b *Book) expiry(id string) *time.Time {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e := b.keys[b.hashes[id]]; e != nil && e.key.ID == id {
		return e.key.ExpiresAt
	}
	return nil
}

// FirstOwner returns the id of the oldest live owner key of a tenant, named by its
// companyId; "" if there is none.
func (b *Book) FirstOwner(companyID string) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	no, is := b.numbers[companyID]
	if !is {
		return ""
	}
	var first *entry
	for _, e := range b.keys {
		if e.key.Tenant == no && e.key.Role == Owner && (first == nil || e.key.ID < first.key.ID) {
			first = e
		}
	}
	if first == nil {
		return ""
	}
	return first.key.ID
}

// Holds reports whether the key or token of a caller is still good: neither revoked
// nor expired, and its tenant not suspended. Streams ask it from time to time, as they
// last longer than a request.
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
	if e.key.ExpiresAt != nil && !now.Before(*e.key.ExpiresAt) {
		return false
	}
	return c.Role == Platform || t != nil && t.SuspendedAt == nil
}

// use notes that a key was used.
func (b *Book) use(e *entry, now time.Time) {
	e.usedAt.Store(now.UnixMilli())
	if e.dirty.Load() || !e.dirty.CompareAndSwap(false, true) {
		return // noted already
	}
	b.usesMu.Lock()
	b.uses = append(b.uses, e)
	b.usesMu.Unlock()
}

// UsageStore keeps when keys were last used.
type UsageStore interface {
	// RecordKeyUse keeps the times of use, by key id. A time never goes back, so that
	// it is safe to repeat.
	RecordKeyUse(ctx context.Context, times map[string]time.Time) error
}

// Flush writes the use of keys since the last Flush, all in one call. What could not
// be written stays for the next one. Call it every 10 s or so and when the hub stops.
func (b *Book) Flush(ctx context.Context, s UsageStore) error {
	b.flushing.Lock()
	defer b.flushing.Unlock()

	b.usesMu.Lock()
	batch := b.uses
	b.uses = nil
	b.usesMu.Unlock()
	if len(batch) == 0 {
		return nil
	}

	// The mark goes before the time is read: a use in between is written now or marked
	// again, never lost.
	times := make(map[string]time.Time, len(batch))
	for _, e := range batch {
		e.dirty.Store(false)
		at := time.UnixMilli(e.usedAt.Load())
		if at.After(times[e.key.ID]) {
			times[e.key.ID] = at
		}
	}
	err := s.RecordKeyUse(ctx, times)
	if err == nil {
		return nil
	}

	// Nothing was written: the next Flush has these uses as well.
	b.usesMu.Lock()
	defer b.usesMu.Unlock()
	for _, e := range batch {
		if e.dirty.CompareAndSwap(false, true) {
			b.uses = append(b.uses, e)
		}
	}
	return err
}
