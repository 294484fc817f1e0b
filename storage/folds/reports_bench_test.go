package folds_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

var (
	reportCalls = flag.Int("reports.calls", 100_000, "main records, each with a party record, over which reports are benched")
	reportDays  = flag.Int("reports.days", 30, "days over which they are spread; reports are of the last 30")
)

const (
	benchAgents  = 500
	benchNumbers = 50
)

// BenchmarkReports asks for reports of a month: by agent and day, and by relay
// number and half hour, each with all the indicators of its records, and so that
// its page is in the middle. Agents change their state four times a call.
func BenchmarkReports(b *testing.B) {
	storetest.EachBench(b, benchReports)
}

func benchReports(b *testing.B) {
	db, ctx := withTenants(b), context.Background()
	loadFacts(b, db, *reportCalls, *reportDays)
	f := storage.NewFolds(db.DB)
	to := report.SlotMS * (int64(pastStart)/report.SlotMS/24*24 + 24)
	month := report.Query{
		Tenant: 1, From: to - 30*dayMS, To: to, Zone: time.UTC, Now: to, ByTime: true, ByKey: true, Offset: 500, Limit: 100,
		Settings: report.Settings{XSeconds: 30},
	}
	agents, inbound, numbers := month, month, month
	agents.Report, agents.Kind, agents.Only, agents.DateType, agents.Indicators = report.Agent, report.Parties, report.Out, report.Day, report.Agent.Indicators[16:27]
	inbound.Report, inbound.Kind, inbound.Only, inbound.DateType, inbound.Indicators = report.Agent, report.Parties, report.In, report.Day, report.Agent.Indicators[:16]
	numbers.Report, numbers.Kind, numbers.Only, numbers.DateType, numbers.Indicators = report.Relay, report.Calls, report.In|report.Out, report.HalfHour, report.Relay.Indicators
	var plain []*report.Indicator // without those that tell customers apart
	for _, i := range report.Relay.Indicators {
		if !slices.Contains([]string{"outbound_customer_numbers", "outbound_answer_gateway_numbers", "outbound_gateway_numbers_ratio"}, i.Name) {
			plain = append(plain, i)
		}
	}
	states := month
	states.Report, states.Kind, states.DateType, states.Indicators = report.Agent, report.States, report.Day, report.Agent.Indicators[27:]
	simple := numbers
	simple.Indicators = plain
	for _, q := range []struct {
		name string
		report.Query
	}{{"agent-day-inbound", inbound}, {"agent-day-outbound", agents}, {"agent-day-status", states}, {"number-halfhour", numbers}, {"number-halfhour-no-distinct", simple}} {
		b.Run(q.name, func(b *testing.B) {
			before := storetest.CPU(b)
			rows, n := 0, 0
			storetest.Pages(b, func() error {
				t, err := report.Run(ctx, f, &q.Query)
				rows, n = t.Total, n+1
				return err
			})
			require.Positive(b, rows)
			b.ReportMetric(float64(rows), "rows")
			// What it takes when nobody else wants the processor; without the server's.
			b.ReportMetric(float64((storetest.CPU(b)-before).Milliseconds())/float64(n), "cpu-ms/op")
		})
	}
}

// loadFacts as they are when the hours are over: as blocks. They lie between 8 and
// 20 o'clock, half inbound, half outbound; a tenth of the calls have a second agent.
func loadFacts(b *testing.B, db store, calls, days int) {
	rnd := rand.New(rand.NewPCG(1, 2))
	end := int64(pastStart) / report.SlotMS / 24 * 24 // the last day's first hour
	perHour := max(1, calls/days/12)
	no := int64(0)
	for d := range days {
		db.seed(b, func(tx *sqlx.Tx) {
			for h := range 12 {
				slot := end - int64(d)*24 + 8 + int64(h)
				mains, parties := benchHour(rnd, slot*report.SlotMS, perHour, &no)
				states := benchStates(rnd, slot*report.SlotMS, 4*perHour)
				for kind, facts := range map[report.Kind][]report.Fact{report.Calls: mains, report.Parties: parties, report.States: states} {
					block := sqldb.Compress(report.NewBlock(kind, slot*report.SlotMS, facts).Append(nil))
					_, err := tx.Exec(tx.Rebind("INSERT INTO report_blocks (tenant, kind, slot, changed, block) VALUES (1, ?, ?, 1, ?)"), int64(kind), slot, block)
					require.NoError(b, err)
				}
			}
		})
	}
	db.seed(b, func(tx *sqlx.Tx) {
		for a := range benchAgents {
			_, err := tx.Exec(tx.Rebind("INSERT INTO report_agents (tenant, agent, no, no_at, no_seq, name, name_at, name_seq) VALUES (1, ?, ?, 1, 1, ?, 1, 1)"),
				fmt.Sprintf("uagent-%04d", a), fmt.Sprint(1000+a), fmt.Sprint("Agent ", a))
			require.NoError(b, err)
		}
	})
}

