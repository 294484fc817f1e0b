package api

import (
	"bytes"
	"encoding/json"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/subscriptions"
)

// viewer shows things to one caller, and decides what it may see of them: an
// auditor sees no query of a callback URL. An auditor without pii sees no customers'
// numbers in bodies, texts and identifiers.
type viewer struct {
	handles     Handles
	tenant      int64 // 0: the platform
	hideNumbers bool
	hideQueries bool
}

func (a *API) viewer(c access.Caller) viewer {
	return viewer{
		handles: a.Handles, tenant: c.Tenant, hideNumbers: !seesNumbers(c), hideQueries: c.Role == access.Auditor,
	}
}

// orderKey returns an order key as the caller may see it. If numbers are masked
// in it, handle stands for the whole key.
func (v viewer) orderKey(key string) (shown, handle string) {
	return v.identifier(orderKeyHandle, key)
}

// eventID returns the id of an event, which its sender may have made of a
// number. handle stands for the id, as in orderKey.
func (v viewer) eventID(id string) (shown, handle string) {
	return v.identifier(eventHandle, id)
}

func (v viewer) identifier(prefix, id string) (shown, handle string) {
	if !v.hideNumbers {
		return id, ""
	}
	shown = event.Partial.Identifier(id)
	if shown != id {
		handle = v.handles.Make(prefix, v.tenant, id)
	}
	return shown, handle
}

// body returns the body of an event as the caller may see it; plain is the body,
// or what a subscription's masking left of it.
func (v viewer) body(e *event.Event, plain []byte) []byte {
	if !v.hideNumbers {
		return plain
	}
	return event.Partial.BodyAndIDs(e.Type, plain, e.ID, e.OrderKey)
}

// about says what a text is about, as far as the hub knows: whose secrets and
// numbers may be in it.
type about struct {
	secrets subscriptions.QuerySecrets
	typ     event.Type
	body    []byte // nil: retention has removed it, or it was not read
}

// text returns a text that somebody else wrote, such as a receiver's answer or an
// error, as the caller may see it.
func (v viewer) text(text string, of about) string {
	if v.hideQueries {
		text = of.secrets.Hide(text)
	}
	if v.hideNumbers {
		text = string(event.Partial.Text(of.typ, of.body, []byte(text)))
	}
	return text
}

// line returns a header field or an error as the caller may see it. It hides the
// queries of all URLs in it: that of a redirection may repeat the query of the
// callback in its own way.
func (v viewer) line(text string, of about) string {
	if v.hideQueries {
		text = search.HideQueries(text)
	}
	return v.text(text, of)
}

// note returns what the audit log says of an object, as JSON, as the caller may see
// it: with numbers in identifiers masked, and handles beside order keys.
func (v viewer) note(raw string) json.RawMessage {
	if !v.hideNumbers || raw == "" {
		return json.RawMessage(raw)
	}

	var doc any
	dec := json.NewDecoder(bytes.NewReader([]byte(raw)))
	dec.UseNumber()
	if dec.Decode(&doc) != nil {
		return nil // cannot happen: the audit log writes JSON
	}

	masked, err := json.Marshal(v.noteValue(doc))
	if err != nil {
		return nil
	}
	return masked
}

func (v viewer) noteValue(value any) any {
	switch value := value.(type) {
	case string:
		return event.Partial.Identifier(value)
	case []any:
		for i := range value {
			value[i] = v.noteValue(value[i])
		}
	case map[string]any:
		for name, member := range value {
			if name == "gatewayNumbers" { // lines of the tenant, not of its customers
				continue
			}
			if key, is := member.(string); is && name == "orderKey" {
				shown, handle := v.orderKey(key)
				value[name] = shown
				if handle != "" {
					value["orderKeyHandle"] = handle
				}
				continue
			}
			value[name] = v.noteValue(member)
		}
	}
	return value
}
