package report

import (
	"context"
	"time"
)

// Query is one request for a report. What it asks was checked.
type Query struct {
	Tenant   int64
	Report   *Report
	Kind     Kind
	Only     Flags // In, Out or both: which records of the kind; for States it means nothing
	DateType DateType
	Sunday   bool  // weeks begin on Sunday
	From, To int64 // wall clock in ms, From <= t < To
	Zone     *time.Location
	Now      int64 // Unix ms

	// ByTime and ByKey say what rows are of. Without both only the total is wanted.
	ByTime, ByKey bool
	KeyFirst      bool // if rows are of both: they are ordered by key, then by time

	// Keys picks rows; nil picks all. They are relay numbers, agentUUIDs, or, with
	// WorkNumbers, the agents' work numbers, or department ids.
	Keys        []string
	WorkNumbers bool

	Indicators []*Indicator
	Offset     int
	Limit      int
	Settings   Settings
}

// Table is the answer: the rows of one page.
type Table struct {
	Rows   []Row
	Amount []string // figures over all rows of all pages
	Total  int      // rows of all pages
}

// Row is a row of a report. Figures are JSON, in the order of the query's indicators.
type Row struct {
	Date    string // result_date; "" when rows are not of time
	Key     string // relay number, or department id
	Name    string // of the department
	Agent   Person
	Figures []string
}

// Person is what the agent report shows of an agent, and what its rows are ordered by.
type Person struct {
	UUID   string
	Number string // work number
	Name   string
}

// Naming is what the newest records say of an agent.
type Naming struct {
	Agent  string // record.AgentKey
	Number string
	Name   string
}

// Facts are the facts of one tenant, in one state of the store.
type Facts interface {
	// Blocks gives, in the order of time, the blocks of a kind that have facts with a
	// start in a span, and perhaps others.
	Blocks(ctx context.Context, k Kind, in Span, give func(*Block) error) error
	// Lasting returns the state that each agent is in at a time and was in before it.
	Lasting(ctx context.Context, at int64) ([]Fact, error)
	// Namings returns what is known of all agents, also of those without states.
	Namings(ctx context.Context) ([]Naming, error)
}

// Store has the facts.
type Store interface {
	// ReadFacts runs fn on one state of the store, which has all that was accepted before.
	// fn may be run again when the state turns out to have been changing.
	ReadFacts(ctx context.Context, tenant int64, fn func(Facts) error) error
}

// Run makes a report.
func Run(ctx context.Context, s Store, q *Query) (t Table, err error) {
	err = s.ReadFacts(ctx, q.Tenant, func(f Facts) error {
		t, err = newEngine(q, f).run(ctx)
		return err
	})
	return t, err
}
