// Package report is the sums: statistical reports of relay numbers, agents and
// departments. catalogue.go is the table of all indicators, from which validation,
// evaluation, totals and documentation follow; fact.go says what a record counts
// as; engine.go adds up. There is no clock and no SQL in it: what it knows comes
// as facts, compact forms of the records that storage folds from the events.
package report
