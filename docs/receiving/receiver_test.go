package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/signing"
)

var update = flag.Bool("update", false, "write the files into the guide")

const guide = "../receiving.md"

// What the guide shows is what was tested.
func TestGuideShowsTheseFiles(t *testing.T) {
	text, err := os.ReadFile(guide)
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- file: receiving/([^ ]+) -->\n```([a-z]+)\n(.*?)```\n")
	shown := map[string]bool{}
	want := block.ReplaceAllFunc(text, func(b []byte) []byte {
		m := block.FindSubmatch(b)
		file, err := os.ReadFile(string(m[1]))
		require.NoError(t, err)
		shown[string(m[1])] = true
		return fmt.Appendf(nil, "<!-- file: receiving/%s -->\n```%s\n%s```\n", m[1], m[2], file)
	})
	if *update {
		require.NoError(t, os.WriteFile(guide, want, 0o644))
		return
	}
	require.Equal(t, string(want), string(text), "go test ./docs/receiving -run Guide -update")
	files, err := filepath.Glob("[rR]eceiver.*")
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, shown[f], "%s is not in the guide", f)
	}
}

const ourAppKey = "an-app-key-of-enough-length-0123456789"

var ourSealKey = bytes.Repeat([]byte{7, 11}, 16)

// program is a receiver of the guide, running.
type program struct {
	url   string
	lines chan string // of its standard output
	err   *bytes.Buffer
}

func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)

	ctx, stop := context.WithCancel(context.Background())
	for i := range args {
		args[i] = strings.Replace(args[i], "PORT", port, 1)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "PORT="+port, "COMPANY_ID=demo", "APP_KEY="+ourAppKey,
		"ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(ourSealKey))
	p := &program{url: "http://" + addr, lines: make(chan string, 100), err: &bytes.Buffer{}}
	cmd.Stderr = p.err
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		stop()
		<-read
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s", p.err)
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "%s does not listen", name)
	return p
}

// line is the next thing that the program did.
func (p *program) line(t *testing.T) string {
	t.Helper()
	select {
	case l := <-p.lines:
		return l
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the receiver says nothing")
		return ""
	}
}

// post a push to the program and give its status.
func (p *program) post(t *testing.T, h http.Header, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/hook", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header = h
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// Each receiver of the guide whose language is on this machine takes real
// pushes of a real hub, sealed in every way, and refuses what was tampered with.
func TestReceivers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	binary := filepath.Join(t.TempDir(), "receiver")
	out, err := exec.Command("go", "build", "-o", binary, "receiver.go").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, r := range []struct {
		language string
		runtime  string
		args     []string
		sealed   bool
	}{
		{"Go", binary, nil, true},
		{"Node", "node", []string{"receiver.mjs"}, true},
		{"Python", "python3", []string{"receiver.py"}, exec.Command("python3", "-c", "import cryptography").Run() == nil},
		{"Java", "java", []string{"Receiver.java"}, true},
		{"PHP", "php", []string{"-S", "127.0.0.1:PORT", "receiver.php"}, true},
	} {
		if _, err := exec.LookPath(r.runtime); err != nil {
			t.Logf("%s is not on this machine", r.language)
			continue
		}
		t.Run(r.language, func(t *testing.T) {
			t.Parallel()
			testReceiver(t, start(t, r.runtime, r.args...), r.sealed)
		})
	}
}

