package delivery

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkSend makes requests of 1 KB over connections that stay open, with
// both signatures. The receiver's share is in the figures.
func BenchmarkSend(b *testing.B) {
	for _, encryption := range []string{"none", "aes-256-gcm"} {
		b.Run(encryption, func(b *testing.B) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusNoContent)
			}))
			defer srv.Close()
			s, sub := local(), testSub()
			sub.Encryption = encryption
			target, err := url.Parse(srv.URL)
			require.NoError(b, err)
			b.ReportAllocs()
			b.SetParallelism(32) // 64 at a time on 2 cores
			b.RunParallel(func(pb *testing.PB) {
				p := testPush(sub)
				p.Event.Body = make([]byte, 1024)
				for pb.Next() {
					if a, heard := s.Send(b.Context(), p, target); !heard || a.StatusCode != http.StatusNoContent {
						b.Error(a)
						return
					}
				}
			})
			s.CloseIdle()
		})
	}
}
