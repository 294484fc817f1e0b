package recount

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Numbers of an answer, as JSON in its shortest form (5.5).

func count(n int) string { return strconv.Itoa(n) }

func seconds(n int64) string { return strconv.FormatInt(n, 10) }

// hundredths is a number with at most two decimals.
func hundredths(n int64) string {
	s := fmt.Sprintf("%d.%02d", n/100, n%100)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func average(sum int64, n int) string {
	if n == 0 {
		return "0"
	}
	return hundredths((200*sum + int64(n)) / (2 * int64(n)))
}

func percent[T int | int64](part, base T) string {
	if base == 0 {
		return "0"
	}
	return hundredths((20000*int64(part) + int64(base)) / (2 * int64(base)))
}

// status time is summed in ms and rounded once.
func status(ms int64) string { return seconds((ms + 500) / 1000) }

func instant(all []int64, best func([]int64) int64) string {
	if len(all) == 0 {
		return "null"
	}
	return seconds(best(all))
}

type records []*record

func (rs records) where(f func(*record) bool) (out records) {
	for _, r := range rs {
		if f(r) {
			out = append(out, r)
		}
	}
	return out
}

func (rs records) sum(f func(*record) int64) (n int64) {
	for _, r := range rs {
		n += f(r)
	}
	return n
}

// distinct texts, "" left out.
func (rs records) distinct(f func(*record) string) int {
	seen := map[string]bool{}
	for _, r := range rs {
		if s := f(r); s != "" {
			seen[s] = true
		}
	}
	return len(seen)
}

func in(n int64, list ...int64) bool { return slices.Contains(list, n) }

func resultIn(list ...int64) func(*record) bool {
	return func(r *record) bool { return in(r.result(), list...) }
}

var (
	answered = resultIn(3)                 // of a party
	taken    = resultIn(4, 5, 6, 7, 8, 21) // of a main CDR: the platform took the call
	reached  = resultIn(8, 21)             // of a main CDR: the customer answered
)

// Symbols of 6.1.

func (c *cell) mainIn() records {
	return records(c.mains).where(func(r *record) bool { return r.code("callType", 0) == 2 })
}

func (c *cell) mainOut() records {
	return records(c.mains).where(func(r *record) bool { return r.code("callType", 0) == 3 })
}
func (c *cell) ans() records { return c.mainOut().where(reached) }
func (c *cell) xs() records {
	return c.ans().where(func(r *record) bool { return r.talk() >= c.cfg.x })
}

func (c *cell) legs(main *record) records { return c.pop.parties[main.text("callID")] }

func (c *cell) agentLegs(main *record) records {
	return c.legs(main).where(func(p *record) bool { return p.role() == 2 && in(p.dialType(), 1, 2, 5) })
}

func (c *cell) otherLegs(main *record) records {
	return c.legs(main).where(func(p *record) bool { return in(p.role(), 4, 5) && in(p.dialType(), 1, 2, 5) })
}

func customer(main *record) string {
	for _, field := range []string{"customerNumber", "screenNumber", "encryptCustomerNumber"} {
		if s := main.text(field); s != "" {
			return s
		}
	}
	return ""
}

// routeKind of an inbound main CDR (5.2); "": none.
func (c *cell) routeKind(main *record) string {
	if !taken(main) {
		return ""
	}
	if id := main.text("firstRouteId"); id != "" {
		if kind, ok := c.cfg.routeKinds[id]; ok {
			return kind
		}
	}
	legs := c.legs(main).where(func(p *record) bool { return p.dialType() == 1 && in(p.role(), 2, 4) })
	if len(legs) > 0 {
		first := slices.MinFunc(legs, func(a, b *record) int {
			if d := a.instant("startTime") - b.instant("startTime"); d != 0 {
				return int(d)
			}
			return strings.Compare(a.text("partyId"), b.text("partyId"))
		})
		if first.role() == 2 {
			return "agent"
		}
		return "thirdPSTN"
	}
	if in(main.result(), 4, 6) {
		return "agent"
	}
	return ""
}

func (c *cell) routed(kind string) int {
	return len(c.mainIn().where(func(m *record) bool { return c.routeKind(m) == kind }))
}

func (c *cell) offered() records {
	return c.mainIn().where(func(m *record) bool { return len(c.agentLegs(m)) > 0 })
}

func (c *cell) wanted() records {
	return c.mainIn().where(func(m *record) bool {
		if is, present := m.boolean("inboundTransferedHumanAgent"); present {
			return is
		}
		return in(m.result(), 4, 6) || len(c.agentLegs(m)) > 0
	})
}

func (c *cell) rang() records {
	return c.mainIn().where(func(m *record) bool { return len(c.agentLegs(m).where(resultIn(2, 3))) > 0 })
}

func (c *cell) human() records {
	return c.mainIn().where(func(m *record) bool { return len(c.agentLegs(m).where(answered)) > 0 })
}

func (c *cell) whoever() records {
	return c.mainIn().where(func(m *record) bool {
		return len(c.agentLegs(m).where(answered)) > 0 || len(c.otherLegs(m).where(answered)) > 0 ||
			m.code("virtualAgentCallDuration",
				0) > 0
	})
}

func (c *cell) agentTalk() int64 {
	return c.mainIn().sum(func(m *record) int64 { return c.agentLegs(m).where(answered).sum((*record).talk) })
}

// Symbols of 6.2.

func (c *cell) partyIn(dialTypes ...int64) records {
	return records(c.parties).where(func(p *record) bool {
		return c.pop.direction(p) == 2 && in(p.dialType(), dialTypes...)
	})
}

func (c *cell) partyOut() records {
	return records(c.parties).where(func(p *record) bool { return c.pop.direction(p) == 3 })
}

func (c *cell) reached() records {
	return c.partyOut().where(func(p *record) bool {
		main := c.pop.mains[p.text("callID")]
		return main != nil && reached(main)
	})
}
func (c *cell) talked() records { return c.reached().where(answered) }
func (c *cell) long() records {
	return c.talked().where(func(p *record) bool { return p.talk() >= c.cfg.x })
}

func calls(rs records) int {
	return rs.distinct(func(p *record) string { return p.text("callID") })
}

// t is logged-in time, in ms.
func (c *cell) t(holds func(state) bool) (ms int64) {
	for s, spent := range c.spent {
		if holds(s) {
			ms += spent
		}
	}
	return ms
}

func anyState(state) bool { return true }

func login(code int64) func(state) bool { return func(s state) bool { return s.login == code } }

func work(codes ...int64) func(state) bool { return func(s state) bool { return in(s.work, codes...) } }

func loginFor(reasons ...int64) func(state) bool {
	return func(s state) bool { return s.login == 2 && in(s.reason, reasons...) }
}

func workFor(reasons ...int64) func(state) bool {
	return func(s state) bool { return s.work == 2 && in(s.reason, reasons...) }
}

// setA and setB are the reasons of settings, as conditions.
func (c *cell) setA(s state) bool { return workFor(c.cfg.a...)(s) }
func (c *cell) setB(s state) bool { return workFor(c.cfg.b...)(s) }

var breaks = []int64{11, 12, 13, 14, 15, 16, 17, 18}

// formulas of the indicators (6), by report and name.
var formulas = map[string]map[string]func(*cell) string{
	"relay":      relayFormulas,
	"agent":      agentFormulas(),
	"department": departmentFormulas(),
}

var relayFormulas = map[string]func(*cell) string{
	"inbound_calls": func(c *cell) string { return count(len(c.mainIn())) },
	"inbound_no_answered_calls": func(c *cell) string {
		return count(len(c.mainIn()) - len(c.mainIn().where(taken)))
	},
	"inbound_answered_calls":               func(c *cell) string { return count(len(c.mainIn().where(taken))) },
	"inbound_route_to_agent_calls":         func(c *cell) string { return count(c.routed("agent")) },
	"inbound_route_to_thirdPSTN_calls":     func(c *cell) string { return count(c.routed("thirdPSTN")) },
	"inbound_route_to_agentMemory_calls":   func(c *cell) string { return count(c.routed("agentMemory")) },
	"inbound_toAgent_calls":                func(c *cell) string { return count(len(c.wanted())) },
	"inbound_offer_agent_calls":            func(c *cell) string { return count(len(c.offered())) },
	"inbound_agent_ring_calls":             func(c *cell) string { return count(len(c.rang())) },
	"inbound_agent_answered_calls":         func(c *cell) string { return count(len(c.whoever())) },
	"inbound_notHumanAgent_answered_calls": func(c *cell) string { return count(len(c.whoever()) - len(c.human())) },
	"inbound_humanAgent_answered_calls":    func(c *cell) string { return count(len(c.human())) },
	"inbound_agentTalk_duration":           func(c *cell) string { return seconds(c.agentTalk()) },
	"inbound_agentTalk_average_duration":   func(c *cell) string { return average(c.agentTalk(), len(c.human())) },
	"inbound_calls_duration":               func(c *cell) string { return seconds(c.mainIn().sum((*record).total)) },
	"inbound_calls_average_duration": func(c *cell) string {
		return average(c.mainIn().sum((*record).total), len(c.mainIn()))
	},

	"outbound_calls":                   func(c *cell) string { return count(len(c.mainOut())) },
	"outbound_customer_numbers":        func(c *cell) string { return count(c.mainOut().distinct(customer)) },
	"outbound_customer_noAnswer_calls": func(c *cell) string { return count(len(c.mainOut()) - len(c.ans())) },
	"outbound_customer_answer_calls":   func(c *cell) string { return count(len(c.ans())) },
	"outbound_answer_gateway_numbers":  func(c *cell) string { return count(c.ans().distinct(customer)) },
	"outbound_answer_ratio":            func(c *cell) string { return percent(len(c.ans()), len(c.mainOut())) },
	"outbound_gateway_numbers_ratio": func(c *cell) string {
		return percent(c.ans().distinct(customer), c.mainOut().distinct(customer))
	},
	"outbound_agentTalkXs_ratio":   func(c *cell) string { return percent(len(c.xs()), len(c.ans())) },
	"outbound_agentTalkXs_calls":   func(c *cell) string { return count(len(c.xs())) },
	"outbound_calls_duration":      func(c *cell) string { return seconds(c.mainOut().sum((*record).total)) },
	"outbound_calls_talk_duration": func(c *cell) string { return seconds(c.ans().sum((*record).talk)) },
	"outbound_calls_average_duration": func(c *cell) string {
		return average(c.ans().sum((*record).talk), len(c.ans()))
	},
	"outbound_effective_inXs_sum_duration": func(c *cell) string { return seconds(c.xs().sum((*record).talk)) },
	"outbound_effective_inXs_average_duration": func(c *cell) string {
		return average(c.xs().sum((*record).talk), len(c.xs()))
	},
}

// departmentFormulas are those over party CDRs, but one.
func departmentFormulas() map[string]func(*cell) string {
	all := partyFormulas()
	delete(all, "inbound_agent_callByAnswer_partits")
	return all
}

func partyFormulas() map[string]func(*cell) string {
	all := map[string]func(*cell) string{}
	// Three rows each: how many, answered, and the rest.
	for _, of := range []struct {
		how, answered, missed string
		dialTypes             []int64
	}{
		{"inbound_agent_partits", "inbound_agent_answer_partits", "inbound_agent_unAnswer_partits", []int64{1, 2, 3}},
		{
			"inbound_agent_ringing_partits", "inbound_agent_ringingAnswer_partits", "inbound_agent_ringingUnAnswer_partits",
			[]int64{1},
		},
		{
			"inbound_agent_transferBy_partits", "inbound_agent_transferByAnswer_partits",
			"inbound_agent_transferByUnAnswer_partits",
			[]int64{2},
		},
		{
			"inbound_agent_consultBy_partits", "inbound_agent_consultByAnswer_partits",
			"inbound_agent_consultByUnAnswer_partits",
			[]int64{3},
		},
	} {
		all[of.how] = func(c *cell) string { return count(len(c.partyIn(of.dialTypes...))) }
		all[of.answered] = func(c *cell) string { return count(len(c.partyIn(of.dialTypes...).where(answered))) }
		all[of.missed] = func(c *cell) string {
			return count(len(c.partyIn(of.dialTypes...)) - len(c.partyIn(of.dialTypes...).where(answered)))
		}
	}
	withCustomer := func(c *cell) records { return c.partyIn(1, 2, 5).where(answered) }
	all["inbound_agent_dialing_partits"] = func(c *cell) string {
		return count(len(c.partyIn(1, 2, 3).where(resultIn(2, 3))))
	}
	all["inbound_agent_callByAnswer_partits"] = func(c *cell) string { return count(len(withCustomer(c))) }
	all["inbound_agentTalk_duration"] = func(c *cell) string { return seconds(withCustomer(c).sum((*record).talk)) }
	all["inbound_agentTalk_average_duration"] = func(c *cell) string {
		return average(withCustomer(c).sum((*record).talk), len(withCustomer(c)))
	}
	all["outbound_calls"] = func(c *cell) string { return count(calls(c.partyOut())) }
	all["outbound_customer_noAnswer_calls"] = func(c *cell) string {
		return count(calls(c.partyOut()) - calls(c.reached()))
	}
	all["outbound_customer_answer_calls"] = func(c *cell) string { return count(calls(c.reached())) }
	all["outbound_answer_ratio"] = func(c *cell) string { return percent(calls(c.reached()), calls(c.partyOut())) }
	all["outbound_agent_effectiveTalkInXs_partits"] = func(c *cell) string { return count(len(c.long())) }
	all["outbound_agent_effectiveTalkInXs_radio"] = func(c *cell) string {
		return percent(len(c.long()), calls(c.reached()))
	}
	all["outbound_calls_duration"] = func(c *cell) string { return seconds(c.partyOut().sum((*record).total)) }
	all["outbound_calls_talk_duration"] = func(c *cell) string { return seconds(c.talked().sum((*record).talk)) }
	all["outbound_calls_average_duration"] = func(c *cell) string {
		return average(c.talked().sum((*record).talk), calls(c.reached()))
	}
	all["outbound_effective_inXs_sum_duration"] = func(c *cell) string { return seconds(c.long().sum((*record).talk)) }
	all["outbound_effective_inXs_average_duration"] = func(c *cell) string {
		return average(c.long().sum((*record).talk), len(c.long()))
	}
	return all
}

func agentFormulas() map[string]func(*cell) string {
	all := partyFormulas()
	duration := func(name string, holds func(*cell) func(state) bool) {
		all[name] = func(c *cell) string { return status(c.t(holds(c))) }
	}
	share := func(name string, holds func(*cell) func(state) bool) {
		all[name] = func(c *cell) string { return percent(c.t(holds(c)), c.t(anyState)) }
	}
	always := func(f func(state) bool) func(*cell) func(state) bool {
		return func(*cell) func(state) bool { return f }
	}
	a := func(c *cell) func(state) bool { return c.setA }
	b := func(c *cell) func(state) bool { return c.setB }

	duration("agent_login_sum_duration", always(anyState))
	duration("agent_online_sum_duration", always(login(1)))
	duration("agent_syslock_sum_duration", always(login(98)))
	duration("agent_busy_sum_duration", always(login(2)))
	duration("agent_DND_sum_duration", always(loginFor(2)))
	duration("agent_rest_sum_duration", always(loginFor(breaks...)))
	duration("agent_readying_sum_duration", always(work(1)))
	duration("agent_busying_sum_duration", always(work(2)))
	duration("agent_acwing_sum_duration", always(work(4)))
	duration("agent_calling_sum_duration", always(work(5, 6, 7, 8)))
	duration("agent_dialing_sum_duration", always(work(5)))
	duration("agent_ringing_sum_duration", always(work(6)))
	duration("agent_talking_sum_duration", always(work(7)))
	duration("agent_helding_sum_duration", always(work(8)))
	duration("agent_DND_busy_duration", always(workFor(2)))
	duration("agent_rest_busy_sum_duration", always(workFor(breaks...)))
	for _, reason := range breaks {
		name := "agent_rest" + strconv.FormatInt(reason, 10)
		duration(name+"_sum_duration", always(loginFor(reason)))
		duration(name+"_busy_sum_duration", always(workFor(reason)))
	}
	duration("workReasonCodeA_sum_duration", a)
	duration("workReasonCodeB_sum_duration", b)

	share("agentOnline_percent", always(login(1)))
	share("agentBusy_percent", always(login(2)))
	share("agentDND_percent", always(loginFor(2)))
	share("agentRest_percent", always(loginFor(breaks...)))
	share("workReady_percent", always(work(1)))
	share("workBusy_percent", always(work(2)))
	share("workinCall_percent", always(work(5, 6, 7, 8)))
	share("workACW_percent", always(work(4)))
	share("workReasonCodeA_percent", a)
	share("workReasonCodeB_percent", b)
	share("agent_DND_busy_sum_duration_radio", always(workFor(2)))
	share("agent_rest_busy_sum_duration_redio", always(workFor(breaks...)))

	all["agentFirstLogin_timestamp"] = func(c *cell) string { return instant(c.logins, slices.Min) }
	all["agentFirstOnline_timestamp"] = func(c *cell) string { return instant(c.readies, slices.Min) }
	all["agentLastLogout_timestamp"] = func(c *cell) string { return instant(c.logouts, slices.Max) }
	return all
}
