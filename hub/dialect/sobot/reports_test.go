package sobot_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// examples are the worked cases of the contract.
const examples = "../../report/recount/testdata/examples"

var reportPaths = map[string]string{
	"relay": tm + "/gateway-number-table/_search", "agent": tm + "/agent-table/_search", "department": tm +
		"/depart-table/_search",
}

// The worked examples, through the API.
func TestWorkedExamples(t *testing.T) {
	hubtest.Each(t, testWorkedExamples, testClock)
}

func testWorkedExamples(t *testing.T, h *hubtest.Hub) {
	folders, err := filepath.Glob(examples + "/[0-9]*")
	require.NoError(t, err)
	require.Len(t, folders, 3)
	asked := 0
	for i, folder := range folders {
		company := "example-" + strconv.Itoa(i)
		key := tenant(t, h, company)
		loadExample(t, h, key, company, folder)
		requests, err := filepath.Glob(folder + "/request-*.json")
		require.NoError(t, err)
		for _, file := range requests {
			askExample(t, h, key, file)
			asked++
		}
	}
	require.Equal(t, 10, asked)
	h.Rebuild("reports")
	for i, folder := range folders {
		requests, err := filepath.Glob(folder + "/request-*.json")
		require.NoError(t, err)
		for _, file := range requests {
			askExample(t, h, newKey(t, h, "example-"+strconv.Itoa(i), "query"), file)
		}
	}
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, v), file)
}

func loadExample(t *testing.T, h *hubtest.Hub, key, company, folder string) {
	t.Helper()
	var settings map[string]any
	readJSON(t, folder+"/settings.json", &settings)
	delete(settings, "companyId")
	a := h.Do("PATCH", "/v1/tenants/"+company, hubtest.PlatformKey, map[string]any{"settings": settings})
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	raw, err := os.ReadFile(folder + "/pushes.ndjson")
	require.NoError(t, err)
	types := map[string]string{"main_cdr": "cdr.call", "party_cdr": "cdr.party", "agent_status": "agent.status"}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var push struct {
			Kind string
			Body map[string]any
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &push))
		delete(push.Body, "companyId")
		a := h.Do("POST", "/v1/events", key, map[string]any{"type": types[push.Kind], "data": push.Body})
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
}

func askExample(t *testing.T, h *hubtest.Hub, key, file string) {
	t.Helper()
	var request struct {
		Report  string
		Headers map[string]string
		Body    map[string]any
		Now     int64
	}
	readJSON(t, file, &request)
	var expected struct {
		HTTPStatus int
		Data       any
		Error      *struct{ Param, Reason string }
	}
	readJSON(t, strings.Replace(file, "request-", "expected-", 1), &expected)
	headers := []string{"X-Hookline-Now", strconv.FormatInt(request.Now, 10)}
	for name, value := range request.Headers {
		headers = append(headers, name, value)
	}
	a := h.Do("POST", reportPaths[request.Report], key, request.Body, headers...)
	require.Equal(t, expected.HTTPStatus, a.Status, "%s: %s", file, a.Body)
	got := a.JSON(t)
	if expected.Error != nil {
		require.Equal(t, expected.Error.Reason, got["reason"], file)
		require.True(t, strings.HasPrefix(got["message"].(string), expected.Error.Param+":"), "%s: %s", file, a.Body)
		return
	}
	require.Equal(t, expected.Data, got["data"], "%s", file)
}
