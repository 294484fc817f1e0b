package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/source"
	"github.com/hookline/hookline/hub/source/mapping"
)

// SourceStore keeps sources and their inputs. Each change is also a row of the audit log, under
// the name of by.
type SourceStore interface {
	// CreateSource commits s, which token opens, under a new id; ErrLimit if its tenant has limit
	// sources already.
	CreateSource(ctx context.Context, by access.Caller, s source.Source, token [32]byte, limit int) (*source.Source, error)
	// FindSources lists at most limit sources with numbers below before, newest first; before 0
	// starts at the newest.
	FindSources(ctx context.Context, tenant, before int64, limit int) ([]source.Source, error)
	// FindSource finds a source by its id; ErrNotFound.
	FindSource(ctx context.Context, tenant int64, id string) (*source.Source, error)
	// UpdateSource commits what change makes of a source as its next version. ErrVersion if
	// version is neither 0 nor the current one; ErrNotFound.
	UpdateSource(ctx context.Context, by access.Caller, id string, version int64,
		change func(source.Source) (source.Source, error)) (*source.Source, error)
	// RotateSource commits that another token opens a source. The one before does until a time.
	RotateSource(ctx context.Context, by access.Caller, id string, token [32]byte, until time.Time) (*source.Source, error)
	// DeleteSource commits that a source takes nothing any more; ErrVersion, ErrNotFound.
	DeleteSource(ctx context.Context, by access.Caller, id string, version int64) error
	// LoadSources reads the sources of all tenants, and what opens them.
	LoadSources(ctx context.Context) ([]source.Source, []source.Token, error)

	// FindInputs lists at most limit inputs of a source that a filter picks, newest first.
	FindInputs(ctx context.Context, source int64, f InputFilter, limit int) ([]source.Input, error)
	// FindInput finds an input with its body; ErrNotFound.
	FindInput(ctx context.Context, source, seq int64) (*source.Input, error)
	// ReplayInputs commits that the rejected inputs which a filter picks are mapped again. It
	// returns how many there are. Those that were not signed right are left out.
	ReplayInputs(ctx context.Context, by access.Caller, s *source.Source, f InputFilter) (int, error)
	// CountInputs counts the inputs of a source.
	CountInputs(ctx context.Context, source int64) (InputCounts, error)
}

// InputFilter picks inputs. Empty fields pick all.
type InputFilter struct {
	Status   *source.Status
	From, To int64 // Unix ms: when they were received
	Before   int64 // numbers below
	Reason   string
	Bodies   bool // their bodies are wanted too
}

// InputCounts counts the inputs of a source.
type InputCounts struct {
	ByStatus   []int64
	OldestHeld int64 // Unix ms; 0: none is held
	LastInput  int64 // Unix ms; 0: there was none
	Bytes      int64
}

type sourceView struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Kind      string         `json:"kind"`
	State     string         `json:"state"`
	URL       string         `json:"url,omitempty"` // only in the answer that makes the token
	Auth      source.Auth    `json:"auth"`
	Settings  map[string]any `json:"settings"`
	Tables    map[string]any `json:"tables"`
	Mapping   *mapping.Spec  `json:"mapping"`
	Version   int64          `json:"version"`
	CreatedAt Time           `json:"createdAt"`
	UpdatedAt Time           `json:"updatedAt"`
}

func viewSource(s *source.Source) sourceView {
	v := sourceView{
		ID: s.ID, Name: s.Name, Kind: s.Kind, State: s.State, Auth: s.Auth.Hidden(), Settings: s.Settings, Tables: s.Tables,
		Mapping: s.Mapping, Version: s.Version, CreatedAt: Time(s.CreatedAt), UpdatedAt: Time(s.UpdatedAt),
	}
	if v.Settings == nil {
		v.Settings = map[string]any{}
	}
	if v.Tables == nil {
		v.Tables = map[string]any{}
	}
	return v
}

// sourceURL returns where the platform sends to.
func (a *API) sourceURL(r *http.Request, token string) string {
	base := a.PublicURL
	if base == "" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		base = scheme + "://" + a.Address
	}
	return base + source.Path + token
}

func (a *API) sourceRules() source.Rules { return source.Rules{PublicURL: a.PublicURL} }

// syncSources brings the book up to date with a change.
func (a *API) syncSources(ctx context.Context) error {
	return a.SourceBook.Sync(ctx, a.Sources.LoadSources)
}

