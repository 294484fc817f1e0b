package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The pattern of a type, filled in from its sample, is the order key that the gate makes.
func TestOrderKeyPatterns(t *testing.T) {
	g := Gate{CompanyID: "acme-1", Internal: true}
	for _, typ := range Types() {
		e, p := g.Bare(typ, Sample(typ))
		require.Nil(t, p)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(Sample(typ), &fields))
		var fill []string
		for name, v := range fields {
			fill = append(fill, "<"+name+">", fmt.Sprint(v))
			if name == "agentUUID" {
				fill = append(fill, "<agentUUID, else agentID>", fmt.Sprint(v))
			}
		}
		require.Contains(t, strings.Split(strings.NewReplacer(fill...).Replace(typ.OrderKeyPattern()), ", else "), e.OrderKey,
			typ)
	}
	require.Equal(t, "cdr/<callID>/<partyId>", CDRParty.OrderKeyPattern())
	require.Equal(t, "call/<callID>, else agent/<agentUUID, else agentID>", CallAgentError.OrderKeyPattern())
	require.Empty(t, Test.OrderKeyPattern())
}
