package sobot_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares an answer with a file, which has it over several lines.
func golden(t *testing.T, name string, a hubtest.Answer) {
	t.Helper()
	require.Equal(t, "application/json;charset=utf-8", a.Header.Get("Content-Type"))
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, a.Body, "", "  "), "%s", a.Body)
	got.WriteByte('\n')
	if *update {
		require.NoError(t, os.WriteFile("testdata/"+name, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String(), name)
}

// The document's examples, made valid JSON: the records are sent as they stand
// there, blanks, texts for numbers and all, and asked for. The answers have the
// examples' values and every field of table and examples.
func TestDocumentExamples(t *testing.T) { eachStore(t, testDocumentExamples) }

func testDocumentExamples(t *testing.T, h *hubtest.Hub) {
	const company, call = "825072edbd914f47aa8704de02f1cdb6", "6bf3cbb167a14c7521993665adba687b"
	key := tenant(t, h, company)
	for file, typ := range map[string]string{"main.json": "cdr.call", "party.json": "cdr.party"} {
		body, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		a := h.Do("POST", "/v1/events/"+typ, key, body)
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	for _, prefix := range []string{tm, v6} {
		search := `{"startTime": 1637068156419, "endTime": 1637068156420, "pageNum": 1, "pageSize": 15}`
		golden(t, "s1.json", h.Do("POST", prefix+"/maincdrs/_search", key, search, "timezoneid", "Asia/Singapore"))
		golden(t, "s2.json", h.Do("GET", prefix+"/maincdrs/"+call+"/partycdrs", key, nil))
		golden(t, "s3.json", h.Do("POST", prefix+"/cdrs/_search", key, `{"callID": " `+call+` "}`))
		golden(t, "s3-masked.json", h.Do("POST", prefix+"/cdrs/_search", key, `{"callID": "`+call+`", "hideNumber": "1"}`))
	}
	// A record with nothing but its ids shows how each field looks when absent.
	h.Do("POST", "/v1/events", key,
		`[{"type": "cdr.call", "data": {"callID": "bare", "startTime": 1}}, {"type": "cdr.party", "data": {"callID": "bare", "partyId": "p"}}]`)
	golden(t, "bare.json", h.Do("POST", tm+"/cdrs/_search", key, `{"callID": "bare"}`))
	golden(t, "empty.json",
		h.Do("POST", tm+"/maincdrs/_search", key, `{"startTime": 10, "endTime": 20, "pageNum": 1, "pageSize": 15}`))
	golden(t, "unknown.json", h.Do("GET", tm+"/maincdrs/nowhere/partycdrs", key, nil))
}

// tenant makes one and gives the key of its owner.
func tenant(t *testing.T, h *hubtest.Hub, company string) (owner string) {
	t.Helper()
	a := h.Do("POST", "/v1/tenants", hubtest.PlatformKey, map[string]any{"companyId": company})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	return newKey(t, h, company, "owner")
}

func newKey(t *testing.T, h *hubtest.Hub, company, role string) string {
	t.Helper()
	a := h.Do("POST", "/v1/tenants/"+company+"/keys", hubtest.PlatformKey, map[string]any{"role": role, "name": role})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	return a.JSON(t)["key"].(string)
}