// CreateSource is POST /v1/sources: 201 with the URL, this once.
func (a *API) CreateSource(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	raw, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	config, problems := source.Create(raw, a.sourceRules())
	if len(problems) > 0 {
		return 0, nil, refuse(problems)
	}

	token := source.NewToken()
	now := a.now().UTC()
	s := source.Source{Tenant: c.Tenant, CompanyID: c.CompanyID, CreatedAt: now, UpdatedAt: now, Config: config}
	ctx := context.WithoutCancel(r.Context()) // once begun this is finished, even if the caller goes away
	made, err := a.Sources.CreateSource(ctx, c, s, source.HashToken(token), a.limits(c).Sources)
	if err != nil {
		return 0, nil, err
	}
	if err := a.syncSources(ctx); err != nil {
		return 0, nil, err
	}
	v := viewSource(made)
	v.URL = a.sourceURL(r, token)
	return http.StatusCreated, versioned(v, made.Version).at("/v1/sources/" + made.ID), nil
}

// ListSources is GET /v1/sources.
func (a *API) ListSources(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "sources", &before)
	if err != nil {
		return 0, nil, err
	}
	sources, err := a.Sources.FindSources(r.Context(), c.Tenant, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	sources, next := cutPage(a.Cursors, "sources", sources, limit, func(s *source.Source) any { return s.No })
	return http.StatusOK, pageOf(viewsOf(sources, viewSource), next), nil
}

// GetSource is GET /v1/sources/{id}.
func (a *API) GetSource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	s, err := a.Sources.FindSource(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, versioned(viewSource(s), s.Version), nil
}

// PatchSource is PATCH /v1/sources/{id}: a JSON merge patch. A mapping that does not compile
// changes nothing, so the one before goes on.
func (a *API) PatchSource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	raw, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	return a.updateSource(r, c, ps, func(s source.Source) (source.Source, error) {
		next, problems := s.Patch(raw, a.sourceRules())
		if len(problems) > 0 {
			return s, refuse(problems)
		}
		s.Config = next
		return s, nil
	})
}

// PauseSource is POST /v1/sources/{id}/pause: inputs are taken and held until it is resumed.
func (a *API) PauseSource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.updateSource(r, c, ps, func(s source.Source) (source.Source, error) {
		s.State = source.Paused
		return s, nil
	})
}

// ResumeSource is POST /v1/sources/{id}/resume.
func (a *API) ResumeSource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.updateSource(r, c, ps, func(s source.Source) (source.Source, error) {
		s.State = source.Active
		return s, nil
	})
}

func (a *API) updateSource(r *http.Request, c access.Caller, ps httprouter.Params,
	change func(source.Source) (source.Source, error),
) (int, any, error) {
	version, err := expected(r)
	if err != nil {
		return 0, nil, err
	}
	ctx := context.WithoutCancel(r.Context())
	s, err := a.Sources.UpdateSource(ctx, c, ps.ByName("id"), version, change)
	if err != nil {
		return 0, nil, err
	}
	if err := a.syncSources(ctx); err != nil {
		return 0, nil, err
	}
	a.SourceHeld(s.No)
	return http.StatusOK, versioned(viewSource(s), s.Version), nil
}

// RotateSource is POST /v1/sources/{id}/rotate: the answer has a new URL, this once. The old one
// is good for another day.
func (a *API) RotateSource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	token := source.NewToken()
	ctx := context.WithoutCancel(r.Context())
	until := a.now().Add(source.RotationOverlap)
	s, err := a.Sources.RotateSource(ctx, c, ps.ByName("id"), source.HashToken(token), until)
	if err != nil {
		return 0, nil, err
	}
	if err := a.syncSources(ctx); err != nil {
		return 0, nil, err
	}
	v := viewSource(s)
	v.URL = a.sourceURL(r, token)
	return http.StatusOK, versioned(v, s.Version), nil
}

// DeleteSource is DELETE /v1/sources/{id}. Its inputs go with it, its events stay.
func (a *API) DeleteSource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	version, err := expected(r)
	if err != nil {
		return 0, nil, err
	}
	ctx := context.WithoutCancel(r.Context())
	if err := a.Sources.DeleteSource(ctx, c, ps.ByName("id"), version); err != nil {
		return 0, nil, err
	}
	if err := a.syncSources(ctx); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, nil
}

