package hub_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// oddIDs are ids that events may have and that paths have to escape.
var oddIDs = []string{
	"PJSIP/1001", "a/b/c", "/", "a b", "100%", "a%2Fb", "%", "a%zz", "sip:4915112345678@pbx.example;tag=7", "a+b", "a?b=c",
	"a#b",
	"a|b", "a&b", `a"b\c`, "Müller", ".", "..", "a.b", "../x", "a;b", "a:b", ":id", "*", "電話", "a\u00a0b",
}

// segment escapes an id as clients do; dots alone too, which they would resolve.
func segment(id string) string {
	if strings.Trim(id, ".") == "" {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return strings.ReplaceAll(url.PathEscape(id), "+", "%2B")
}

// Every id reaches the handler as it is, whatever its characters are.
func TestIDsInPaths(t *testing.T) {
	h := hubtest.Start(t)
	for _, id := range oddIDs {
		path := "/v1/directory/agents/" + segment(id)
		put := h.Do("PUT", path, h.Owner, `{"agentName":"Ann"}`)
		require.Equal(t, 200, put.Status, "%q: %s", id, put.Body)
		require.Equal(t, id, put.JSON(t)["agentUUID"])
		require.Equal(t, id, h.Do("GET", path, h.Owner, nil).JSON(t)["agentUUID"])
		require.Equal(t, 200, h.Do("GET", "/v1/directory/agents/%20"+segment(id)+"%09", h.Owner, nil).Status,
			"%q: read as events read it", id)

		recording := "/v1/recordings/" + segment(id)
		put = h.Do("PUT", recording, h.Owner, "sound of "+id, "Content-Type", "audio/mpeg")
		require.Equal(t, 200, put.Status, "%q: %s", id, put.Body)
		require.Equal(t, id, put.JSON(t)["id"])
		link, err := url.Parse(put.JSON(t)["recordUrl"].(string))
		require.NoError(t, err)
		for _, at := range []string{recording, link.EscapedPath()} {
			if strings.Trim(id, ".") == "" && at != recording {
				continue // a client resolves dots that are not escaped
			}
			got := h.Do("GET", at, h.Owner, nil)
			require.Equal(t, 200, got.Status, "%q at %s: %s", id, at, got.Body)
			require.Equal(t, "sound of "+id, string(got.Body))
		}

		// The audit log names the decoded id.
		for p, object := range map[string]string{path: "directory/agents/" + id, recording: "recording/" + id} {
			require.Equal(t, 204, h.Do("DELETE", p, h.Owner, nil).Status, "%q", id)
			require.Equal(t, 404, h.Do("GET", p, h.Owner, nil).Status, "%q", id)
			rows := h.Do("GET", "/v1/audit?limit=1", h.Owner, nil).JSON(t)["data"].([]any)
			require.Equal(t, object, rows[0].(map[string]any)["object"])
		}
	}
}

// A vendor's routes take ids in the same way.
func TestIDsInPathsOfVendors(t *testing.T) {
	h := hubtest.Start(t)
	record := func(typ, id string) string {
		data := map[string]any{"callID": id, "startTime": 1637068256419}
		if typ == "cdr.party" {
			data["partyId"] = "party of " + id
		}
		raw, err := json.Marshal(map[string]any{"type": typ, "data": data})
		require.NoError(t, err)
		return string(raw)
	}
	for _, id := range oddIDs {
		h.Send(record("cdr.call", id), record("cdr.party", id))
	}
	for _, id := range oddIDs {
		got := h.Do("GET", "/callservice/tm/tm-reports/maincdrs/"+segment(id)+"/partycdrs", h.Owner, nil)
		require.Equal(t, 200, got.Status, "%q: %s", id, got.Body)
		require.Contains(t, string(got.Body), "party of ", "%q", id)
	}
}

func TestMalformedPaths(t *testing.T) {
	h := hubtest.Start(t)
	for target, status := range map[string]int{
		"/v1/directory/agents/a%":        http.StatusBadRequest,
		"/v1/directory/agents/a%4":       http.StatusBadRequest,
		"/v1/directory/agents/a%zz":      http.StatusBadRequest,
		"/v1/directory/agents/%ff":       http.StatusBadRequest,
		"/v1/directory/agents/%00":       http.StatusBadRequest,
		"/v1/events/%C3%28":              http.StatusBadRequest,
		"/v1/directory/agents/a%2Fb":     http.StatusNotFound,
		"/v1/directory/agents%2Fa":       http.StatusNotFound,
		"/v1%2Fdirectory/agents/a":       http.StatusNotFound,
		"/%761/directory/%61gents":       http.StatusOK,
		"/v1/directory/agents/a/b":       http.StatusNotFound,
		"/v4/livechat/realtime%2Fagents": http.StatusNotFound,
		"/v4%2Flivechat/realtime/agents": http.StatusNotFound,
		"/v4/livechat/realtime/%61gents": http.StatusOK,
		"/V4/LiveChat/realtime/agents/":  http.StatusOK,
		"/v4/livechat/realtime/%ff":      http.StatusBadRequest,
	} {
		require.Equal(t, status, raw(t, h, target), target)
	}
}

// raw makes a request with a target that http.Client would not send.
func raw(t *testing.T, h *hubtest.Hub, target string) int {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n",
		target, h.Owner)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}
