package report

import "fmt"

// Indicator is a figure that a report can show. The table below is all there is
// to one: what may be asked for, how it is computed for a row and for the total,
// and what docs/reports.md says of it.
type Indicator struct {
	Name    string // the document's, typos included
	Label   string // the document's, two of them swapped there
	Type    string // the document's
	Unit    Unit
	Meaning string // for people, in one line

	formula formula
}

// Unit of a figure.
type Unit string

// Units.
const (
	Count     Unit = "count"
	Seconds   Unit = "s"
	Percent   Unit = "percent"
	Timestamp Unit = "ms timestamp or null"
)

// Report is one of the three, with what may be asked of it.
type Report struct {
	Name       string
	Title      string
	Indicators []*Indicator

	byName map[string]*Indicator
}

// Indicator of a name; nil: there is none.
func (r *Report) Indicator(name string) *Indicator { return r.byName[name] }

func newReport(name, title string, indicators []*Indicator) *Report {
	r := &Report{Name: name, Title: title, Indicators: indicators, byName: map[string]*Indicator{}}
	for _, i := range indicators {
		r.byName[i.Name] = i
	}
	return r
}

// The reports.
var (
	Relay      = newReport("relay", "Relay Number Report", relayIndicators)
	Agent      = newReport("agent", "Agent Report", append(partyIndicators(true), stateIndicators()...))
	Department = newReport("department", "Department Report", partyIndicators(false))

	// Reports that there are.
	Reports = []*Report{Relay, Agent, Department}
)

const (
	counter  = "Counter"
	duration = "Duration"
	ratio    = "Count"
)

// What is counted of main records.
var (
	inbound  = all(In)
	outbound = all(Out)
	taken    = all(In | Taken)
	ringing  = all(In | Rang)
	byHuman  = all(In | Took)
	answered = all(Out | Reached)
	longTalk = all(Out | Reached | Long)
	byAnyone = and(inbound, some(Took|OtherTook|Virtual))
	wanted   = and(inbound, or(all(Human), and(not(all(NotHuman)), some(Sought|Offered))))

	dialledNumbers  = distinct(outbound)
	answeredNumbers = distinct(answered)
)

