package sobot

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/recording"
)

// recordingPath is that of S8, where the recordUrl of a record leads.
const recordingPath = "/callservice/v6/cc-audios/recordings/:id"

// getRecording answers S8, GET and HEAD …/recordings/{id}: "Return MP3 speech flow".
// The document says nothing about ranges, which players need.
func (a *API) getRecording(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) error {
	err := a.Listen(w, r, c, ps.ByName("id"))
	switch {
	case errors.Is(err, recording.ErrNotFound):
		return &problem{http.StatusNotFound, "NOT_FOUND", "there is no such recording"}
	case errors.Is(err, recording.ErrQuota):
		w.Header().Set("Retry-After", strconv.Itoa(int(access.QuotaRetry.Seconds())))
		return &problem{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", err.Error()}
	case errors.Is(err, recording.ErrSource), errors.Is(err, recording.ErrBusy):
		w.Header().Set("Retry-After", "1")
		return &problem{http.StatusServiceUnavailable, "UNAVAILABLE", err.Error()}
	}
	return err
}
