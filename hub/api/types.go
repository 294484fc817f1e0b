package api

import (
	"encoding/json"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
)

type typeView struct {
	Type      string          `json:"type"`
	MessageID string          `json:"messageID"` // of the pushed body
	Class     string          `json:"class"`     // cdr, live
	OrderKey  string          `json:"orderKey,omitempty"`
	Internal  bool            `json:"internal,omitempty"` // made by the hub itself; senders may not
	Sample    json.RawMessage `json:"sample"`
}

// ListTypes is GET /v1/types: every type of event, with a sample body.
func (a *API) ListTypes(r *http.Request, _ access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	views := make([]typeView, 0, len(event.Types()))
	for _, t := range event.Types() {
		views = append(views, typeView{
			Type: t.String(), MessageID: t.MessageID(), Class: t.Class().String(), OrderKey: t.OrderKeyPattern(),
			Internal: t.Internal(), Sample: event.Sample(t),
		})
	}
	return http.StatusOK, pageOf(views, ""), nil
}
