package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

// foldsLook is the time between two looks at how far the folds are. A look counts the events
// that they lack, which costs CPU time of the hub that is measured.
const foldsLook = 500 * time.Millisecond

// foldsBehind returns how many events the folds of the hubs' store lack: the fold that is
// furthest behind. A hub counts 100,000 of a tenant at most.
func (f *fleet) foldsBehind(ctx context.Context) (int, error) {
	scrape, err := call(ctx, http.MethodGet, f.hubs[0].url+"/metrics", "", nil)
	if err != nil {
		return 0, err
	}
	lags, err := metrics(scrape, "hookline_fold_lag_events")
	if err != nil {
		return 0, err
	}
	return int(slices.Max(lags)), nil
}

// awaitFolds waits until the folds of the hubs' store have all events.
func (f *fleet) awaitFolds(ctx context.Context) error {
	for {
		behind, err := f.foldsBehind(ctx)
		if err != nil || behind == 0 {
			return err
		}
		select {
		case <-time.After(foldsLook):
		case <-ctx.Done():
			return fmt.Errorf("the folds lack %d events: %w", behind, ctx.Err())
		}
	}
}

// shareOfFolds returns the share of the samples of CPU profiles that were taken while folds
// were at work, 0 to 1. The hub labels their work so (storage/folds).
func shareOfFolds(files []string) (float64, error) {
	var folds, all int64
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		p, err := profile.ParseData(raw)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range p.Sample {
			all += s.Value[0]
			if s.HasLabel("work", "folds") {
				folds += s.Value[0]
			}
		}
	}
	return float64(folds) / float64(max(all, 1)), nil
}
