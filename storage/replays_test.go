package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/storetest"
	"github.com/hookline/hookline/subscriptions"
)

// work lets the jobs do all that they can do now.
func (db pastDB) work(t testing.TB) {
	t.Helper()
	for range 8 {
		_, err := db.workOnJobs(t.Context())
		require.NoError(t, err)
	}
}

// replay asks for a replay, and requires that its dry run says so many.
func (db pastDB) replay(t testing.TB, spec *search.JobSpec, matching int) *search.Job {
	t.Helper()
	dry, err := db.CountJob(t.Context(), search.Replays, spec)
	require.NoError(t, err)
	require.Equal(t, matching, dry.Matching, "%+v", dry)
	require.True(t, dry.Complete)
	j, err := db.CreateJob(t.Context(), search.Replays, spec, bob)
	require.NoError(t, err)
	db.work(t)
	return db.job(t, j)
}

func (db pastDB) job(t testing.TB, j *search.Job) *search.Job {
	t.Helper()
	j, err := db.FindJob(t.Context(), 1, j.Kind, j.ID)
	require.NoError(t, err)
	return j
}

// endReplays ends the pending runs of replays of a subscription, and returns the
// numbers of their events.
func (db pastDB) endReplays(t testing.TB, sub int64, state delivery.State) (seqs []int64) {
	t.Helper()
	items, err := db.Replays(t.Context(), sub, 5000)
	require.NoError(t, err)
	db.own(t)
	done := make(chan error, len(items))
	for _, it := range items {
		seqs = append(seqs, it.Seq)
		require.NotZero(t, it.Replay)
		a := &delivery.Attempt{At: time.Now().UnixMilli(), StatusCode: 200, Replay: true}
		if state != delivery.Delivered {
			a.StatusCode, a.Class = 503, delivery.Status
		}
		db.Record(&delivery.Outcome{
			Item: it, Epoch: 1, Attempt: a, Verdict: delivery.Verdict{State: state}, Done: func(err error) { done <- err },
		})
	}
	for range items {
		require.NoError(t, <-done)
	}
	return seqs
}

// failed is a replay of what failed.
func failed() *search.JobSpec {
	return &search.JobSpec{Tenant: 1, Deliveries: &search.DeliveryFilter{Tenant: 1}, Only: search.OnlyFailed}
}

// neverSent is a replay of all events to a subscription that did not get them.
func neverSent(to int64) *search.JobSpec {
	return &search.JobSpec{
		Tenant: 1, Events: &search.EventFilter{Tenant: 1, From: 1}, Only: search.OnlyNeverSent, Target: to,
	}
}

func (db pastDB) stateOf(t testing.TB, sub, seq int64) delivery.State {
	t.Helper()
	d, err := db.FindDelivery(t.Context(), 1, sub, seq)
	require.NoError(t, err)
	return d.State
}

// A replay writes runs beside the live ones, which nothing that counts what is pending
// sees; a second one over the same rows skips them. Deliveries stay what they were
// until their runs end.
func TestReplayOfWhatFailed(t *testing.T) { eachStore(t, testReplayOfWhatFailed) }

