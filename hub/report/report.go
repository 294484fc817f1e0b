// Package report is the sums: statistical reports of relay numbers, agents and
// departments. catalogue.go is the table of all indicators, from which validation,
// evaluation, totals and documentation follow; fact.go says what a record counts
// as, query.go what may be asked, classes.go which facts that takes, engine.go adds
// them up, and rows.go says which rows there are. There is no clock and no SQL in it:
// what it knows comes as facts, compact forms of the records that storage folds from
// the events.
package report
