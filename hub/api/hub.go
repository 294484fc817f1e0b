package api

import (
	"net/http"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
)

// Build is what a program was built from.
type Build struct {
	Commit   string `json:"commit"`             // "unknown" if the program does not say
	Modified bool   `json:"modified,omitempty"` // it was built with changes that are in no commit
	Go       string `json:"go"`
	Schema   int64  `json:"schema"` // number of the last migration that it knows
}

// HubState is how a hub is, as seen by one of its processes. It has nothing of any tenant.
type HubState struct {
	Version       Build            `json:"version"`
	Process       string           `json:"process"` // the one that answers
	StartedAt     Time             `json:"startedAt"`
	UptimeSeconds int64            `json:"uptimeSeconds"`
	Processes     []string         `json:"processes"` // all that serve the store
	Store         StoreState       `json:"store"`
	Broker        *BrokerState     `json:"broker"` // null: none is configured
	Lanes         int              `json:"lanes"`  // subscriptions with work at hand in this process
	Deliveries    PendingState     `json:"deliveries"`
	Folds         FoldState        `json:"folds"`
	Tenants       int              `json:"tenants"`
	Memory        MemoryState      `json:"memory"`
	Counts        map[string]int64 `json:"counts"` // of this process since it started
}

// StoreState is where the data of a hub is, and how much of it there is.
type StoreState struct {
	Kind  string `json:"kind"` // sqlite, postgres
	Bytes int64  `json:"bytes"`
	Free  *int64 `json:"freeBytes"` // on the disk of the data folder; null: unknown
}

// BrokerState is how a process is connected to RabbitMQ.
type BrokerState struct {
	Connections int `json:"connections"`
}

// PendingState is what waits to be pushed, of all tenants.
type PendingState struct {
	Pending       int   `json:"pending"`
	OldestPending *Time `json:"oldestPending"` // when its event was accepted; null: nothing is pending
}

// FoldState is how far figures are behind the events, of all tenants.
type FoldState struct {
	Behind int64 `json:"behind"`
}

// MemoryState is the memory of a process.
type MemoryState struct {
	HeapBytes  uint64 `json:"heapBytes"`
	Goroutines int    `json:"goroutines"`
}

// GetHub is GET /v1/hub.
func (a *API) GetHub(r *http.Request, _ access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	s, err := a.State(r.Context())
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s, nil
}