var relayIndicators = []*Indicator{
	{"inbound_calls", "Inbound", counter, Count, "inbound calls", value(count(inbound))},
	{"inbound_no_answered_calls", "System Missed", counter, Count, "inbound calls that the platform never took: any other result than the next row's", value(count(and(inbound, not(all(Taken)))))},
	{"inbound_answered_calls", "System Answer", counter, Count, "inbound calls that the platform took: callResult 4, 5, 6, 7, 8 or 21", value(count(taken))},
	{"inbound_route_to_agent_calls", "Routing Agents", counter, Count, "inbound calls whose first route leads to agents", value(count(all(In | ToAgent)))},
	{"inbound_route_to_thirdPSTN_calls", "Routing 3rd-Party Numbers", counter, Count, "inbound calls whose first route leads to a third party's number", value(count(all(In | ToThird)))},
	{"inbound_route_to_agentMemory_calls", "Routing Outbound Agent Memories", counter, Count, "inbound calls whose first route leads to the agent who called the customer before, as the setting routeKinds says", value(count(all(In | ToMemory)))},
	{"inbound_toAgent_calls", "Trans-to-Agent", counter, Count, "inbound calls that wanted a human agent, found or not", value(count(wanted))},
	{"inbound_offer_agent_calls", "Calls to Agent", counter, Count, "inbound calls for which an agent was called", value(count(all(In | Offered)))},
	{"inbound_agent_ring_calls", "Dialing", counter, Count, "inbound calls for which an agent's phone rang", value(count(ringing))},
	{"inbound_agent_answered_calls", "Answered", counter, Count, "inbound calls answered by a human agent, a bot, a third party's number or a system", value(count(byAnyone))},
	{"inbound_notHumanAgent_answered_calls", "Non-Agent Answer", counter, Count, "inbound calls answered, but by no human agent", value(minus(count(byAnyone), count(byHuman)))},
	{"inbound_humanAgent_answered_calls", "Agent Answer", counter, Count, "inbound calls that a human agent answered", value(count(byHuman))},
	{"inbound_agentTalk_duration", "Talk Duration", duration, Seconds, "talk of agents with the customers of inbound calls, hold included, inquiries not", value(sum(agentTalk, inbound))},
	{"inbound_agentTalk_average_duration", "ATT", duration, Seconds, "Talk Duration per inbound call that a human agent answered", averageOf(sum(agentTalk, inbound), count(byHuman))},
	{"inbound_calls_duration", "Call Time", duration, Seconds, "inbound calls from start to hang-up, answered or not", value(sum(total, inbound))},
	{"inbound_calls_average_duration", "ACT", duration, Seconds, "Call Time per inbound call", averageOf(sum(total, inbound), count(inbound))},
	{"outbound_calls", "Outbound No.", counter, Count, "outbound calls", value(count(outbound))},
	{"outbound_customer_numbers", "Outbound Phone Nos.", counter, Count, "different customer numbers that were called", value(dialledNumbers)},
	{"outbound_customer_noAnswer_calls", "Missed", counter, Count, "outbound calls that the customer did not answer", value(minus(count(outbound), count(answered)))},
	{"outbound_customer_answer_calls", "Answered", counter, Count, "outbound calls that the customer answered: callResult 8 or 21", value(count(answered))},
	{"outbound_answer_gateway_numbers", "Phone No. Answer", counter, Count, "different customer numbers that answered", value(answeredNumbers)},
	{"outbound_answer_ratio", "Answer %", ratio, Percent, "answered outbound calls in outbound calls", percentOf(count(answered), count(outbound))},
	{"outbound_gateway_numbers_ratio", "No. Answering %", ratio, Percent, "customer numbers that answered in those that were called", percentOf(answeredNumbers, dialledNumbers)},
	{"outbound_agentTalkXs_ratio", "Xs Talk", ratio, Percent, "answered outbound calls with at least xsSeconds of talk in those answered", percentOf(count(longTalk), count(answered))},
	{"outbound_agentTalkXs_calls", "Xs Talk %", counter, Count, "answered outbound calls with at least xsSeconds of talk", value(count(longTalk))},
	{"outbound_calls_duration", "Call Time", duration, Seconds, "outbound calls from start to hang-up, answered or not", value(sum(total, outbound))},
	{"outbound_calls_talk_duration", "Talk Duration", duration, Seconds, "talk of the customers of answered outbound calls", value(sum(talk, answered))},
	{"outbound_calls_average_duration", "ATT", duration, Seconds, "Talk Duration per answered outbound call", averageOf(sum(talk, answered), count(answered))},
	{"outbound_effective_inXs_sum_duration", "Xs Talk Duration", duration, Seconds, "talk of the outbound calls with at least xsSeconds of it", value(sum(talk, longTalk))},
	{"outbound_effective_inXs_average_duration", "Xs ATT", duration, Seconds, "Xs Talk Duration per such call", averageOf(sum(talk, longTalk), count(longTalk))},
}

