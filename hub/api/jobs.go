package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
)

// JobStore keeps the large changes that go on after the request that asked for them,
// and carries them out.
type JobStore interface {
	// CountJob says what a job would do, without doing it.
	CountJob(ctx context.Context, kind search.JobKind, spec *search.JobSpec) (*search.DryRun, error)
	// CreateJob commits a job, which begins as soon as others of its kind let it. by:
	// who asks, also in the audit log. ErrLimit when too many have not ended.
	CreateJob(ctx context.Context, kind search.JobKind, spec *search.JobSpec, by access.Caller) (*search.Job, error)
	// FindJob reads a job of a tenant; ErrNotFound.
	FindJob(ctx context.Context, tenant int64, kind search.JobKind, id string) (*search.Job, error)
	// FindJobs lists jobs of a tenant, newest first: those with lower numbers than
	// before, unless it is 0.
	FindJobs(ctx context.Context, tenant int64, kind search.JobKind, before int64, limit int) ([]search.Job, error)
	// PauseJob, ResumeJob and StopJob change the state of a job, and do nothing if it
	// has that state. *Conflict when it has ended; ErrNotFound.
	PauseJob(ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller) (*search.Job, error)
	ResumeJob(ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller) (*search.Job, error)
	StopJob(ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller) (*search.Job, error)
	// ReplayNo returns the number of a replay of a tenant; ErrNotFound.
	ReplayNo(ctx context.Context, tenant int64, id string) (int64, error)
}

// Bounds of what a job is asked for.
const (
	maxReason     = 500 // characters
	minReplayRate = 0.01
	maxReplayRate = 10_000
)

// replayInput is the body of POST /v1/replays and /v1/retries.
type replayInput struct {
	Filter        map[string]any `json:"filter"`
	To            string         `json:"to"`
	Only          string         `json:"only"`
	RatePerSecond *float64       `json:"ratePerSecond"`
	DryRun        bool           `json:"dryRun"`
	Reason        string         `json:"reason"`
}

// cancellationInput is the body of POST /v1/cancellations.
type cancellationInput struct {
	Filter map[string]any `json:"filter"`
	DryRun bool           `json:"dryRun"`
	Reason string         `json:"reason"`
}

// CreateReplay is POST /v1/replays: 201 with the job, or, of a dry run, 200 with what
// the job would do.
func (a *API) CreateReplay(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var in replayInput
	if err := readBody(r, &in); err != nil {
		return 0, nil, err
	}
	spec, err := a.replaySpec(r, c, &in)
	if err != nil {
		return 0, nil, err
	}
	return a.createJob(r, c, search.Replays, spec, in.DryRun)
}

// CreateRetries is POST /v1/retries: a replay of what failed.
func (a *API) CreateRetries(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var in replayInput
	if err := readBody(r, &in); err != nil {
		return 0, nil, err
	}
	if in.Only = cmp.Or(in.Only, string(search.OnlyFailed)); in.Only != string(search.OnlyFailed) {
		return 0, nil, problem.Field(http.StatusUnprocessableEntity, "only",
			"must be failed, or absent: POST /v1/replays takes the others")
	}
	spec, err := a.replaySpec(r, c, &in)
	if err != nil {
		return 0, nil, err
	}
	return a.createJob(r, c, search.Replays, spec, in.DryRun)
}

// CreateCancellation is POST /v1/cancellations: pending deliveries end. It answers as
// CreateReplay does.
func (a *API) CreateCancellation(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var in cancellationInput
	if err := readBody(r, &in); err != nil {
		return 0, nil, err
	}
	spec, err := a.cancellationSpec(r, c, &in)
	if err != nil {
		return 0, nil, err
	}
	return a.createJob(r, c, search.Cancellations, spec, in.DryRun)
}

// readBody reads the body of a request that has no parameters.
func readBody(r *http.Request, in any) error {
	if _, err := query(r); err != nil {
		return err
	}
	return decode(r, in)
}

// createJob makes a job, or counts what it would do.
func (a *API) createJob(
	r *http.Request, c access.Caller, kind search.JobKind, spec *search.JobSpec, dryRun bool,
) (int, any, error) {
	indexed, err := a.searchNumber(r, c, spec.Subject())
	if err != nil {
		return 0, nil, err
	}
	if indexed.Behind > 0 {
		return 0, nil, problem.New(http.StatusConflict, "the numbers in the newest events are not indexed yet: ask again in a moment")
	}

	if dryRun {
		dry, err := a.Jobs.CountJob(r.Context(), kind, spec)
		if err != nil {
			return 0, nil, refusedJob(err)
		}
		return http.StatusOK, dryRunViewOf(kind, dry), nil
	}
	job, err := a.Jobs.CreateJob(r.Context(), kind, spec, c)
	if err != nil {
		return 0, nil, refusedJob(err)
	}
	at := "/v1/" + string(kind) + "s/" + job.ID
	return http.StatusCreated, viewWithHeader{jobViewOf(job), http.Header{"Location": {at}}}, nil
}

