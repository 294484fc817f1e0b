package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/hub/stream"
)

const (
	exportRows  = 500              // rows that are read, and kept in memory, at a time
	exportWrite = 30 * time.Second // the longest that a client may take for so many rows
)

// ExportDeliveries is GET /v1/exports/deliveries: the log with the filters of
// ListDeliveries, all of it in one answer, as CSV (the default) or NDJSON. The
// store is read page by page, as fast as the client takes them. An export that
// fails half way is cut off, so that it cannot be taken for a whole one.
func (a *API) ExportDeliveries(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	e, err := a.openExport(r, c)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer a.Exports.Give(c.Tenant)

	name := "deliveries-" + c.CompanyID + a.now().UTC().Format("-20060102T150405Z.") + e.rows.ending()
	w.Header().Set("Content-Type", e.rows.contentType())
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
	if e.index.IndexedFrom != nil {
		w.Header().Set(headerIndexedFrom, e.index.IndexedFrom.String())
	}
	out := stream.NewWriter(w, exportWrite)
	defer out.Release()

	if err := a.sendExport(r.Context(), out, e); err != nil {
		if r.Context().Err() == nil {
			a.log().ErrorContext(r.Context(), "export cut off", "request", w.Header().Get("X-Request-Id"), "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// export is an export that has been admitted, with its first page.
type export struct {
	filter search.DeliveryFilter
	viewer viewer
	index  indexedView // of a search for a number
	rows   exporter
	part   []byte                 // the page that was read last, as it is sent
	next   *search.DeliveryCursor // nil: that page is the last one
}

// openExport reads the parameters and the first page, and notes the export in the
// audit log. Without an error the caller has a place among the tenant's exports,
// which it must give back.
func (a *API) openExport(r *http.Request, c access.Caller) (e *export, err error) {
	q, err := query(r, slices.Clip(slices.Concat(listFilters, []string{"format"}))...)
	if err != nil {
		return nil, err
	}
	e = &export{viewer: a.viewer(c)}
	if e.filter, err = a.deliveryPicks(r, c, q); err != nil {
		return nil, err
	}
	if e.rows, err = exportOf(q.Get("format")); err != nil {
		return nil, err
	}

	limit := a.limits(c).Exports
	if err := a.Exports.Try(c.Tenant, limit); err != nil {
		return nil, tooMany(err, limit, "exports")
	}
	defer func() {
		if err != nil {
			a.Exports.Give(c.Tenant)
		}
	}()

	if e.index, err = a.searchNumber(r, c, e.filter.Subject); err != nil {
		return nil, err
	}

	// A mistake in the parameters is answered as such only until the first row is sent.
	e.filter.Limit = exportRows
	if err := a.readPageOf(r.Context(), e); err != nil {
		return nil, err
	}
	noted := parametersOf(q)
	if e.filter.Subject != nil {
		noted["number"] = search.SubjectName(e.filter.Subject)
	}
	deed := audit.Deed{Tenant: c.Tenant, Action: audit.DeliveryExport, Object: "deliveries", After: noted}
	if err := a.Audit.Note(r.Context(), c, deed); err != nil {
		return nil, err
	}
	return e, nil
}

// sendExport sends all pages, reading each when the one before it was taken.
func (a *API) sendExport(ctx context.Context, out *stream.Writer, e *export) error {
	for {
		if err := out.Send(e.part); err != nil {
			return err
		}
		if e.next == nil {
			return nil
		}

		e.filter.After = e.next
		if err := a.readPageOf(ctx, e); err != nil {
			return err
		}
	}
}

// readPageOf reads the next page of an export and encodes it. Exports read as much as
// reports do, so they take turns with those of their tenant, page by page.
func (a *API) readPageOf(ctx context.Context, e *export) (err error) {
	if a.Pages != nil {
		place, err := a.turn(ctx, e.filter.Tenant)
		if err != nil {
			return err
		}
		defer place.Free()
	}
	page, next, err := a.Search.FindDeliveries(ctx, e.filter)
	if err != nil {
		return err
	}
	e.next = next
	e.part, err = e.rows.encode(e.viewer, page)
	return err
}

// turn waits for a place for as long as necessary: an export that has begun must not
// break off because its tenant reads much at that time.
func (a *API) turn(ctx context.Context, tenant int64) (*fair.Place, error) {
	for {
		place, err := a.Pages.Take(ctx, tenant, 0)
		full, is := errors.AsType[*fair.Full](err)
		if !is {
			return place, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(full.After):
		}
	}
}

// parametersOf returns the parameters of a request, for the audit log.
func parametersOf(q url.Values) map[string]string {
	m := make(map[string]string, len(q))
	for name := range q {
		m[name] = q.Get(name)
	}
	return m
}

// exporter encodes deliveries, a page at a time.
type exporter interface {
	contentType() string
	ending() string
	encode(v viewer, page []search.Delivery) ([]byte, error)
}

func exportOf(format string) (exporter, error) {
	switch format {
	case "", "csv":
		return &csvRows{}, nil
	case "ndjson":
		return ndjsonRows{}, nil
	}
	return nil, problem.Field(http.StatusBadRequest, "format", "must be csv or ndjson")
}

type ndjsonRows struct{}

func (ndjsonRows) contentType() string { return "application/x-ndjson" }
func (ndjsonRows) ending() string      { return "ndjson" }

func (ndjsonRows) encode(v viewer, page []search.Delivery) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends each row with a line feed
	for i := range page {
		if err := enc.Encode(v.delivery(&page[i])); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
