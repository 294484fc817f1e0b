package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What Identity takes is what an event may have as its callID, read alike.
func TestIdentityIsWhatEventsName(t *testing.T) {
	for _, s := range []string{
		"6bf3cbb1", "PJSIP/1001", "a b", " a ", "\ta\r\n", "\u00a0a", "a%2Fb", "100%", "x@y;z=1", "..", "é", "a|b",
		"+491511234",
		strings.Repeat("x", 256), strings.Repeat("x", 257), strings.Repeat("é", 128), strings.Repeat("é", 129),
		"", " ", "a\x00b", "a\tb", "\x7f", "a\uFFFD",
	} {
		id, ok := Identity(s)
		quoted, err := json.Marshal(s)
		require.NoError(t, err)
		e, problem := Gate{CompanyID: "acme"}.Bare(CallRinging, fmt.Appendf(nil, `{"callID":%s}`, quoted))
		require.Equal(t, problem == nil, ok, "%q: %v", s, problem)
		if ok {
			require.Equal(t, "call/"+id, e.OrderKey)
		}
	}
	_, ok := Identity("a\xffb")
	require.False(t, ok, "not UTF-8: no body can hold it")
}