type kindView struct {
	Kind            string            `json:"kind"`
	Title           string            `json:"title"`
	Auth            []source.AuthType `json:"auth"`
	Settings        []source.Setting  `json:"settings"`
	Tables          map[string]any    `json:"tables"`
	MappingRequired bool              `json:"mappingRequired"`
	MappingVersion  int               `json:"mappingVersion"` // of the built-in one; 0: there is none
	SetUp           string            `json:"setUp"`
}

// ListSourceKinds is GET /v1/source-kinds.
func (a *API) ListSourceKinds(r *http.Request, _ access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	var views []kindView
	for _, k := range source.Kinds() {
		v := kindView{
			Kind: k.Name, Title: k.Title, Auth: k.Auths, Settings: k.AllSettings(), Tables: map[string]any{},
			MappingRequired: k.OwnMapping, SetUp: k.SetUp,
		}
		builtIn, err := mapping.BuiltIn(k.Name)
		if err != nil {
			return 0, nil, err
		}
		if builtIn != nil {
			v.MappingVersion = builtIn.Version
			if builtIn.Tables != nil {
				v.Tables = builtIn.Tables
			}
		}
		views = append(views, v)
	}
	return http.StatusOK, pageOf(views, ""), nil
}

type inputView struct {
	ID             string          `json:"id"`
	ReceivedAt     Time            `json:"receivedAt"`
	Status         string          `json:"status"`
	Reason         string          `json:"reason,omitempty"`
	Row            int             `json:"row,omitempty"`
	Size           int64           `json:"size"`
	Events         int             `json:"events"`
	MappingVersion int64           `json:"mappingVersion,omitempty"`
	Request        json.RawMessage `json:"request,omitempty"`
	Body           *string         `json:"body,omitempty"`       // if it is text
	BodyBase64     string          `json:"bodyBase64,omitempty"` // if it is not
}

// input returns an input as the caller may see it.
func (v viewer) input(in *source.Input) inputView {
	out := inputView{
		ID: strconv.FormatInt(in.Seq, 10), ReceivedAt: timeOf(in.ReceivedAt), Status: in.Status.String(), Reason: in.Reason,
		Row: in.Row, Size: in.Size, Events: in.Events, MappingVersion: in.Version,
	}
	if v.hideNumbers {
		out.Reason = event.Partial.Identifier(out.Reason)
	}
	if in.Body == nil {
		return out
	}

	request, text := string(in.MetaJSON()), string(in.Body)
	if v.hideNumbers {
		request, text = event.Partial.Identifier(request), event.Partial.Identifier(text)
	}
	out.Request = json.RawMessage(request)
	switch {
	case utf8.Valid(in.Body):
		out.Body = &text
	case v.hideNumbers: // numbers in what is no text would be found by nobody who masks them
		out.Body = new("")
	default:
		out.BodyBase64 = base64.StdEncoding.EncodeToString(in.Body)
	}
	return out
}

// inputFilter reads the parameters of a filter.
func inputFilter(status, from, to string) (f InputFilter, err error) {
	if status != "" {
		s, ok := source.StatusOf(status)
		if !ok {
			return f, problem.Field(http.StatusBadRequest, "status", "must be one of "+strings.Join(source.Statuses, ", "))
		}
		f.Status = &s
	}
	for _, p := range []struct {
		name, text string
		into       *int64
	}{{"from", from, &f.From}, {"to", to, &f.To}} {
		if p.text == "" {
			continue
		}
		t, err := parseTime(p.name, p.text)
		if err != nil {
			return f, err
		}
		*p.into = t.UnixMilli()
	}
	return f, nil
}

// ListInputs is GET /v1/sources/{id}/inputs: without their bodies.
func (a *API) ListInputs(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "inputs", &before, "status", "from", "to")
	if err != nil {
		return 0, nil, err
	}
	q := r.URL.Query()
	f, err := inputFilter(q.Get("status"), q.Get("from"), q.Get("to"))
	if err != nil {
		return 0, nil, err
	}
	f.Before = before

	s, err := a.Sources.FindSource(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	inputs, err := a.Sources.FindInputs(r.Context(), s.No, f, limit+1)
	if err != nil {
		return 0, nil, err
	}
	inputs, next := cutPage(a.Cursors, "inputs", inputs, limit, func(in *source.Input) any { return in.Seq })
	return http.StatusOK, pageOf(viewsOf(inputs, a.viewer(c).input), next), nil
}