// benchStates of agents in an hour: ready, ringing, talking, sorting, ready. Each
// day begins with a login and ends with a logout.
func benchStates(rnd *rand.Rand, slot int64, n int) (states []report.Fact) {
	each := max(1, n/benchAgents)
	for a := range benchAgents {
		for i := range each {
			f := report.Fact{Start: slot + report.SlotMS*int64(i)/int64(each) + rnd.Int64N(max(1, report.SlotMS/int64(each))), Key: report.Key{Name: fmt.Sprintf("uagent-%04d", a)}}
			if i > 0 {
				f.Start = max(f.Start, states[len(states)-1].Start+1)
				states[len(states)-1].Talk = f.Start
			}
			f.Talk = slot + report.SlotMS
			f.Class = report.Class{Flags: report.Online, Work: int64([]int{1, 6, 7, 4}[i%4])}
			if rnd.IntN(20) == 0 {
				f.Class = report.Class{Flags: report.Busy, Work: 2, Reason: int64(11 + rnd.IntN(8))}
			}
			states = append(states, f)
		}
	}
	return states
}

func benchHour(rnd *rand.Rand, slot int64, n int, no *int64) (mains, parties []report.Fact) {
	for range n {
		*no++
		direction, result := report.In, report.Taken|report.Offered|report.Rang|report.FirstHere|report.Direct
		if rnd.IntN(2) == 0 {
			direction, result = report.Out, report.Direct
		}
		talk := int64(0)
		if rnd.IntN(10) < 7 {
			talk = int64(5 + rnd.IntN(600))
			result |= report.Reached | report.Took | report.Taken | report.Rang
		}
		main := report.Fact{
			Start: slot + rnd.Int64N(report.SlotMS), Key: report.Key{Name: fmt.Sprintf("0108888%04d", rnd.IntN(benchNumbers))},
			Talk: talk, Total: talk + int64(rnd.IntN(40)), AgentTalk: talk,
		}
		main.Class.Flags = direction | result&^(report.Direct|report.Sole)
		binary.LittleEndian.PutUint64(main.Customer[:], rnd.Uint64N(400_000)*0x9e3779b97f4a7c15)
		binary.LittleEndian.PutUint64(main.Customer[8:], 1)
		mains = append(mains, main)
		legs := 1 + (rnd.IntN(10) / 9)
		if legs == 1 && direction == report.Out {
			result |= report.Sole
		}
		for range legs {
			agent := rnd.IntN(benchAgents)
			p := report.Fact{
				Start: slot + rnd.Int64N(report.SlotMS), Key: report.Key{Name: fmt.Sprintf("uagent-%04d", agent), Departments: fmt.Sprint("d", agent%8)},
				Talk: talk, Total: main.Total, AgentTalk: *no,
			}
			p.Class.Flags = direction | result&(report.Direct|report.Rang|report.Took|report.Reached|report.Sole)
			parties = append(parties, p)
		}
	}
	return mains, parties
}

// BenchmarkReportFold folds records and statuses, a third each, from the store, as
// a rebuild of the reports does.
func BenchmarkReportFold(b *testing.B) {
	storetest.EachBench(b, benchReportFold)
}

func benchReportFold(b *testing.B) {
	const calls = 5000
	db, ctx := withTenants(b), context.Background()
	f := storage.NewFolds(db.DB)
	f.Only("reports")
	rnd := rand.New(rand.NewPCG(1, 2))
	var events []*event.Event
	for i := range calls {
		id, at, agent := fmt.Sprint("call-", i), pastStart+int64(i)*2000, rnd.IntN(benchAgents)
		events = append(events,
			&event.Event{Tenant: 1, Type: event.AgentStatus, OrderKey: "agent/", Body: fmt.Appendf(nil, `{"agentUUID": "agent-%d", "agentID": "%d", "startTime": %d, "loginStatus": 1, "notReadyStatus": 0, "workStatus": %d}`, agent, agent, at, rnd.IntN(8))},
			&event.Event{Tenant: 1, Type: event.CDRParty, OrderKey: "cdr/" + id + "/p", Body: fmt.Appendf(nil, `{"callID": %q, "partyId": "p", "agentUUID": "agent-%d", "agentID": "%d", "callType": 2, "callResult": 3, "startTime": %d, "duration": 30}`, id, agent, agent, at)},
			&event.Event{Tenant: 1, Type: event.CDRCall, OrderKey: "cdr/" + id, Body: fmt.Appendf(nil, `{"callID": %q, "startTime": %d, "callType": 2, "callResult": 8, "gatewayNumber": "A", "customerNumber": "1380000%04d"}`, id, at, rnd.IntN(5000))})
	}
	for some := range slices.Chunk(events, 500) {
		_, err := db.Accept(ctx, some)
		require.NoError(b, err)
	}
	before, n := storetest.CPU(b), 0
	for b.Loop() {
		require.NoError(b, f.Rebuild(ctx, 1))
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((storetest.CPU(b)-before).Microseconds())/float64(n), "cpu-µs/event")
}