func testReplayOfWhatFailed(t *testing.T) {
	db := withTenants(t)
	s := db.subscribe(t, 1, "")
	var all []int64
	for n := range 12 {
		seq := db.push(t, event.CDRCall, fmt.Sprint("cdr/", n%3))
		all = append(all, seq)
		state := []delivery.State{delivery.Exhausted, delivery.Delivered, delivery.Exhausted}[n%3]
		db.end(t, s.No, seq, refused503(), delivery.Verdict{State: state})
	}
	live := db.push(t, event.CDRCall, "cdr/0")

	first := db.replay(t, failed(), 8)
	require.Equal(t, search.JobRunning, first.State)
	require.Equal(t, 8, first.Counts.Written)
	require.Equal(t, 8, first.Runs[delivery.Pending])
	second := db.replay(t, failed(), 0)
	require.Equal(t, 8, second.Counts.AlreadyPending)
	require.Zero(t, second.Counts.Written)
	require.Equal(t, search.JobDone, second.State)

	// Nobody else sees them.
	require.Equal(t, 1, db.PendingOf(1))
	require.NoError(t, db.writer.pending.recount(t.Context(), db.raw, db.in))
	require.Equal(t, 1, db.PendingOf(1))
	pending, err := db.Pending(t.Context(), s.No, delivery.ID{}, 100)
	require.NoError(t, err)
	require.Len(t, pending, 1)
	require.Equal(t, live, pending[0].Seq)
	require.Equal(t, delivery.Exhausted, db.stateOf(t, s.No, all[0]))
	err = db.RetryDelivery(t.Context(), 1, s.No, all[0], true, bob)
	require.ErrorAs(t, err, new(*api.Conflict), "a run of it is pending")
	subs, err := db.Replaying(t.Context(), []int{subscriptions.Shard(s.No)})
	require.NoError(t, err)
	require.Equal(t, []int64{s.No}, subs)

	// A run that is to be tried again stays beside the live ones.
	items, err := db.Replays(t.Context(), s.No, 1)
	require.NoError(t, err)
	db.own(t)
	done := make(chan error, 1)
	db.Record(&delivery.Outcome{
		Item: items[0], Epoch: 1, Attempt: refused503(), Verdict: delivery.Verdict{State: delivery.Pending, DueAt: 5},
		Done: func(err error) { done <- err },
	})
	require.NoError(t, <-done)
	require.Equal(t, 1, db.PendingOf(1))

	// They end, and with them the job.
	seqs := db.endReplays(t, s.No, delivery.Delivered)
	require.Len(t, seqs, 8)
	require.IsIncreasing(t, seqs)
	db.work(t)
	first = db.job(t, first)
	require.Equal(t, search.JobDone, first.State)
	require.Equal(t, map[delivery.State]int{delivery.Delivered: 8}, first.Runs)
	require.Equal(t, delivery.Delivered, db.stateOf(t, s.No, all[0]))
	ds, _, err := db.FindDeliveries(t.Context(), search.DeliveryFilter{Tenant: 1, Replay: first.No, Limit: 100})
	require.NoError(t, err)
	require.Len(t, ds, 8)
	require.Equal(t, first.ID, ds[0].Runs[0].Replay)
	db.requireHoursAddUp(t)
}

// Paused, a replay gives nothing out; stopped, what it had written is cancelled and the
// deliveries stay what they were. The log says who did so.
func TestReplayIsTurned(t *testing.T) { eachStore(t, testReplayIsTurned) }

func testReplayIsTurned(t *testing.T) {
	db := withTenants(t)
	s := db.subscribe(t, 1, "")
	seq := db.push(t, event.CDRCall, "cdr/1")
	db.end(t, s.No, seq, refused503(), delivery.Verdict{State: delivery.Exhausted})
	j := db.replay(t, failed(), 1)

	given := func() int {
		items, err := db.Replays(t.Context(), s.No, 10)
		require.NoError(t, err)
		return len(items)
	}
	require.Equal(t, 1, given())
	for range 2 { // once more does nothing
		paused, err := db.PauseJob(t.Context(), 1, j.Kind, j.ID, bob)
		require.NoError(t, err)
		require.Equal(t, search.JobPaused, paused.State)
	}
	require.Zero(t, given())
	_, err := db.PauseJob(t.Context(), 2, j.Kind, j.ID, eve)
	require.ErrorIs(t, err, api.ErrNotFound, "of another tenant")
	_, err = db.ResumeJob(t.Context(), 1, j.Kind, j.ID, bob)
	require.NoError(t, err)
	require.Equal(t, 1, given())

	_, err = db.StopJob(t.Context(), 1, j.Kind, j.ID, bob)
	require.NoError(t, err)
	require.Zero(t, given())
	db.work(t)
	j = db.job(t, j)
	require.Equal(t, search.JobStopped, j.State)
	require.Equal(t, map[delivery.State]int{delivery.Cancelled: 1}, j.Runs)
	require.Equal(t, delivery.Exhausted, db.stateOf(t, s.No, seq))
	_, err = db.ResumeJob(t.Context(), 1, j.Kind, j.ID, bob)
	require.ErrorAs(t, err, new(*api.Conflict))

	var said []string
	require.NoError(t, db.read.Select(&said, "SELECT action FROM audit WHERE object = ? ORDER BY seq", "replay/"+j.ID))
	require.Equal(t, []string{"replay.create", "replay.pause", "replay.resume", "replay.stop", "replay.end"}, said)
	db.requireHoursAddUp(t)
}