// GetInput is GET /v1/sources/{id}/inputs/{inputId}: with its raw bytes.
func (a *API) GetInput(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	s, err := a.Sources.FindSource(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	seq, err := strconv.ParseInt(ps.ByName("inputId"), 10, 64)
	if err != nil {
		return 0, nil, ErrNotFound
	}
	in, err := a.Sources.FindInput(r.Context(), s.No, seq)
	if err != nil {
		return 0, nil, err
	}
	if in.Body == nil {
		in.Body = []byte{}
	}

	// Whoever may see numbers is noted.
	if err := a.viewed(r, c, "input", strconv.FormatInt(seq, 10)); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, a.viewer(c).input(in), nil
}

// ReplaySource is POST /v1/sources/{id}/replays: rejected inputs are mapped again, in their old
// order, by the mapping of now.
func (a *API) ReplaySource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var in struct {
		Status string `json:"status"`
		From   string `json:"from"`
		To     string `json:"to"`
		Reason string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	if in.Status != "" && in.Status != source.Rejected.String() {
		return 0, nil, problem.Field(http.StatusUnprocessableEntity, "status", "must be rejected: others were mapped")
	}
	f, err := inputFilter("", in.From, in.To)
	if err != nil {
		return 0, nil, err
	}
	f.Reason = in.Reason

	s, err := a.Sources.FindSource(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	n, err := a.Sources.ReplayInputs(context.WithoutCancel(r.Context()), c, s, f)
	a.SourceHeld(s.No)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, struct {
		Inputs int `json:"inputs"`
	}{n}, nil
}

// GetSourceState is GET /v1/sources/{id}/state.
func (a *API) GetSourceState(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	s, err := a.Sources.FindSource(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	counts, err := a.Sources.CountInputs(r.Context(), s.No)
	if err != nil {
		return 0, nil, err
	}
	view := struct {
		State        string           `json:"state"`
		LastInputAt  *Time            `json:"lastInputAt"`
		OldestHeldAt *Time            `json:"oldestHeldAt"`
		Inputs       map[string]int64 `json:"inputs"`
		Bytes        int64            `json:"bytes"`
	}{s.State, timeOrNone(counts.LastInput), timeOrNone(counts.OldestHeld), map[string]int64{}, counts.Bytes}
	for status, name := range source.Statuses {
		view.Inputs[name] = counts.ByStatus[status]
	}
	return http.StatusOK, view, nil
}

// Bounds of POST /v1/sources/{id}/try.
const (
	tryInputs = 100
	tryBytes  = 4 << 20
)

type tryRequest struct {
	Inputs []struct {
		Body        string            `json:"body"`
		ContentType string            `json:"contentType"`
		Headers     map[string]string `json:"headers"`
		Query       string            `json:"query"`
	} `json:"inputs"`
	InputIDs []string       `json:"inputIds"`
	Last     int            `json:"last"`
	Change   map[string]any `json:"change"`
}

type trialView struct {
	Status string       `json:"status"`
	Reason string       `json:"reason,omitempty"`
	Row    int          `json:"row,omitempty"`
	Events []triedEvent `json:"events"`
}

type triedEvent struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Time     Time            `json:"time"`
	OrderKey string          `json:"orderKey"`
	Body     json.RawMessage `json:"body"`
	Warnings []event.Problem `json:"warnings,omitempty"`
}

func viewTrial(t *source.Trial) trialView {
	v := trialView{Status: t.Status.String(), Reason: t.Reason, Row: t.Row, Events: []triedEvent{}}
	for _, e := range t.Events {
		v.Events = append(v.Events, triedEvent{
			ID: e.ID, Type: e.Type.String(), Time: timeOf(e.OccurredAt), OrderKey: e.OrderKey, Body: json.RawMessage(e.Body),
			Warnings: e.Warnings,
		})
	}
	return v
}

// TrySource is POST /v1/sources/{id}/try: what would become of inputs, those of the request or
// some that came. With a change, a merge patch of the source, it says what would become of each
// before and after it, and of how many that differs. Nothing is stored.
func (a *API) TrySource(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var in tryRequest
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	s, err := a.Sources.FindSource(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return 0, nil, err
	}
	inputs, err := a.inputsToTry(r, s, &in)
	if err != nil {
		return 0, nil, err
	}

	now, before, err := a.try(c, s, inputs)
	if err != nil {
		return 0, nil, err
	}
	after := before
	if in.Change != nil {
		if after, err = a.tryChange(c, s, in.Change, inputs, now); err != nil {
			return 0, nil, err
		}
	}

	type result struct {
		Input  string     `json:"input,omitempty"`
		Now    *trialView `json:"before,omitempty"`
		Result trialView  `json:"result"`
		Same   *bool      `json:"same,omitempty"`
	}
	out := struct {
		Results   []result `json:"results"`
		Differing int      `json:"differing"`
	}{Results: make([]result, len(inputs))}
	for i := range inputs {
		res := result{Result: viewTrial(&after[i])}
		if inputs[i].Seq > 1 || len(in.Inputs) == 0 {
			res.Input = strconv.FormatInt(inputs[i].Seq, 10)
		}
		if in.Change != nil {
			was, same := viewTrial(&before[i]), before[i].Same(after[i])
			res.Now, res.Same = &was, &same
			if !same {
				out.Differing++
			}
		}
		out.Results[i] = res
	}
	return http.StatusOK, out, nil
}

func (a *API) strict(c access.Caller) bool {
	t := a.Book.Tenant(c.Tenant)
	return t != nil && t.Strict()
}

func (a *API) try(c access.Caller, s *source.Source, inputs []source.Input) (time.Time, []source.Trial, error) {
	now := a.now()
	trials, err := source.Try(s, a.strict(c), inputs, now)
	return now, trials, err
}

// tryChange tries inputs with a source as it would be after a change.
func (a *API) tryChange(
	c access.Caller, s *source.Source, change map[string]any, inputs []source.Input, now time.Time,
) ([]source.Trial, error) {
	raw, err := json.Marshal(change)
	if err != nil {
		return nil, err
	}
	next := *s
	var problems []event.Problem
	if next.Config, problems = s.Patch(raw, a.sourceRules()); len(problems) > 0 {
		for i := range problems {
			problems[i].Field = strings.TrimSuffix("change."+problems[i].Field, ".")
		}
		return nil, refuse(problems)
	}
	return source.Try(&next, a.strict(c), inputs, now)
}

// inputsToTry returns the inputs that a request names, the oldest first.
func (a *API) inputsToTry(r *http.Request, s *source.Source, in *tryRequest) ([]source.Input, error) {
	ways := 0
	for _, is := range []bool{len(in.Inputs) > 0, len(in.InputIDs) > 0, in.Last != 0} {
		if is {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, problem.Field(http.StatusUnprocessableEntity, "inputs", "give one of inputs, inputIds and last")
	case len(in.Inputs) > tryInputs:
		return nil, problem.Field(http.StatusUnprocessableEntity, "inputs", "are more than "+strconv.Itoa(tryInputs))
	case len(in.InputIDs) > tryInputs:
		return nil, problem.Field(http.StatusUnprocessableEntity, "inputIds", "are more than "+strconv.Itoa(tryInputs))
	case in.Last < 0 || in.Last > tryInputs:
		return nil, problem.Field(http.StatusUnprocessableEntity, "last", "must be from 1 to "+strconv.Itoa(tryInputs))
	}

	var inputs []source.Input
	now := a.now()
	for _, x := range in.Inputs {
		inputs = append(inputs, source.TrialInput(x.Body, x.ContentType, x.Headers, x.Query, now))
	}
	ids := in.InputIDs
	if in.Last > 0 {
		last, err := a.Sources.FindInputs(r.Context(), s.No, InputFilter{}, in.Last)
		if err != nil {
			return nil, err
		}
		for i := len(last) - 1; i >= 0; i-- {
			ids = append(ids, strconv.FormatInt(last[i].Seq, 10))
		}
	}
	var size int64
	for i, id := range ids {
		seq, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return nil, problem.Field(http.StatusUnprocessableEntity, "inputIds["+strconv.Itoa(i)+"]", "is not the id of an input")
		}
		found, err := a.Sources.FindInput(r.Context(), s.No, seq)
		if errors.Is(err, ErrNotFound) {
			if in.Last > 0 { // it was deleted in between
				continue
			}
			return nil, problem.Field(http.StatusUnprocessableEntity, "inputIds["+strconv.Itoa(i)+"]", "is not the id of an input")
		}
		if err != nil {
			return nil, err
		}
		if size += found.Size; size > tryBytes && len(inputs) > 0 {
			break // of large inputs fewer are tried
		}
		inputs = append(inputs, *found)
	}
	return inputs, nil
}
