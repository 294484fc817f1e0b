package recording

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/subscriptions"
)

// fetching is a fetch under way. Everybody who wants the recording waits for it.
type fetching struct {
	done chan struct{}
	r    *Recording
	err  error
}

// fetchOnce returns r with its bytes, which are fetched once, however many callers ask.
func (l *Library) fetchOnce(ctx context.Context, r *Recording) (*Recording, error) {
	waits, err := l.firsts.Take(ctx, r.Tenant, 0)
	if err != nil {
		return nil, err
	}
	defer waits.Free()

	name := fmt.Sprintf("%d/%s/%d", r.Tenant, r.ID, r.UpdatedAt.UnixMilli())
	l.mu.Lock()
	f := l.fetching[name]
	if f == nil {
		f = &fetching{done: make(chan struct{})}
		l.fetching[name] = f
		go func() {
			// The caller who asked first may leave: the others still want the bytes.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
			defer cancel()
			f.r, f.err = l.fetchInTurn(ctx, r)

			l.mu.Lock()
			delete(l.fetching, name)
			l.mu.Unlock()
			close(f.done)
		}()
	}
	l.mu.Unlock()

	select {
	case <-f.done:
		return f.r, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetchInTurn fetches r when there is a place for it.
func (l *Library) fetchInTurn(ctx context.Context, r *Recording) (*Recording, error) {
	place, err := l.fetches.Take(ctx, r.Tenant, 0)
	if err != nil {
		return nil, err
	}
	defer place.Free()
	return l.fetch(ctx, *r)
}

// fetch fetches the bytes of r from its source, at most MaxSize.
func (l *Library) fetch(ctx context.Context, r Recording) (*Recording, error) {
	room, err := l.room(ctx, r.Tenant, 0)
	if err != nil {
		return nil, err
	}
	source, err := subscriptions.Target(r.Source)
	if err != nil { // cannot happen: it was checked when it was set
		return nil, fmt.Errorf("source of recording %s is no URL", r.ID)
	}
	req := (&http.Request{Method: http.MethodGet, URL: source, Host: source.Host, Header: http.Header{}}).WithContext(ctx)

	// RoundTrip, not Do: a redirect is an answer like any other, and not followed.
	resp, err := l.Fetch(r.Tenant).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w does not answer: %s", ErrSource, delivery.Reason(err, req.URL))
	}
	defer resp.Body.Close()

	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // "" when it cannot be read
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w answers with status %d", ErrSource, resp.StatusCode)
	case media == "text/html", media == "application/json": // a log-in page or an error; sound has many other types
		return nil, fmt.Errorf("%w answers with %s", ErrSource, media)
	}

	err = l.write(ctx, &r, resp.Body, room)
	switch {
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrEmpty):
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	case errors.Is(err, ErrRead):
		return nil, fmt.Errorf("%w breaks off: %s", ErrSource, delivery.Reason(err, req.URL))
	case err != nil:
		return nil, err
	}

	kept, err := l.Store.FetchedRecording(ctx, &r, l.limit(r.Tenant))
	if err != nil {
		return nil, err // Sweep deletes the blob
	}
	if kept {
		l.grown(ctx, r.Tenant)
		return &r, nil
	}

	// Somebody put or fetched another one at the same time, and that one counts.
	l.drop(r.Blob)
	now, err := l.Store.FindRecording(ctx, r.Tenant, r.ID)
	if err == nil && now.Blob == "" {
		return nil, ErrBusy // it was registered once more: the caller should ask again
	}
	return now, err
}
