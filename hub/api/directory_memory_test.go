package api

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever 8 MiB say, reading them takes little more memory than they do: what is
// too much is refused as soon as it is seen.
func TestReadObjectsMemory(t *testing.T) {
	fill := func(before, each, after string) string {
		return before + strings.Repeat(each, (maxDirectoryBody-len(before)-len(after)-1)/len(each)) + after
	}

	for name, body := range map[string]string{
		"objects of nothing":  fill(`{"agents":[`, `{},`, `{}]}`),
		"objects of all":      fill(`{"groups":[`, `{"groupId":"g","name":"n"},`, `{}]}`),
		"numbers":             fill(`{"agents":[`, `1,`, `1]}`),
		"a wide list":         fill(`{"agents":[{"agentUUID":"u","queueIds":[`, `"",`, `""]}]}`),
		"deep lists":          fill(`{"agents":[{"agentUUID":"u","queueIds":`, `[`, ``),
		"a long text":         fill(`{"agents":[{"agentUUID":"u","agentName":"`, `x`, `"}]}`),
		"fields of no object": fill(`{`, `"teams":[],`, `"agents":[]}`),
		"no JSON":             fill(``, `{`, ``),
	} {
		raw := []byte(body)
		require.LessOrEqual(t, len(raw), maxDirectoryBody)

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		objects, err := readObjects(raw)
		took := time.Since(began)
		runtime.ReadMemStats(&after)

		require.Error(t, err, name)
		require.Empty(t, objects)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%-20s %3d MiB, %s: %.100s", name, allocated, took, err)
		require.LessOrEqual(t, allocated, uint64(64), "MiB for %s", name)
	}
}