func testReceiver(t *testing.T, p *program, sealed bool) {
	h := hubtest.Start(t)
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings":{"allowECB":true}}`).Status)
	subscribe := func(url, encryption string, events ...string) {
		fields := []any{"appKey", ourAppKey, "events", events, "encryption", encryption}
		if encryption != signing.None {
			fields = append(fields, "encryptionKey", base64.StdEncoding.EncodeToString(ourSealKey))
		}
		h.Subscribe(url, fields...)
	}
	subscribe(p.url+"/hook", signing.None, "cdr.*")
	h.Send(`{"type":"cdr.call","data":{"callID":"c1","note":"grüße, 世界","amount":1.50}}`)
	line := p.line(t)
	require.Regexp(t, `^applied cdr\.call dlv_\w+ \d+ \{`, line)
	require.Contains(t, line, `"note":"grüße, 世界","amount":1.50`)
	h.Send(`{"type":"cdr.party","data":{"callID":"c1","partyId":"p1"}}`)
	require.Contains(t, p.line(t), "applied cdr.party")
	if sealed {
		subscribe(p.url+"/hook", signing.GCM, "call.*")
		subscribe(p.url+"/hook", signing.CBC, "agent.*")
		subscribe(p.url+"/hook", signing.ECB, "chat.*")
		for n := range 17 { // every length of the padding
			fill := strings.Repeat("x", n)
			h.Send(fmt.Sprintf(`{"type":"call.ringing","data":{"callID":"c%d","note":%q}}`, n, fill))
			require.Contains(t, p.line(t), fmt.Sprintf(`"note":%q`, fill))
			h.Send(fmt.Sprintf(`{"type":"agent.status","data":{"agentID":"a%d","startTime":1637068256419,"note":%q}}`, n, fill))
			require.Contains(t, p.line(t), fmt.Sprintf(`"note":%q`, fill))
			h.Send(fmt.Sprintf(`{"type":"chat.requested","data":{"chatId":"h%d","at":1637068256419,"note":%q}}`, n, fill))
			require.Contains(t, p.line(t), fmt.Sprintf(`"note":%q`, fill))
		}
	}

	// Real pushes, caught on their way.
	rec := hubtest.NewReceiver(t)
	subscribe(rec.URL, signing.None, "queue.*")
	h.Send(`{"type":"queue.entered","data":{"contactId":"q1","media":"call","queueId":"7","enteredAt":1637068256419}}`,
		`{"type":"queue.left","data":{"contactId":"q1","media":"call","queueId":"7","leftAt":1637068257419}}`)
	pushes := rec.Wait(t, 2)
	entered, left := pushes[0], pushes[1]
	tampered := func(name, value string) http.Header {
		h := entered.Header.Clone()
		h.Set(name, value)
		return h
	}
	flip := func(s string) string { return s[:len(s)-1] + string(s[len(s)-1]^1) }
	for what, status := range map[string]int{
		"body":   p.post(t, entered.Header, bytes.Replace(entered.Body, []byte(`"7"`), []byte(`"8"`), 1)),
		"longer": p.post(t, entered.Header, append(bytes.Clone(entered.Body), ' ')),
		"empty":  p.post(t, entered.Header, nil),
		"id":     p.post(t, tampered("webhook-id", flip(entered.Header.Get("webhook-id"))), entered.Body),
		"time":   p.post(t, tampered("webhook-timestamp", flip(entered.Header.Get("webhook-timestamp"))), entered.Body),
		"signature": p.post(t, tampered("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(make([]byte, 32))),
			entered.Body),
		"unsigned": p.post(t, tampered("webhook-signature", ""), entered.Body),
		"nothing":  p.post(t, http.Header{}, entered.Body),
	} {
		require.Equal(t, 401, status, what)
	}

	// Rightly signed, and still not fine.
	sign := func(from hubtest.Push, at time.Time, key string, more ...string) http.Header {
		h := from.Header.Clone()
		m := signing.Message{
			ID: h.Get("webhook-id"), CompanyID: "demo", At: at.UnixMilli(), RandomCode: "0011223344556677", Body: from.Body,
		}
		signing.Sign(h, &m, key, more...)
		for name, v := range h { // Sign's spelling beside Go's
			delete(h, name)
			h[http.CanonicalHeaderKey(name)] = v
		}
		return h
	}
	require.Equal(t, 401, p.post(t, sign(entered, time.Now().Add(-10*time.Minute), ourAppKey), entered.Body), "recorded")
	require.Equal(t, 401, p.post(t, sign(entered, time.Now().Add(10*time.Minute), ourAppKey), entered.Body),
		"from the future")
	require.Equal(t, 401, p.post(t, sign(entered, time.Now(), "another-app-key-0123456789"), entered.Body))

	// The later one first; then the earlier one, with two keys in force; then it again.
	require.Equal(t, 200, p.post(t, left.Header, left.Body))
	require.Contains(t, p.line(t), "applied queue.left")
	require.Equal(t, 200, p.post(t, sign(entered, time.Now(), "another-app-key-0123456789", ourAppKey), entered.Body))
	require.Contains(t, p.line(t), "outdated queue.entered")
	require.Equal(t, 200, p.post(t, entered.Header, entered.Body))
	require.Equal(t, 200, p.post(t, left.Header, left.Body))

	if sealed { // with a key that is not ours, or moved to another push
		for _, kind := range []string{signing.GCM, signing.CBC, signing.ECB} {
			m := signing.Message{
				ID: "dlv_sealed_" + kind, CompanyID: "demo", At: time.Now().UnixMilli(), RandomCode: "0011223344556677",
				Body: []byte(`{"callID":"c1"}`),
			}
			wrong := bytes.Repeat([]byte{byte(1)}, 32)
			body, err := signing.Seal(kind, wrong, &m, make([]byte, signing.NonceSize(kind)))
			require.NoError(t, err)
			h := http.Header{
				"X-Hookline-Encryption": {kind}, "X-Hookline-Event": {"call.ringing"},
				"X-Hookline-Sequence": {strconv.Itoa(1 << 40)},
			}
			from := hubtest.Push{Header: h, Body: body}
			from.Header.Set("webhook-id", m.ID)
			require.Equal(t, 500, p.post(t, sign(from, time.Now(), ourAppKey), body), kind)
		}
	}

	testOrderKeys(t, p)

	// Nothing of all this was applied: the next line is of the next event.
	h.Send(`{"type":"cdr.call","data":{"callID":"last"}}`)
	require.Contains(t, p.line(t), `"callID":"last"`)
}

// testOrderKeys posts pairs of pushes, the second with the lower number: it is
// outdated just when both are about the same.
func testOrderKeys(t *testing.T, p *program) {
	pushes := 0
	word := func(typ, body string, sequence int) string {
		pushes++
		id := fmt.Sprint("dlv_order_", pushes)
		h := http.Header{}
		m := signing.Message{
			ID: id, CompanyID: "demo", At: time.Now().UnixMilli(), RandomCode: "0011223344556677", Body: []byte(body),
		}
		signing.Sign(h, &m, ourAppKey)
		for name, v := range h { // Sign's spelling beside Go's
			delete(h, name)
			h[http.CanonicalHeaderKey(name)] = v
		}
		h.Set("X-Hookline-Event", typ)
		h.Set("X-Hookline-Sequence", strconv.Itoa(1<<50+sequence))
		require.Equal(t, 200, p.post(t, h, []byte(body)), body)
		line := p.line(t)
		require.Contains(t, line, id)
		return strings.Fields(line)[0]
	}
	for i, c := range []struct{ typ, first, second, want string }{
		{"call.held", `{"callID":1001}`, `{"callID":1002}`, "applied"},
		{"call.held", `{"callID":1003}`, `{"callID":"1003"}`, "outdated"},
		{"call.held", `{"callID":9007199254740993}`, `{"callID":9007199254740992}`, "applied"},
		{"call.held", `{"callID":123456789012345678901234567890}`, `{"callID":123456789012345678901234567891}`, "applied"},
		{"call.held", `{"callID":9007199254740995}`, `{"callID":"9007199254740995"}`, "outdated"},
		{"call.held", `{"callID":"a b, c"}`, `{"callID":"a b, d"}`, "applied"},
		{"call.held", `{"callID":"a b, e"}`, `{"callID": " a b, e "}`, "outdated"},
		{"call.held", `{"contactId":null,"callID":"n1"}`, `{"contactId":null,"callID":"n2"}`, "applied"},
		{"call.held", `{"contactId":null,"callID":"n3"}`, `{"callID":"n3"}`, "outdated"},
		{"call.held", `{"data":{"callID":"x"},"callID":"o1"}`, `{"data":{"callID":"x"},"callID":"o2"}`, "applied"},
		{"call.held", `{"callID":"o3","data":{"callID":"x"}}`, `{"callID":"o3","data":{"callID":"y"}}`, "outdated"},
		{
			"call.held", `{"list":[{"callID":"x"},"callID"],"callID":"l1"}`, `{"list":[{"callID":"x"},"callID"],"callID":"l2"}`,
			"applied",
		},
		{"call.held", `{"note":"\"callID\":\"x\"","callID":"q1"}`, `{"note":"\"callID\":\"x\"","callID":"q2"}`, "applied"},
		{"call.held", `{"callID":"e\"1"}`, `{"callID":"e\"2"}`, "applied"},
		{"call.held", `{"callID":"M\u00fc 7"}`, `{"callID":"Mü 7"}`, "outdated"},
		{"call.held", `{"note":"costs 12, or 3","callID":"t1"}`, `{"note":"costs 12, or 3","callID":"t2"}`, "applied"},
		{"agent.status", `{"agentUUID":null,"agentID":7}`, `{"agentUUID":"","agentID":8}`, "applied"},
		{"cdr.party", `{"callID":5,"partyId":null}`, `{"callID":"5"}`, "outdated"},
		{"cdr.party", `{"callID":6,"partyId":1}`, `{"callID":6,"partyId":2}`, "applied"},
	} {
		require.Equal(t, "applied", word(c.typ, c.first, 2*i+1), c.first)
		require.Equal(t, c.want, word(c.typ, c.second, 2*i), "%s after %s", c.second, c.first)
	}
}
