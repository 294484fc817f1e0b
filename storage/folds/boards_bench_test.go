package folds_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// BenchmarkBoards asks for each dialect's figures over 1,000 agents who took 20
// calls each today, and 5,000 contacts that wait: while nothing happens, and with
// an event before each question.
func BenchmarkBoards(b *testing.B) {
	storetest.EachBench(b, benchBoards)
}

func benchBoards(b *testing.B) {
	const agents, calls, waiting = 1000, 20, 5000
	db, ctx := withTenants(b), context.Background()
	f := storage.NewFolds(db.DB)
	book := &directory.Book{}
	var changes []directory.Change
	accept := func(events []*event.Event) {
		for some := range slices.Chunk(events, 100) {
			_, err := db.Accept(ctx, some)
			require.NoError(b, err)
		}
	}
	tell := func(typ event.Type, key string, at int64, body string, args ...any) *event.Event {
		return &event.Event{Tenant: 1, Type: typ, OrderKey: key, OccurredAt: at, Body: fmt.Appendf(nil, body, args...)}
	}
	for a := range agents {
		changes = append(changes, directory.Change{Tenant: 1, Version: int64(a + 1), Kind: directory.Agents, Key: fmt.Sprint("agent-", a), Object: &directory.Agent{
			AgentUUID: fmt.Sprint("agent-", a), AgentID: fmt.Sprint(a), MaxConcurrentChats: 3, QueueIDs: []string{fmt.Sprint("q", a%50)}, DepartmentIDs: []string{fmt.Sprint("d", a%20)},
		}})
		events := []*event.Event{tell(event.AgentStatus, fmt.Sprint("agent/", a), 0, `{"agentUUID": "agent-%d", "startTime": %d, "loginStatus": 1, "workStatus": 1}`, a, pastStart)}
		for c := range calls {
			id, at := fmt.Sprint(a, "-", c), int64(pastStart+c*1000)
			for i, typ := range []event.Type{event.CallRinging, event.CallEstablished, event.CallReleased} {
				events = append(events, tell(typ, "call/"+id, at+int64(i), `{"callID": %q, "partyID": "p", "agentUUID": "agent-%d", "callType": "Inbound", "ANI": "13800000000"}`, id, a))
			}
			events = append(events, tell(event.CDRCall, "cdr/"+id, 0, `{"callID": %q, "startTime": %d, "callType": 2}`, id, at))
		}
		accept(events)
	}
	book.Apply(changes)
	var events []*event.Event
	for c := range waiting {
		id, at := fmt.Sprint("w", c), int64(pastStart+c*10)
		media := []string{"call", "chat"}[c%2]
		if media == "chat" {
			events = append(events, tell(event.ChatRequested, "chat/"+id, 0, `{"chatId": %q, "at": %d, "visitorId": %q, "departmentId": "d%d"}`, id, at, id, c%20))
		} else {
			events = append(events, tell(event.CallCreated, "call/"+id, at, `{"callID": %q, "callType": "Inbound"}`, id))
		}
		events = append(events, tell(event.QueueEntered, "queue/"+id, 0, `{"contactId": %q, "media": %q, "queueId": "q%d", "enteredAt": %d, "strategy": "Round Robin"}`, id, media, c%50, at))
	}
	accept(events)
	require.NoError(b, f.FoldTo(ctx, 1))
	boards := &live.Boards{Facts: f, Directory: book.Of}
	now := int64(pastStart + 60_000)
	at := func() *live.Board {
		now++
		p, err := boards.At(ctx, 1, now, time.UTC)
		require.NoError(b, err)
		return p
	}
	began := time.Now()
	at()
	b.Logf("first load: %v", time.Since(began))
	for name, ask := range map[string]func(p *live.Board) error{
		"queue":    func(p *live.Board) error { p.CountQueue(now, live.Pick{}); return nil },
		"agents":   func(p *live.Board) error { p.Talks(now); return nil },
		"skills":   func(p *live.Board) error { p.Skills(now); return nil },
		"rightnow": func(p *live.Board) error { p.CountChats(now); return nil },
		"chatqueues": func(p *live.Board) error {
			p.ChatQueues(now)
			return nil
		},
		"today": func(p *live.Board) error {
			t, err := boards.Tally(ctx, 1, p, live.Window{From: p.From, To: now + 1000, Now: now}, nil)
			if err == nil {
				t.Day()
			}
			return err
		},
	} {
		b.Run(name+"/still", func(b *testing.B) { storetest.Pages(b, func() error { return ask(at()) }) })
		b.Run(name+"/moving", func(b *testing.B) {
			// What accepts cost is not asked: only what the figures do.
			n := 0
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				n++
				id := fmt.Sprint("m", name, n)
				accept([]*event.Event{tell(event.CallRinging, "call/"+id, now, `{"callID": %q, "partyID": "p", "agentUUID": "agent-%d", "callType": "Inbound"}`, id, n%agents)})
				b.StartTimer()
				began := time.Now()
				require.NoError(b, ask(at()))
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkFoldBoards folds the events of calls: six of each, and its records.
func BenchmarkFoldBoards(b *testing.B) {
	for _, store := range []string{"sqlite", storetest.Postgres} {
		b.Run(store, func(b *testing.B) {
			db, ctx := withTenants(b), context.Background()
			f := storage.NewFolds(db.DB)
			n, folded := 0, time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				var events []*event.Event
				for c := range 64 {
					id := fmt.Sprint(n, "-", c)
					for i, typ := range []event.Type{event.CallCreated, event.CallRinging, event.CallEstablished, event.CallReleased, event.CallDeleted} {
						events = append(events, &event.Event{Tenant: 1, Type: typ, OrderKey: "call/" + id, OccurredAt: pastStart + int64(i), Body: fmt.Appendf(nil, `{"callID": %q, "partyID": "p", "agentUUID": "agent-%d", "callType": "Inbound", "ANI": "13800000000"}`, id, c)})
					}
					events = append(events,
						&event.Event{Tenant: 1, Type: event.AgentStatus, OrderKey: "agent/x", Body: fmt.Appendf(nil, `{"agentUUID": "agent-%d", "startTime": %d, "loginStatus": 1, "workStatus": %d}`, c, pastStart+n, 1+n%7)},
						&event.Event{Tenant: 1, Type: event.CDRCall, OrderKey: "cdr/" + id, Body: fmt.Appendf(nil, `{"callID": %q, "startTime": %d, "callType": 2}`, id, pastStart)},
						&event.Event{Tenant: 1, Type: event.CDRParty, OrderKey: "cdr/" + id, Body: fmt.Appendf(nil, `{"callID": %q, "partyId": "p", "startTime": %d, "callResult": 3}`, id, pastStart)})
				}
				for some := range slices.Chunk(events, 100) {
					_, err := db.Accept(ctx, some)
					require.NoError(b, err)
				}
				n++
				b.StartTimer()
				began := time.Now()
				require.NoError(b, f.FoldTo(ctx, 1))
				folded += time.Since(began)
			}
			b.ReportMetric(float64(folded.Microseconds())/float64(n*64*8), "us/event")
		})
	}
}
