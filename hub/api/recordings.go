package api

import (
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/recording"
)

// RecordingPath is the path at which clients of the vendor find a recording, below
// the hub's public URL.
const RecordingPath = "/callservice/v6/cc-audios/recordings/"

type recordingView struct {
	ID        string  `json:"id"`
	Handle    string  `json:"handle,omitempty"` // stands for the id where that is masked
	RecordURL string  `json:"recordUrl"`        // for the CDR
	Source    string  `json:"source"`           // upload, url
	Size      *int64  `json:"size"`             // bytes; null: not fetched yet
	SHA256    *string `json:"sha256"`
	CreatedAt Time    `json:"createdAt"`
	UpdatedAt Time    `json:"updatedAt"`
}

func (a *API) viewRecording(r *recording.Recording) recordingView {
	v := recordingView{
		ID: r.ID, RecordURL: a.PublicURL + RecordingPath + url.PathEscape(r.ID), Source: "upload",
		CreatedAt: Time(r.CreatedAt), UpdatedAt: Time(r.UpdatedAt),
	}
	if r.Source != "" {
		v.Source = "url"
	}
	if r.Blob != "" {
		hash := hex.EncodeToString(r.Hash[:])
		v.Size, v.SHA256 = &r.Size, &hash
	}
	return v
}

// PutRecording is PUT /v1/recordings/{id}: the body is the MP3 itself, or JSON with
// the https URL of the MP3.
func (a *API) PutRecording(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	rec, err := a.takeRecording(r, c, ps.ByName("id"))
	if err != nil {
		return 0, nil, recordingProblem(err)
	}
	return http.StatusOK, a.viewRecording(rec), nil
}

func (a *API) takeRecording(r *http.Request, c access.Caller, id string) (*recording.Recording, error) {
	id, ok := event.Identity(id)
	if !ok {
		return nil, problem.Field(http.StatusUnprocessableEntity, "id",
			"must be at most 256 bytes of text without control characters")
	}
	media := ""
	if ct := r.Header.Get("Content-Type"); ct != "" {
		var err error
		if media, _, err = mime.ParseMediaType(ct); err != nil {
			media = "unreadable"
		}
	}

	switch media {
	case "application/json":
		var in struct {
			SourceURL string `json:"sourceUrl"`
		}
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		if in.SourceURL == "" {
			return nil, problem.Field(http.StatusUnprocessableEntity, "sourceUrl", "is required")
		}

		return a.Recordings.Register(r.Context(), c, id, in.SourceURL)

	case "", "audio/mpeg", "audio/mp3", "audio/mpeg3", "application/octet-stream":
		if r.ContentLength > recording.MaxSize {
			return nil, recording.ErrTooLarge
		}
		return a.Recordings.Put(r.Context(), c, id, r.Body)
	}
	return nil, problem.New(http.StatusUnsupportedMediaType,
		"the body must be audio/mpeg, or application/json with sourceUrl")
}

// recordingProblem turns an error of the library into what the caller is answered.
func recordingProblem(err error) error {
	switch {
	case errors.Is(err, recording.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, recording.ErrSource): // first, as it wraps others
		return problem.New(http.StatusBadGateway, err.Error())
	case errors.Is(err, recording.ErrTooLarge):
		return problem.New(http.StatusRequestEntityTooLarge, err.Error())
	case errors.Is(err, recording.ErrEmpty):
		return problem.New(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, recording.ErrURL):
		return problem.Field(http.StatusUnprocessableEntity, "sourceUrl", err.Error())
	case errors.Is(err, recording.ErrRead):
		return problem.New(http.StatusBadRequest, recording.ErrRead.Error())
	case errors.Is(err, recording.ErrQuota):
		return &problem.Details{
			Status: http.StatusTooManyRequests, Detail: err.Error() + "; nothing was kept", RetryAfter: access.QuotaRetry,
		}
	case errors.Is(err, recording.ErrBusy):
		return &problem.Details{Status: http.StatusServiceUnavailable, Detail: err.Error(), RetryAfter: time.Second}
	}
	return err
}

// GetRecording is GET and HEAD /v1/recordings/{id}: the MP3.
func (a *API) GetRecording(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) {
	if err := a.Listen(w, r, c, a.recordingOf(c, ps.ByName("id"))); err != nil {
		a.fail(w, r, recordingProblem(err))
	}
}

// Listen answers with a recording of the caller's tenant, and notes in the audit
// log who asked for it. After an error nothing has been answered yet; the error is
// one of the recording package, or unexpected.
func (a *API) Listen(w http.ResponseWriter, r *http.Request, c access.Caller, id string) error {
	rec, err := a.Recordings.Find(r.Context(), c.Tenant, id)
	if err != nil {
		return err
	}
	if r.Method != http.MethodHead {
		if err := a.Views.Note(r.Context(), c,
			audit.Deed{Tenant: c.Tenant, Action: audit.RecordingView, Object: "recording/" + rec.ID}); err != nil {
			return err
		}
	}
	return a.Recordings.Serve(w, r, rec)
}

// recordingPlace is the last recording of a page.
type recordingPlace struct {
	At int64
	ID string
}

// ListRecordings is GET /v1/recordings: the newest first.
func (a *API) ListRecordings(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var place recordingPlace
	limit, err := a.readPage(r, "recordings", &place, "from", "to")
	if err != nil {
		return 0, nil, err
	}
	from, to, err := timesOf(r.URL.Query())
	if err != nil {
		return 0, nil, err
	}
	f := recording.Filter{Tenant: c.Tenant, From: from, To: to, BeforeAt: place.At, BeforeID: place.ID, Limit: limit + 1}
	found, err := a.Recordings.Store.FindRecordings(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}

	found, next := cutPage(a.Cursors, "recordings", found, limit, func(r *recording.Recording) any {
		return recordingPlace{r.CreatedAt.UnixMilli(), r.ID}
	})
	viewer := a.listViewer(c)
	return http.StatusOK, pageOf(viewsOf(found, func(r *recording.Recording) recordingView {
		view := a.viewRecording(r)
		if id, handle := viewer.identifier(recordingHandle, r.ID); handle != "" {
			view.ID, view.Handle = id, handle
			view.RecordURL = a.PublicURL + viewer.recordingPath(r.ID)
		}
		return view
	}), next), nil
}

// recordingOf returns the id of a recording that a path names, itself or by its handle.
func (a *API) recordingOf(c access.Caller, name string) string {
	if id, is := a.Handles.Read(recordingHandle, c.Tenant, name); is {
		return id
	}
	return name
}

// DeleteRecording is DELETE /v1/recordings/{id}.
func (a *API) DeleteRecording(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	id, ok := event.Identity(ps.ByName("id"))
	if !ok {
		return 0, nil, ErrNotFound
	}
	if err := a.Recordings.Delete(r.Context(), c, id); err != nil {
		return 0, nil, recordingProblem(err)
	}
	return http.StatusNoContent, nil, nil
}
