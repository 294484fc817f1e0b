package recount

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// member of a JSON object: its name, and its value in the shortest form.
type member struct{ name, value string }

// object reads one, its members in their order.
func object(t testing.TB, raw []byte) (all []member) {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, err := d.Token()
	require.NoError(t, err, "%s", raw)
	require.Equal(t, json.Delim('{'), open, "%s", raw)
	for d.More() {
		name, err := d.Token()
		require.NoError(t, err, "%s", raw)
		var value json.RawMessage
		require.NoError(t, d.Decode(&value), "%s", raw)
		all = append(all, member{name.(string), string(value)})
	}
	return all
}

// numbers of an answer have at most two decimals and no exponent (5.5).
var numbers = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]{1,2})?$`)

// plain is a value as text: a number in its shortest form, for 66.5 = 66.50.
func plain(t testing.TB, m member) string {
	if m.value[0] == '"' || m.value == "null" {
		var s any
		require.NoError(t, json.Unmarshal([]byte(m.value), &s))
		out, err := json.Marshal(s)
		require.NoError(t, err)
		return string(out)
	}
	require.Regexp(t, numbers, m.value, "%s", m.name)
	if whole, fraction, ok := strings.Cut(m.value, "."); ok {
		require.True(t, fractional[m.name], "%s: %s has no decimals", m.name, m.value)
		return strings.TrimSuffix(whole+"."+strings.TrimRight(fraction, "0"), ".")
	}
	return m.value
}

func text(t testing.TB, all []member) string {
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = m.name + "=" + plain(t, m)
	}
	return strings.Join(parts, " ")
}

// shown is the data of an answer as text, a row a line.
func shown(t testing.TB, raw []byte) string {
	t.Helper()
	var out strings.Builder
	for _, m := range object(t, raw) {
		switch m.name {
		case "metric":
			var rows []json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(m.value), &rows))
			require.NotNil(t, rows, "metric is an array, also when it is empty")
			for _, r := range rows {
				fmt.Fprintln(&out, text(t, object(t, r)))
			}
		case "amount":
			fmt.Fprintln(&out, "amount:", text(t, object(t, []byte(m.value))))
		default:
			fmt.Fprintln(&out, m.name+":", m.value)
		}
	}
	return out.String()
}

// text is the data that should be answered, in the same way.
func (a answer) text(q query) string {
	var out strings.Builder
	line := func(r row) string {
		var parts []string
		for _, k := range r.keys {
			v, _ := json.Marshal(k[1])
			parts = append(parts, k[0]+"="+string(v))
		}
		for i, name := range q.fields {
			parts = append(parts, name+"="+r.value[i])
		}
		return strings.Join(parts, " ")
	}
	for _, r := range a.rows {
		fmt.Fprintln(&out, line(r))
	}
	fmt.Fprintln(&out, "amount:", line(a.amount))
	fmt.Fprintf(&out, "total: %d\ncurrPage: %d\npageSize: %d\n", a.total, q.page, q.size)
	return out.String()
}

// indicator as the contract's catalogue has it.
type indicator struct {
	Report, Name, Unit, Aggregate, Family string
}

// catalogue of the contract, which of its names have decimals, and the family
// (inbound, outbound, status) of report and name.
var catalogue, fractional, familyOf = func() ([]indicator, map[string]bool, map[string]string) {
	var file struct{ Indicators []indicator }
	if err := json.Unmarshal(read("testdata/indicators.json"), &file); err != nil {
		panic(err)
	}
	decimals, families := map[string]bool{}, map[string]string{}
	for _, i := range file.Indicators {
		families[i.Report+" "+i.Name] = i.Family
		if i.Unit == "percent" || i.Aggregate == "average" {
			decimals[i.Name] = true
		}
	}
	return file.Indicators, decimals, families
}()

// names of a report's indicators, as they stand in the catalogue.
func names(report string) (all []string) {
	for _, i := range catalogue {
		if i.Report == report {
			all = append(all, i.Name)
		}
	}
	return all
}

// The evaluator knows the indicators of the catalogue, and no others.
func TestFormulas(t *testing.T) {
	n := 0
	for report, all := range formulas {
		var known []string
		for name := range all {
			known = append(known, name)
		}
		require.ElementsMatch(t, names(report), known)
		n += len(known)
	}
	require.Equal(t, 132, n)
	require.Len(t, catalogue, n)
}

// identities of the contract (9) over the values of one row or of amount.
// A value that was not asked for makes its identities hold.
func identities(t testing.TB, report string, values map[string]string, what string) {
	t.Helper()
	// all of names, as whole numbers; false: one was not asked for.
	get := func(names []string) (sum int64, ok bool) {
		for _, name := range names {
			v, asked := values[name]
			if !asked {
				return 0, false
			}
			n, err := strconv.ParseInt(v, 10, 64)
			require.NoError(t, err, "%s of %s", name, what)
			sum += n
		}
		return sum, true
	}
	compare := func(holds func(a, b int64) bool, sign string, left, right []string) {
		a, ok := get(left)
		b, too := get(right)
		if ok && too && !holds(a, b) {
			require.Fail(t, "identity", "%s: %v = %d %s %v = %d does not hold", what, left, a, sign, right, b)
		}
	}
	equal := func(one string, sum ...string) {
		compare(func(a, b int64) bool { return a == b }, "=", []string{one}, sum)
	}
	atMost := func(sum []string, one string) {
		compare(func(a, b int64) bool { return a <= b }, "<=", sum, []string{one})
	}
	equal("outbound_calls", "outbound_customer_answer_calls", "outbound_customer_noAnswer_calls")
	if report == "relay" {
		equal("inbound_calls", "inbound_no_answered_calls", "inbound_answered_calls")
		equal("inbound_agent_answered_calls", "inbound_notHumanAgent_answered_calls", "inbound_humanAgent_answered_calls")
		atMost([]string{
			"inbound_route_to_agent_calls", "inbound_route_to_thirdPSTN_calls", "inbound_route_to_agentMemory_calls",
		},
			"inbound_answered_calls")
		atMost([]string{"inbound_humanAgent_answered_calls"}, "inbound_agent_ring_calls")
		atMost([]string{"inbound_agent_ring_calls"}, "inbound_offer_agent_calls")
		return
	}
	equal("inbound_agent_partits", "inbound_agent_answer_partits", "inbound_agent_unAnswer_partits")
	equal("inbound_agent_partits", "inbound_agent_ringing_partits", "inbound_agent_transferBy_partits",
		"inbound_agent_consultBy_partits")
	equal("inbound_agent_answer_partits", "inbound_agent_ringingAnswer_partits", "inbound_agent_transferByAnswer_partits",
		"inbound_agent_consultByAnswer_partits")
	equal("inbound_agent_unAnswer_partits", "inbound_agent_ringingUnAnswer_partits",
		"inbound_agent_transferByUnAnswer_partits", "inbound_agent_consultByUnAnswer_partits")
	atMost([]string{"inbound_agent_answer_partits"}, "inbound_agent_dialing_partits")
	atMost([]string{"inbound_agent_dialing_partits"}, "inbound_agent_partits")
	if report == "agent" {
		// Each term is rounded, so a sum of n may be n/2 s off, and its total half a second.
		near := func(one string, sum ...string) {
			compare(func(a, b int64) bool { d := 2 * (a - b); return max(d, -d) <= int64(len(sum)+1) }, "~", []string{one}, sum)
		}
		near("agent_login_sum_duration", "agent_online_sum_duration", "agent_busy_sum_duration", "agent_syslock_sum_duration")
		near("agent_calling_sum_duration", "agent_dialing_sum_duration", "agent_ringing_sum_duration",
			"agent_talking_sum_duration", "agent_helding_sum_duration")
		var rest, busy []string
		for _, r := range breaks {
			rest = append(rest, fmt.Sprintf("agent_rest%d_sum_duration", r))
			busy = append(busy, fmt.Sprintf("agent_rest%d_busy_sum_duration", r))
		}
		near("agent_rest_sum_duration", rest...)
		near("agent_rest_busy_sum_duration", busy...)
	}
}

// exactly checks the status identities of a cell before rounding (9).
func exactly(t testing.TB, c *cell) {
	t.Helper()
	require.Equal(t, c.t(anyState), c.t(login(1))+c.t(login(2))+c.t(login(98)))
	require.Equal(t, c.t(work(5, 6, 7, 8)), c.t(work(5))+c.t(work(6))+c.t(work(7))+c.t(work(8)))
	var rest, busy int64
	for _, r := range breaks {
		rest += c.t(loginFor(r))
		busy += c.t(workFor(r))
	}
	require.Equal(t, c.t(loginFor(breaks...)), rest)
	require.Equal(t, c.t(workFor(breaks...)), busy)
}

// additive indicators of dimension 1 add up to amount (9): counts and sums over
// CDRs, but not what counts distinct calls or numbers.
func (i indicator) additive() bool {
	return (i.Aggregate == "count" || i.Aggregate == "sum") && i.Family != "status"
}

// addsUp holds all rows of a dimension 1 against amount.
func addsUp(t testing.TB, report string, rows []map[string]string, amount map[string]string) {
	t.Helper()
	for _, i := range catalogue {
		want, asked := amount[i.Name]
		if i.Report != report || !asked || !i.additive() {
			continue
		}
		var sum int64
		for _, r := range rows {
			n, err := strconv.ParseInt(r[i.Name], 10, 64)
			require.NoError(t, err, i.Name)
			sum += n
		}
		require.Equal(t, want, strconv.FormatInt(sum, 10), "%s of the rows of dimension 1 and of amount", i.Name)
	}
}

func valuesOf(q query, r row) map[string]string {
	m := map[string]string{}
	for i, name := range q.fields {
		m[name] = r.value[i]
	}
	return m
}