// partyIndicators of the agent report, or of the department report, which lacks one.
func partyIndicators(ofAgents bool) []*Indicator {
	var (
		called   = and(inbound, some(Direct|Transfer|Inquiry))
		took     = and(called, all(Took))
		rang     = and(called, all(Rang))
		customer = and(inbound, some(Direct|Transfer|TakeAway), all(Took))
		talked   = all(Out | Reached | Took)
		long     = all(Out | Reached | Took | Long)
		placed   = distinct(outbound)
		reached  = distinct(answered)
	)
	of := func(dial Flags) *number { return count(all(In | dial)) }
	tookOf := func(dial Flags) *number { return count(all(In | dial | Took)) }
	list := []*Indicator{
		{"inbound_agent_partits", "Calling Agent", counter, Count, "times an agent was called: directly, by transfer, for an inquiry", value(count(called))},
		{"inbound_agent_answer_partits", "Answered Call of Agent", counter, Count, "times an agent who was called answered", value(count(took))},
		{"inbound_agent_unAnswer_partits", "Missed Inbound Calls", counter, Count, "times an agent who was called did not answer: missed or failed", value(minus(count(called), count(took)))},
		{"inbound_agent_ringing_partits", "Direct Calls", counter, Count, "times an agent was called directly", value(of(Direct))},
		{"inbound_agent_ringingAnswer_partits", "Direct Answered", counter, Count, "direct calls that the agent answered", value(tookOf(Direct))},
		{"inbound_agent_dialing_partits", "Dialing Inbound Calls", counter, Count, "times an agent's phone rang: Calling Agent without those that failed", value(count(rang))},
		{"inbound_agent_ringingUnAnswer_partits", "Missed Direct Calls", counter, Count, "direct calls that the agent did not answer", value(minus(of(Direct), tookOf(Direct)))},
		{"inbound_agent_transferBy_partits", "Trans-to-Agent", counter, Count, "transfers to the agent", value(of(Transfer))},
		{"inbound_agent_transferByAnswer_partits", "Trans-to-Agent Answer", counter, Count, "transfers that the agent answered", value(tookOf(Transfer))},
		{"inbound_agent_transferByUnAnswer_partits", "Trans-to-Agent Missed", counter, Count, "transfers that the agent did not answer", value(minus(of(Transfer), tookOf(Transfer)))},
		{"inbound_agent_consultBy_partits", "Agent Inquiry Calls", counter, Count, "inquiries to the agent", value(of(Inquiry))},
		{"inbound_agent_consultByAnswer_partits", "Answered Inquiry Calls", counter, Count, "inquiries that the agent answered", value(tookOf(Inquiry))},
		{"inbound_agent_consultByUnAnswer_partits", "Missed Inquiry Calls", counter, Count, "inquiries that the agent did not answer", value(minus(of(Inquiry), tookOf(Inquiry)))},
		{"inbound_agent_callByAnswer_partits", "Agent Answer", counter, Count, "times the agent came to talk with a customer: direct, by transfer, by taking away", value(count(customer))},
		{"inbound_agentTalk_duration", "Talk Duration", duration, Seconds, "talk with customers of inbound calls; inquiries left out", value(sum(talk, customer))},
		{"inbound_agentTalk_average_duration", "ATT", duration, Seconds, "Talk Duration per time an agent came to talk with a customer", averageOf(sum(talk, customer), count(customer))},
		{"outbound_calls", "Outbound Call", counter, Count, "outbound calls that were placed, each once however many agents were in it", value(placed)},
		{"outbound_customer_noAnswer_calls", "Missed", counter, Count, "placed calls that the customer did not answer", value(minus(placed, reached))},
		{"outbound_customer_answer_calls", "Answer Times", counter, Count, "placed calls that the customer answered, as the main record says", value(reached)},
		{"outbound_answer_ratio", "Answered Outbound Call%", ratio, Percent, "answered calls in placed calls", percentOf(reached, placed)},
		{"outbound_agent_effectiveTalkInXs_partits", "Xs Talk", counter, Count, "talks with customers of placed calls of at least xsSeconds", value(count(long))},
		{"outbound_agent_effectiveTalkInXs_radio", "Xs Talk %", ratio, Percent, "Xs Talk in answered calls; may exceed 100", percentOf(count(long), reached)},
		{"outbound_calls_duration", "Call Time", duration, Seconds, "placed calls on the agent's side from start to hang-up, answered or not", value(sum(total, outbound))},
		{"outbound_calls_talk_duration", "Talk Duration", duration, Seconds, "talk with customers of placed calls", value(sum(talk, talked))},
		{"outbound_calls_average_duration", "ATT", duration, Seconds, "Talk Duration per answered call", averageOf(sum(talk, talked), reached)},
		{"outbound_effective_inXs_sum_duration", "Xs Talk Time", duration, Seconds, "talk of the talks of at least xsSeconds", value(sum(talk, long))},
		{"outbound_effective_inXs_average_duration", "Xs ATT", duration, Seconds, "Xs Talk Time per such talk", averageOf(sum(talk, long), count(long))},
	}
	if ofAgents {
		return list
	}
	var without []*Indicator
	for _, i := range list {
		if i.Name != "inbound_agent_callByAnswer_partits" {
			without = append(without, i)
		}
	}
	return without
}

