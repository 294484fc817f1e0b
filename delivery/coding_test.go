package delivery

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"

	"github.com/hookline/hookline/subscriptions"
)

func strict(s *subscriptions.Subscription) { s.StrictAck = true }

// encode a body in a coding, by the standard library where it has it.
func encode(t testing.TB, coding, body string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare deflate":
		w, err = flate.NewWriter(&b, flate.DefaultCompression)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	default:
		return body
	}
	require.NoError(t, err)
	_, err = io.WriteString(w, body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// Answers are asked for without a content coding; those that come in one are
// read all the same.
func TestSendReadsCodedAnswers(t *testing.T) {
	const taken, refused = `{"code": 0}`, `{"code": "E17"}`
	long := `{"code": 0, "note": "` + strings.Repeat("x", 60<<10) + `"}`
	for name, c := range map[string]struct {
		coding, body string
		class        ErrorClass
		reason       string
	}{
		"identity":          {"identity", taken, None, ""},
		"a character set":   {"utf-8", taken, None, ""},
		"a byte order mark": {"identity", event.Mark + taken, None, ""},
		"a mark, zipped":    {"gzip", encode(t, "gzip", event.Mark+taken), None, ""},
		"a mark, refused":   {"identity", event.Mark + refused, Ack, `code is "E17"`},
		"gzip":              {"gzip", encode(t, "gzip", taken), None, ""},
		"GZIP":              {"GZIP", encode(t, "gzip", taken), None, ""},
		"x-gzip":            {"x-gzip", encode(t, "gzip", taken), None, ""},
		"deflate":           {"deflate", encode(t, "deflate", taken), None, ""},
		"bare deflate":      {"deflate", encode(t, "bare deflate", taken), None, ""},
		"zstd":              {"zstd", encode(t, "zstd", taken), None, ""},
		"two":               {"deflate, gzip", encode(t, "gzip", encode(t, "deflate", taken)), None, ""},
		"long":              {"gzip", encode(t, "gzip", long), None, ""},
		"not taken":         {"gzip", encode(t, "gzip", refused), Ack, `code is "E17"`},
		"br":                {"br", "\x0b\x02\x80ok\x03", Ack, "br is not read here"},
		"many": {
			"gzip, gzip, gzip", encode(t, "gzip", encode(t, "gzip", encode(t, "gzip", taken))), Ack, "3 content codings",
		},
		"plain after all":  {"gzip", taken, None, ""},
		"not what it says": {"gzip", "taken", Ack, "not gzip"},
		"cut off":          {"gzip", encode(t, "gzip", taken)[:20], Ack, "content coding is broken"},
		"a bomb":           {"gzip", encode(t, "gzip", strings.Repeat(" ", 10<<20)+taken), Ack, "not a JSON object"},
		"nothing":          {"gzip", "", Ack, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked = r.Header.Get("Accept-Encoding")
				w.Header().Set("Content-Encoding", c.coding)
				_, _ = io.WriteString(w, c.body)
			})
			a := send(t, local(), u, strict)
			require.Equal(t, "identity", asked)
			require.Equal(t, c.class.String(), a.Class.String(), a.Err)
			require.Contains(t, a.Err, c.reason)
			require.LessOrEqual(t, len(a.Body), keepBody)
			switch {
			case name == "not taken":
				require.Equal(t, refused, string(a.Body), "people see what it means")
			case c.class == None:
				require.Contains(t, string(a.Body), `{"code": 0`)
			}
			require.Equal(t, Taken, ResultOf(send(t, local(), u)), "without strictAck its status says it all")
		})
	}
}

// What else is asked for a tenant comes without content coding, too, as a stream.
func TestTransportTakesCodingsOff(t *testing.T) {
	body := strings.Repeat("sound ", 100_000)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		coding := r.URL.Query().Get("coding")
		w.Header().Set("Content-Encoding", coding)
		_, _ = io.WriteString(w, encode(t, coding, body))
	})
	s := local()
	defer s.CloseIdle()
	for _, coding := range []string{"identity", "gzip", "deflate", "zstd"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u+"?coding="+coding, nil)
		require.NoError(t, err)
		resp, err := s.Transport(1).RoundTrip(req)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err, coding)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, body, string(got), coding)
		require.Empty(t, req.Header, "a request is its owner's")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u+"?coding=br", nil)
	require.NoError(t, err)
	resp, err := s.Transport(1).RoundTrip(req)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.ErrorContains(t, err, "br is not read here")
	require.NoError(t, resp.Body.Close())
}

func FuzzDecoded(f *testing.F) {
	for _, coding := range []string{"gzip", "deflate", "bare deflate", "zstd"} {
		f.Add(strings.TrimPrefix(coding, "bare "), []byte(encode(f, coding, "hello")))
	}
	f.Add("gzip, zstd", []byte{0x1f, 0x8b})
	f.Add("br, compress", []byte("x"))
	f.Fuzz(func(t *testing.T, coding string, body []byte) {
		plain, _ := decoded(codingsOf(http.Header{"Content-Encoding": {coding}}), body, 1000)
		require.LessOrEqual(t, len(plain), 1000)
	})
}
