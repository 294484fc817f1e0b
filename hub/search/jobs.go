package search

import "github.com/hookline/hookline/delivery"

// JobKind says what a job does.
type JobKind string

// Kinds of jobs that people ask for.
const (
	Replays       JobKind = "replay"       // sends deliveries again, or those that were never sent
	Cancellations JobKind = "cancellation" // ends pending deliveries
)

// JobState is that of a job.
type JobState string

// States of a job. A job that is Stopping is shown as stopped: it only clears away
// what it has written ahead.
const (
	JobQueued   JobState = "queued"
	JobRunning  JobState = "running"
	JobPaused   JobState = "paused"
	JobStopping JobState = "stopping"
	JobStopped  JobState = "stopped"
	JobDone     JobState = "done"
)

// ReplayOnly says which deliveries of its filter a replay sends.
type ReplayOnly string

// What a replay sends.
const (
	OnlyFailed    ReplayOnly = "failed"     // exhausted, expired
	OnlyAll       ReplayOnly = "all"        // all that ended
	OnlyNeverSent ReplayOnly = "never-sent" // events for which the target has no delivery
)

// Picks reports whether a replay sends a delivery in a state.
func (o ReplayOnly) Picks(s delivery.State) bool {
	switch o {
	case OnlyFailed:
		return s == delivery.Exhausted || s == delivery.Expired
	case OnlyAll:
		return s != delivery.Pending
	}
	return true // of events that were never sent to the target, the source's state says nothing
}

// JobSpec is what a job was asked to do. It picks either deliveries or events.
type JobSpec struct {
	Tenant     int64           `json:"tenant"`
	Deliveries *DeliveryFilter `json:"deliveries,omitempty"` // page and limit aside
	Events     *EventFilter    `json:"events,omitempty"`     // page and limit aside
	Only       ReplayOnly      `json:"only,omitempty"`
	Target     int64           `json:"target,omitempty"` // number of a subscription; 0: each delivery goes to its own
	Rate       float64         `json:"rate,omitempty"`   // runs a second; 0: as fast as the lanes take them
	Reason     string          `json:"reason,omitempty"`

	// As the caller wrote it.
	Filter map[string]any `json:"filter"`
	To     string         `json:"to,omitempty"`
}

// Times returns the range of acceptance of what the job picks, Unix ms: from <= t < to;
// 0: open.
func (s *JobSpec) Times() (from, to int64) {
	if s.Events != nil {
		return s.Events.From, s.Events.To
	}
	return s.Deliveries.From, s.Deliveries.To
}

// Subject returns the code of the customer's number that the events must name; nil: any.
func (s *JobSpec) Subject() []byte {
	if s.Events != nil {
		return s.Events.Subject
	}
	return s.Deliveries.Subject
}

// JobCounts says what a job did, or why it did not.
type JobCounts struct {
	Written        int `json:"written"`        // runs made, or deliveries cancelled
	PastRetention  int `json:"pastRetention"`  // the body is no longer kept
	Erased         int `json:"erased"`         // the body was erased
	AlreadyPending int `json:"alreadyPending"` // a run of it is pending
	Unwanted       int `json:"unwanted"`       // the target's types or filter do not want the event
}

// Add adds the counts of another part of the job.
func (c *JobCounts) Add(o JobCounts) {
	c.Written += o.Written
	c.PastRetention += o.PastRetention
	c.Erased += o.Erased
	c.AlreadyPending += o.AlreadyPending
	c.Unwanted += o.Unwanted
}

// Job is a large change that goes on after the request that asked for it.
type Job struct {
	No        int64
	ID        string
	Kind      JobKind
	State     JobState
	Spec      JobSpec
	By        string // id of a key
	CreatedAt int64  // Unix ms
	UpdatedAt int64  // Unix ms
	Counts    JobCounts
	Runs      map[delivery.State]int // runs of a replay by what became of them; those pending are Pending
}

// DryRun says what a job would do. Its counts are of what the job would leave out.
type DryRun struct {
	JobCounts
	Matching    int   // what it would do
	Oldest      int64 // Unix ms of acceptance; 0: nothing matches
	Newest      int64
	Bytes       int64 // of the bodies
	KeysPending int   // order keys of which something live is pending, which goes first
	Complete    bool  // false: the time was up before all was looked at
}