// stateIndicators are what the agent report says of the agents' states. All
// percents have the Total Login Duration as their base.
func stateIndicators() (list []*Indicator) {
	var (
		login   = timeIn(some(Online | Busy | Locked))
		busy    = all(Busy)
		dnd     = and(busy, reason(2, 2))
		rest    = and(busy, reason(11, 18))
		inCall  = or(work(5), work(6), work(7), work(8))
		idle    = work(2)
		idleDND = and(idle, reason(2, 2))
		idleOff = and(idle, reason(11, 18))
		idleA   = and(idle, all(InA))
		idleB   = and(idle, all(InB))
	)
	time := func(name, label, meaning string, w where) {
		list = append(list, &Indicator{name, label, duration, Seconds, meaning, secondsOf(timeIn(w))})
	}
	share := func(name, label, meaning string, w where) {
		list = append(list, &Indicator{name, label, ratio, Percent, meaning, percentOf(timeIn(w), login)})
	}
	at := func(name, label, meaning string, i int) {
		list = append(list, &Indicator{name, label, duration, Timestamp, meaning, instantOf(i)})
	}
	time("agent_login_sum_duration", "Total Login Duration", "logged in: online, occupied or locked", login.where)
	time("agent_online_sum_duration", "Login Online Duration", "login status online", all(Online))
	time("agent_syslock_sum_duration", "System Locked Duration", "login status locked by the system", all(Locked))
	time("agent_busy_sum_duration", "DND & Break Duration", "login status occupied, for whatever reason", busy)
	time("agent_DND_sum_duration", "DND Duration", "login status occupied because of do not disturb, calls meanwhile included", dnd)
	time("agent_rest_sum_duration", "Total Break Duration", "login status occupied because of a break (reasons 11 to 18)", rest)
	for r := int64(11); r <= 18; r++ {
		time(fmt.Sprintf("agent_rest%d_sum_duration", r), fmt.Sprintf("Break %d Duration", r), fmt.Sprintf("login status occupied because of %s", breaks[r-11]), and(busy, reason(r, r)))
	}
	time("agent_readying_sum_duration", "Ready Duration", "work status ready", work(1))
	time("agent_busying_sum_duration", "Occupied Duration", "work status occupied: not in a call, not ready", idle)
	time("agent_acwing_sum_duration", "Sorting Duration", "work status sorting, after a call", work(4))
	time("agent_calling_sum_duration", "Total In-Call Duration", "work status calling, ringing, talking or holding", inCall)
	time("agent_dialing_sum_duration", "Calling Duration", "work status calling: the agent calls", work(5))
	time("agent_ringing_sum_duration", "Dialing Duration", "work status ringing: the agent's phone rings", work(6))
	time("agent_talking_sum_duration", "Talking Duration", "work status talking", work(7))
	time("agent_helding_sum_duration", "Holding Duration", "work status holding", work(8))
	time("agent_DND_busy_duration", "DND Busying Duration", "work status occupied because of do not disturb, calls meanwhile left out", idleDND)
	time("agent_rest_busy_sum_duration", "Total Break Busying Duration", "work status occupied because of a break (reasons 11 to 18)", idleOff)
	for r := int64(11); r <= 18; r++ {
		time(fmt.Sprintf("agent_rest%d_busy_sum_duration", r), fmt.Sprintf("Break %d Busying Duration", r), fmt.Sprintf("work status occupied because of %s", breaks[r-11]), and(idle, reason(r, r)))
	}
	share("agentOnline_percent", "Online Duration %", "Login Online Duration in the time logged in", all(Online))
	share("agentBusy_percent", "DND & Break Duration %", "DND & Break Duration in the time logged in", busy)
	share("agentDND_percent", "DND Duration %", "DND Duration in the time logged in", dnd)
	share("agentRest_percent", "Total Break Duration %", "Total Break Duration in the time logged in", rest)
	share("workReady_percent", "Ready Duration %", "Ready Duration in the time logged in", work(1))
	share("workBusy_percent", "Busy Duration %", "Occupied Duration in the time logged in", idle)
	share("workinCall_percent", "Total In-Call Duration %", "Total In-Call Duration in the time logged in", inCall)
	share("workACW_percent", "Sorting Duration %", "Sorting Duration in the time logged in", work(4))
	time("workReasonCodeA_sum_duration", "Work Occupied Time A", "work status occupied for a reason of reasonCodesA: occupied, but at work", idleA)
	time("workReasonCodeB_sum_duration", "Work Occupied Time B", "work status occupied for a reason of reasonCodesB: away", idleB)
	share("workReasonCodeA_percent", "Work Occupied % A", "Work Occupied Time A in the time logged in", idleA)
	share("workReasonCodeB_percent", "Work Occupied % B", "Work Occupied Time B in the time logged in", idleB)
	share("agent_DND_busy_sum_duration_radio", "DND Busying Duration %", "DND Busying Duration in the time logged in", idleDND)
	share("agent_rest_busy_sum_duration_redio", "Total Break Busying Duration %", "Total Break Busying Duration in the time logged in", idleOff)
	at("agentFirstLogin_timestamp", "First Login Time", "the first time that the agent logged in", firstLogin)
	at("agentFirstOnline_timestamp", "First Ready Time", "the first time that the agent became ready, being online", firstReady)
	at("agentLastLogout_timestamp", "Last Logout Time", "the last time that the agent logged out", lastLogout)
	return list
}

// breaks are what the reasons from 11 on mean.
var breaks = [...]string{
	"a break (11)", "training (12)", "a meeting (13)", "dining (14)", "activity (15)", "custom reason 1 (16)", "custom reason 2 (17)", "custom reason 3 (18)",
}