// refusedJob answers the refusal of a job.
func refusedJob(err error) error {
	if conflict, is := errors.AsType[*Conflict](err); is {
		return problem.New(http.StatusConflict, conflict.Reason)
	}
	return err
}

// replaySpec checks what a replay is asked for.
func (a *API) replaySpec(r *http.Request, c access.Caller, in *replayInput) (*search.JobSpec, error) {
	spec := &search.JobSpec{Tenant: c.Tenant, Reason: in.Reason, Filter: in.Filter, To: in.To}
	if err := checkReason(in.Reason); err != nil {
		return nil, err
	}
	if in.RatePerSecond != nil {
		if spec.Rate = *in.RatePerSecond; spec.Rate < minReplayRate || spec.Rate > maxReplayRate {
			return nil, unprocessable("ratePerSecond", "must be from 0.01 to 10000")
		}
	}
	if in.Filter == nil {
		return nil, unprocessable("filter", "is required")
	}

	var err error
	only := []string{"failed", "all", "never-sent"}
	if events, is := in.Filter["events"]; is {
		if len(in.Filter) > 1 {
			return nil, unprocessable("filter", "must have either events or filters of deliveries, not both")
		}
		only = only[1:]
		if spec.Events, err = a.eventPicks(r, c, events); err != nil {
			return nil, err
		}
	} else if spec.Deliveries, err = a.jobFilter(r, c, in.Filter); err != nil {
		return nil, err
	}

	if !slices.Contains(only, in.Only) {
		return nil, unprocessable("only", "must be one of "+strings.Join(only, ", ")+" with this filter")
	}
	if err := checkNumberless(in.Reason, in.Filter); err != nil {
		return nil, err
	}
	spec.Only = search.ReplayOnly(in.Only)
	spec.Filter = withoutNumber(in.Filter, spec.Subject())
	return spec, a.replayTarget(r, c, spec)
}

// replayTarget finds the subscription to which a replay goes. Without one each delivery
// goes to its own.
func (a *API) replayTarget(r *http.Request, c access.Caller, spec *search.JobSpec) error {
	if spec.To == "" {
		if spec.Events != nil || spec.Only == search.OnlyNeverSent {
			return unprocessable("to", "is required: events, and what was never sent, need a subscription to go to")
		}
		return nil
	}
	sub, err := a.Subscriptions.FindSubscription(r.Context(), c.Tenant, spec.To)
	if errors.Is(err, ErrNotFound) {
		return unprocessable("to", "is not the id of a subscription of this tenant")
	}
	if err != nil {
		return err
	}
	if sub.DeletedAt != nil {
		return unprocessable("to", "is a subscription that was deleted")
	}
	spec.Target = sub.No
	return nil
}

// jobFilter reads the filter of a replay that picks deliveries. Nobody replays a whole
// store by mistake: it needs a time to begin with, or a state.
func (a *API) jobFilter(r *http.Request, c access.Caller, filter map[string]any) (*search.DeliveryFilter, error) {
	f, err := a.deliveriesOf(r, c, filter)
	if err != nil {
		return nil, err
	}
	if filter["from"] == nil && filter["state"] == nil {
		return nil, unprocessable("filter.from", "is required unless state is given")
	}
	return f, nil
}

// deliveriesOf reads a filter of deliveries that stands in a body: the parameters of
// GET /v1/deliveries as members of an object.
func (a *API) deliveriesOf(r *http.Request, c access.Caller, filter map[string]any) (*search.DeliveryFilter, error) {
	q, err := filterValues("filter.", filter, deliveryFilters)
	if err != nil {
		return nil, err
	}
	f, err := a.deliveryPicks(r, c, q)
	if err != nil {
		return nil, fieldsBelow("filter.", err)
	}
	return &f, nil
}

// cancellationSpec checks what a cancellation is asked for.
func (a *API) cancellationSpec(r *http.Request, c access.Caller, in *cancellationInput) (*search.JobSpec, error) {
	if err := checkReason(in.Reason); err != nil {
		return nil, err
	}
	if len(in.Filter) == 0 {
		return nil, unprocessable("filter", "is required, with one filter at least: state pending picks all")
	}
	f, err := a.deliveriesOf(r, c, in.Filter)
	if err != nil {
		return nil, err
	}
	if f.States != 0 && f.States != search.States(delivery.Pending) {
		return nil, unprocessable("filter.state", "must be pending, or absent: what has ended cannot be cancelled")
	}
	if err := checkNumberless(in.Reason, in.Filter); err != nil {
		return nil, err
	}
	shown := withoutNumber(in.Filter, f.Subject)
	return &search.JobSpec{Tenant: c.Tenant, Deliveries: f, Reason: in.Reason, Filter: shown}, nil
}