// To another subscription go the events that it wants now and did not get. They count in
// the hours of their events, and not as pending.
func TestReplayOfWhatWasNeverSent(t *testing.T) { eachStore(t, testReplayOfWhatWasNeverSent) }

func testReplayOfWhatWasNeverSent(t *testing.T) {
	db := withTenants(t)
	source := db.subscribe(t, 1, "")
	var seqs []int64
	for n := range 6 {
		typ := []event.Type{event.CDRCall, event.CallRinging}[n%2]
		seqs = append(seqs, db.push(t, typ, fmt.Sprint("k/", n)))
		db.end(t, source.No, seqs[n], nil, delivery.Verdict{State: delivery.Delivered})
	}
	target := db.subscribe(t, 1, `,"events":["cdr.*"]`)
	db.exec(t, "DELETE FROM bodies WHERE seq = ?", seqs[0])

	j := db.replay(t, neverSent(target.No), 2)
	require.Equal(t, search.JobCounts{Written: 2, PastRetention: 1, Unwanted: 3}, j.Counts)
	require.Zero(t, db.PendingOf(1))
	ds, _, err := db.FindDeliveries(t.Context(), search.DeliveryFilter{
		Tenant: 1, Subs: []int64{target.No}, States: search.States(delivery.Pending), Limit: 10,
	})
	require.NoError(t, err)
	require.Len(t, ds, 2)
	require.Equal(t, j.ID, ds[0].Replay)
	db.requireHoursAddUp(t)
	require.NoError(t, db.writer.pending.recount(t.Context(), db.raw, db.in))
	require.Zero(t, db.PendingOf(1))

	// Stopped before they went, they were never sent, so another replay makes them again.
	_, err = db.StopJob(t.Context(), 1, j.Kind, j.ID, bob)
	require.NoError(t, err)
	db.work(t)
	db.requireHoursAddUp(t)
	db.replay(t, neverSent(target.No), 2)
	require.Equal(t, []int64{seqs[2], seqs[4]}, db.endReplays(t, target.No, delivery.Delivered))
	db.replay(t, neverSent(target.No), 0)
	db.requireHoursAddUp(t)

	// All of a filter of deliveries goes again, as a run of the target's own.
	again := failed()
	again.Only, again.Target = search.OnlyAll, target.No
	again.Deliveries.Subs = []int64{source.No}
	j = db.replay(t, again, 2)
	require.Equal(t, 3, j.Counts.Unwanted)
	require.Equal(t, []int64{seqs[2], seqs[4]}, db.endReplays(t, target.No, delivery.Exhausted))
	require.Equal(t, delivery.Delivered, db.stateOf(t, target.No, seqs[2]), "delivered once, delivered for good")
	db.requireHoursAddUp(t)
}

// A job writes so many runs ahead of the lane, goes on when they have ended, and keeps
// its rate. A deletion of the subscription ends it.
func TestReplayAhead(t *testing.T) { eachStore(t, testReplayAhead) }

func testReplayAhead(t *testing.T) {
	db := withTenants(t)
	s := db.subscribe(t, 1, "")
	total := fewer(t, 5000, replayAhead+200)
	db.acceptMany(t, 1, event.CDRCall, total)
	db.endAll(t, s.No)
	all := failed()
	all.Only = search.OnlyAll

	// Each goes once, in the order of the events, however often somebody else goes on
	// with the job.
	j := db.replay(t, all, total)
	require.Equal(t, replayAhead, j.Counts.Written)
	var seqs []int64
	for len(seqs) < total-200 {
		seqs = append(seqs, db.endReplays(t, s.No, delivery.Delivered)...)
		db.work(t)
	}
	require.IsIncreasing(t, seqs)
	require.Equal(t, total, db.job(t, j).Counts.Written)

	slow := failed()
	slow.Only, slow.Rate = search.OnlyAll, 2
	second := db.replay(t, slow, len(seqs))
	require.Equal(t, 2, second.Counts.Written, "one second's worth, until these have gone")

	require.NoError(t, db.DeleteSubscription(t.Context(), 1, s.ID, 0, bob))
	require.NoError(t, db.runWaiting(t.Context()))
	db.work(t)
	require.Equal(t, search.JobDone, db.job(t, j).State)
	require.Equal(t, search.JobDone, db.job(t, second).State)
	require.Equal(t, total-len(seqs), db.job(t, j).Runs[delivery.Cancelled])
	db.requireHoursAddUp(t)
}

