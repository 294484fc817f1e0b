package recount

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func read(file string) []byte {
	raw, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return raw
}

func decode(t testing.TB, file string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(read(file), into), file)
}

// example is a worked case of the contract.
type example struct {
	dir      string
	settings settings
	lines    []line
}

var exampleTypes = map[string]string{
	"main_cdr": "cdr.call", "party_cdr": "cdr.party", "main_bot_cdr": "cdr.bot_call", "party_bot_cdr": "cdr.bot_party",
	"agent_status": "agent.status",
}

func examples(t testing.TB) (all []example) {
	t.Helper()
	dirs, err := filepath.Glob("testdata/examples/*/settings.json")
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	for _, d := range dirs {
		e := example{dir: filepath.Dir(d)}
		decode(t, d, &e.settings)
		lines := bufio.NewScanner(bytes.NewReader(read(e.dir + "/pushes.ndjson")))
		for lines.Scan() {
			var push struct {
				Kind string
				Body json.RawMessage
			}
			require.NoError(t, json.Unmarshal(lines.Bytes(), &push))
			require.Contains(t, exampleTypes, push.Kind)
			e.lines = append(e.lines, line{exampleTypes[push.Kind], push.Body})
		}
		all = append(all, e)
	}
	return all
}

// exampleRequest and exampleAnswer are the files of one question.
type exampleRequest struct {
	Report  string
	Headers map[string]string
	Body    json.RawMessage
	Now     int64
}

type exampleAnswer struct {
	HTTPStatus int
	Data       json.RawMessage
	Error      *struct{ Param, Reason string }
}

// each question of the example.
func (e example) each(t *testing.T, f func(t *testing.T, q exampleRequest, want exampleAnswer)) {
	files, err := filepath.Glob(e.dir + "/request-*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3)
	for _, file := range files {
		t.Run(filepath.Base(e.dir)+"/"+filepath.Base(file), func(t *testing.T) {
			var q exampleRequest
			var want exampleAnswer
			decode(t, file, &q)
			decode(t, strings.Replace(file, "request-", "expected-", 1), &want)
			f(t, q, want)
		})
	}
}

// query of an example. It has the forms that examples have.
func (r exampleRequest) query(t testing.TB) query {
	t.Helper()
	var b struct {
		Dimensions, DateType, WeekType                         int
		CallType, AgentReportType, AgentType                   int
		StartDate, StartTime, EndDate, EndTime, CustomerFields string
		CurrPage, PageSize                                     int64
		Agents                                                 string
	}
	require.NoError(t, json.Unmarshal(r.Body, &b))
	at := func(date, clock string) wall {
		extra := wall(0)
		if clock == "24:00" {
			clock, extra = "00:00", day
		}
		c, err := time.Parse("2006-01-02 15:04", date+" "+clock)
		require.NoError(t, err)
		return wallOf(c) + extra
	}
	q := query{
		report: r.Report, zone: r.Headers["timezoneid"], now: r.Now, dimensions: b.Dimensions, dateType: b.DateType,
		weekType: b.WeekType,
		start:    at(b.StartDate, b.StartTime), end: at(b.EndDate, b.EndTime), kind: b.CallType + b.AgentReportType,
		fields: strings.Split(b.CustomerFields, ","), page: b.CurrPage, size: b.PageSize, agentType: max(1, b.AgentType),
		scope: 2,
	}
	if b.Agents != "" {
		require.NoError(t, json.Unmarshal([]byte(b.Agents), &q.only))
	}
	return q
}

// The evaluator gets the numbers that the contract's authors got by hand.
func TestExamplesByHand(t *testing.T) {
	for _, e := range examples(t) {
		e.each(t, func(t *testing.T, r exampleRequest, want exampleAnswer) {
			if want.Error != nil {
				return // this one is about parameters
			}
			q := r.query(t)
			got := evaluate(newWorld(e.lines), configOf("Asia/Singapore", e.settings, directory{}), q)
			require.Equal(t, shown(t, want.Data), got.text(q))
		})
	}
}
