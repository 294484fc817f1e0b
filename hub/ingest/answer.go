package ingest

import (
	"encoding/json"
	"net/http"

	"github.com/hookline/hookline/hub/event"
)

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
)

// answer writes {"results": [...]} with one result for each item, in order.
func (q *request) answer(w http.ResponseWriter) {
	taken := 0
	for _, it := range q.items {
		if it.Problem == nil {
			taken++
		}
	}

	status := http.StatusAccepted
	switch n := len(q.items); {
	case taken == n:
	case n == 1:
		status = q.items[0].Problem.Status
	case taken > 0:
		status = http.StatusMultiStatus
	default:
		status = http.StatusBadRequest
	}

	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, noStore
	w.WriteHeader(status)
	_, _ = w.Write(q.out) // a sender that went away sends again, and is answered duplicate then
}

func (q *request) beginAnswer() { q.out = append(q.out[:0], `{"results":[`...) }

func (q *request) endAnswer() { q.out = append(q.out, "]}\n"...) }

// result appends what became of one item. Ids are made of characters that need no
// escaping in JSON.
func (q *request) result(id string, s Status, p *event.Problem, warnings []event.Problem) {
	b := q.out
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}

	b = append(b, '{')
	if id != "" {
		b = append(b, `"id":"`...)
		b = append(b, id...)
		b = append(b, `",`...)
	}

	b = append(b, `"status":"`...)
	b = append(b, s...)
	b = append(b, '"')

	if p != nil {
		b = append(b, `,"error":`...)
		b = appendJSON(b, p)
	}
	if len(warnings) > 0 {
		b = append(b, `,"warnings":`...)
		b = appendJSON(b, warnings)
	}
	q.out = append(b, '}')
}

func appendJSON(b []byte, v any) []byte {
	j, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...) // strings only: they always marshal
	}
	return append(b, j...)
}