// eventPicks reads the filter of a replay that picks events.
func (a *API) eventPicks(r *http.Request, c access.Caller, events any) (*search.EventFilter, error) {
	members, is := events.(map[string]any)
	if !is {
		return nil, unprocessable("filter.events", "must be an object")
	}
	q, err := filterValues("filter.events.", members, []string{"type", "orderKey", "from", "to", "number"})
	if err != nil {
		return nil, err
	}
	f := &search.EventFilter{Tenant: c.Tenant}
	if f.OrderKey, err = a.orderKeyOf(c, q); err == nil {
		f.Types, err = typesOf(q)
	}
	if err == nil {
		f.Subject, err = a.subjectOf(c, q)
	}
	if err == nil {
		f.From, f.To, err = timesOf(q)
	}
	if err != nil {
		return nil, fieldsBelow("filter.events.", err)
	}
	if f.From == 0 {
		return nil, unprocessable("filter.events.from", "is required")
	}
	return f, nil
}

// filterValues makes parameters of the members of an object: texts, and numbers.
func filterValues(prefix string, members map[string]any, names []string) (url.Values, error) {
	q := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(names, name) {
			return nil, unprocessable(prefix+name, "is not a filter; there are: "+strings.Join(names, ", "))
		}
		switch v := members[name].(type) {
		case string:
			q.Set(name, v)
		case float64:
			text, err := json.Marshal(int64(v))
			if err != nil || float64(int64(v)) != v {
				return nil, unprocessable(prefix+name, "must be a string or a whole number")
			}
			q.Set(name, string(text))
		default:
			return nil, unprocessable(prefix+name, "must be a string or a whole number")
		}
		if q.Get(name) == "" {
			return nil, unprocessable(prefix+name, "must not be empty")
		}
	}
	return q, nil
}

// fieldsBelow names the fields of a problem as they stand in a body: below a prefix.
func fieldsBelow(prefix string, err error) error {
	d, is := errors.AsType[*problem.Details](err)
	if !is {
		return err
	}
	below := *d
	below.Status = http.StatusUnprocessableEntity
	below.Errors = slices.Clone(d.Errors)
	for i := range below.Errors {
		below.Errors[i].Field = prefix + below.Errors[i].Field
	}
	return &below
}

func unprocessable(field, message string) error {
	return problem.Field(http.StatusUnprocessableEntity, field, message)
}

func checkReason(reason string) error {
	if utf8.RuneCountInString(reason) > maxReason {
		return unprocessable("reason", "must have at most 500 characters")
	}
	if strings.ContainsRune(reason, 0) {
		return unprocessable("reason", "must not contain the character NUL")
	}
	return nil
}

// dryRunView is the answer of a dry run.
type dryRunView struct {
	Matching       int   `json:"matching"`
	Oldest         *Time `json:"oldest"`
	Newest         *Time `json:"newest"`
	Bytes          int64 `json:"bytes"`
	PastRetention  int   `json:"pastRetention"`
	Erased         int   `json:"erased"`
	AlreadyPending int   `json:"alreadyPending"`
	Unwanted       int   `json:"unwanted"`
	KeysPending    int   `json:"keysPending"`
	Complete       bool  `json:"complete"`
}

// cancelDryRunView is the answer of a dry run of a cancellation.
type cancelDryRunView struct {
	Matching int   `json:"matching"`
	Oldest   *Time `json:"oldest"`
	Newest   *Time `json:"newest"`
	Complete bool  `json:"complete"`
}

func dryRunViewOf(kind search.JobKind, d *search.DryRun) any {
	oldest, newest := timeOrNone(d.Oldest), timeOrNone(d.Newest)
	if kind == search.Cancellations {
		return cancelDryRunView{Matching: d.Matching, Oldest: oldest, Newest: newest, Complete: d.Complete}
	}
	return dryRunView{
		Matching: d.Matching, Oldest: oldest, Newest: newest, Bytes: d.Bytes, PastRetention: d.PastRetention,
		Erased: d.Erased, AlreadyPending: d.AlreadyPending, Unwanted: d.Unwanted, KeysPending: d.KeysPending,
		Complete: d.Complete,
	}
}