// The rate of a job is an account: what was used is used whoever goes on with it, and
// what was not used is kept for a second.
func TestReplayRate(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	j := &askedJob{}
	j.Spec.Rate = 10
	n, paid := j.budget(at)
	require.Equal(t, 10, n)
	j.plan.PaidUntil = paid + int64(n)*100_000
	n, _ = j.budget(at)
	require.Zero(t, n)
	n, _ = j.budget(at.Add(350 * time.Millisecond))
	require.Equal(t, 3, n)
	n, _ = j.budget(at.Add(time.Hour))
	require.Equal(t, 10, n)

	j.Spec.Rate, j.plan.PaidUntil = 0.01, at.UnixMicro()
	n, _ = j.budget(at.Add(99 * time.Second))
	require.Zero(t, n)
	n, _ = j.budget(at.Add(100 * time.Second))
	require.Equal(t, 1, n)
}

// A cancellation ends what is pending of its filter, live runs only, and tells the lane.
func TestCancellation(t *testing.T) { eachStore(t, testCancellation) }

func testCancellation(t *testing.T) {
	var again []int64
	db := openPastWith(t, newPlace(t), func(c *Config) {
		c.Nudge = func(rows []Rows) {
			for _, r := range rows {
				if r.Again {
					again = append(again, r.Sub)
				}
			}
		}
	})
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1)) })
	s := db.subscribe(t, 1, "")
	calls, cdr := db.push(t, event.CallRinging, "call/1"), db.push(t, event.CDRCall, "cdr/1")
	ended := db.push(t, event.CallRinging, "call/2")
	db.end(t, s.No, ended, refused503(), delivery.Verdict{State: delivery.Exhausted})
	require.NoError(t, db.RetryDelivery(t.Context(), 1, s.No, ended, true, bob))

	spec := &search.JobSpec{
		Tenant: 1, Deliveries: &search.DeliveryFilter{Tenant: 1, Types: event.Of(event.CallRinging)},
	}
	dry, err := db.CountJob(t.Context(), search.Cancellations, spec)
	require.NoError(t, err)
	require.Equal(t, 2, dry.Matching)
	j, err := db.CreateJob(t.Context(), search.Cancellations, spec, bob)
	require.NoError(t, err)
	db.work(t)

	done := db.job(t, j)
	require.Equal(t, search.JobDone, done.State)
	require.Equal(t, 2, done.Counts.Written)
	require.Equal(t, delivery.Cancelled, db.stateOf(t, s.No, calls))
	require.Equal(t, delivery.Cancelled, db.stateOf(t, s.No, ended))
	require.Equal(t, delivery.Pending, db.stateOf(t, s.No, cdr))
	require.Equal(t, 1, db.PendingOf(1))
	require.Equal(t, []int64{s.No}, again)
	db.requireHoursAddUp(t)
}

// Retention keeps the body of what a replay is still to send, and its delivery.
func TestRetentionSparesReplays(t *testing.T) { eachStore(t, testRetentionSparesReplays) }

func testRetentionSparesReplays(t *testing.T) {
	db := withTenants(t)
	s := db.subscribe(t, 1, "")
	replayed, other := db.push(t, event.CDRCall, "a"), db.push(t, event.CDRCall, "b")
	for _, seq := range []int64{replayed, other} {
		db.end(t, s.No, seq, refused503(), delivery.Verdict{State: delivery.Exhausted})
	}
	one := failed()
	one.Deliveries.OrderKey = "a"
	db.replay(t, one, 1)
	require.NoError(t, db.Trim(t.Context(), days(401)))
	require.Equal(t, 1, db.count(t, "bodies WHERE seq = ?", replayed))
	require.Zero(t, db.count(t, "bodies WHERE seq = ?", other))
	require.Len(t, db.endReplays(t, s.No, delivery.Delivered), 1)
}