// jobView is a job as the API shows it.
type jobView struct {
	ID            string         `json:"id"`
	State         string         `json:"state"`
	Filter        map[string]any `json:"filter"`
	Only          string         `json:"only,omitempty"`
	To            string         `json:"to,omitempty"`
	RatePerSecond float64        `json:"ratePerSecond,omitempty"`
	Reason        string         `json:"reason,omitempty"`
	By            string         `json:"by"`
	CreatedAt     Time           `json:"createdAt"`
	UpdatedAt     Time           `json:"updatedAt"`
	Progress      any            `json:"progress"`
}

// replayProgress says what became of the runs of a replay, and what was left out.
type replayProgress struct {
	Written        int `json:"written"`
	Pending        int `json:"pending"`
	Delivered      int `json:"delivered"`
	Exhausted      int `json:"exhausted"`
	Cancelled      int `json:"cancelled"`
	PastRetention  int `json:"pastRetention"`
	Erased         int `json:"erased"`
	AlreadyPending int `json:"alreadyPending"`
	Unwanted       int `json:"unwanted"`
}

// cancelProgress says what a cancellation has done.
type cancelProgress struct {
	Cancelled int `json:"cancelled"`
}

func jobViewOf(j *search.Job) jobView {
	v := jobView{
		ID: j.ID, State: string(j.State), Filter: j.Spec.Filter, Only: string(j.Spec.Only), To: j.Spec.To,
		RatePerSecond: j.Spec.Rate, Reason: j.Spec.Reason, By: j.By,
		CreatedAt: timeOf(j.CreatedAt), UpdatedAt: timeOf(j.UpdatedAt),
	}
	if j.State == search.JobStopping { // it only clears away what it has written ahead
		v.State = string(search.JobStopped)
	}
	if j.Kind == search.Cancellations {
		v.Progress = cancelProgress{j.Counts.Written}
		return v
	}
	v.Progress = replayProgress{
		Written: j.Counts.Written, Pending: j.Runs[delivery.Pending], Delivered: j.Runs[delivery.Delivered],
		Exhausted: j.Runs[delivery.Exhausted], Cancelled: j.Runs[delivery.Cancelled],
		PastRetention: j.Counts.PastRetention, Erased: j.Counts.Erased, AlreadyPending: j.Counts.AlreadyPending,
		Unwanted: j.Counts.Unwanted,
	}
	return v
}

// ListReplays is GET /v1/replays: newest first.
func (a *API) ListReplays(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	return a.listJobs(r, c, search.Replays)
}

// ListCancellations is GET /v1/cancellations: newest first.
func (a *API) ListCancellations(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	return a.listJobs(r, c, search.Cancellations)
}

func (a *API) listJobs(r *http.Request, c access.Caller, kind search.JobKind) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, string(kind), &before)
	if err != nil {
		return 0, nil, err
	}
	jobs, err := a.Jobs.FindJobs(r.Context(), c.Tenant, kind, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	jobs, next := cutPage(a.Cursors, string(kind), jobs, limit, func(j *search.Job) any { return j.No })
	return http.StatusOK, pageOf(viewsOf(jobs, jobViewOf), next), nil
}

// GetReplay is GET /v1/replays/{id}.
func (a *API) GetReplay(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.getJob(r, c, ps, search.Replays)
}

// GetCancellation is GET /v1/cancellations/{id}.
func (a *API) GetCancellation(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.getJob(r, c, ps, search.Cancellations)
}

func (a *API) getJob(r *http.Request, c access.Caller, ps httprouter.Params, kind search.JobKind) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	job, err := a.Jobs.FindJob(r.Context(), c.Tenant, kind, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, jobViewOf(job), nil
}

// PauseReplay is POST /v1/replays/{id}/pause: nothing more is sent until it is resumed.
func (a *API) PauseReplay(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.turnJob(r, c, ps, a.Jobs.PauseJob)
}

// ResumeReplay is POST /v1/replays/{id}/resume.
func (a *API) ResumeReplay(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.turnJob(r, c, ps, a.Jobs.ResumeJob)
}

// StopReplay is DELETE /v1/replays/{id}: the job ends, and what it has made and not
// sent is cancelled.
func (a *API) StopReplay(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.turnJob(r, c, ps, a.Jobs.StopJob)
}

func (a *API) turnJob(
	r *http.Request, c access.Caller, ps httprouter.Params,
	turn func(context.Context, int64, search.JobKind, string, access.Caller) (*search.Job, error),
) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	job, err := turn(r.Context(), c.Tenant, search.Replays, ps.ByName("id"), c)
	if err != nil {
		return 0, nil, refusedJob(err)
	}
	return http.StatusOK, jobViewOf(job), nil
}
