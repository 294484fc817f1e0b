package simulate

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

// watchedChat is where a chat is, as its events tell.
type watchedChat struct {
	requested, accepted, ended, queued bool
	at                                 int64
	agent                              string
}

// Whatever the seed and the load, chats tell one story: requested, accepted, ended,
// in and out of the queue by turns, with agents who are there.
func TestChatsAreConsistent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	seen, reasons := map[event.Type]int{}, map[string]int{}
	for _, shape := range []struct {
		agents int
		chats  float64
	}{{1, 30}, {12, 100}, {20, 300}} {
		for seed := range uint64(2) {
			name := fmt.Sprintf("%d agents, %v chats/h, seed %d", shape.agents, shape.chats, seed)
			cfg := Config{Seed: seed, Agents: shape.agents, ChatsPerHour: shape.chats, CallsPerHour: 30, Duration: 4 * time.Hour}
			es := story(t, cfg, 1e9)
			if seed == 0 {
				require.Equal(t, text(es), text(story(t, cfg, 1e9)), name)
			}
			watchChats(t, name, es, seen, reasons)
		}
	}
	for ty := event.ChatRequested; ty <= event.VisitorLeft; ty++ {
		require.Positive(t, seen[ty], ty.String())
	}
	for _, r := range []string{
		"closed", "abandoned", "switched_to_message", "agent", "bot", "toAgent", "toDepartment", "invited",
	} {
		require.Positive(t, reasons[r], r)
	}
}

func watchChats(t *testing.T, name string, es []Envelope, seen map[event.Type]int, reasons map[string]int) {
	t.Helper()
	chats, visitors, online, has := map[string]*watchedChat{}, map[string]bool{}, map[string]bool{}, map[string]int{}
	chat := func(id string, at int64) *watchedChat {
		if chats[id] == nil {
			chats[id] = &watchedChat{}
		}
		require.GreaterOrEqual(t, at, chats[id].at, name)
		chats[id].at = at
		return chats[id]
	}
	for _, e := range es {
		var b map[string]any
		require.NoError(t, json.Unmarshal(e.Data, &b))
		at, _ := b["at"].(float64)
		s := func(name string) string { v, _ := b[name].(string); return v }
		seen[e.Type]++
		switch ty := e.Type; {
		case ty == event.AgentStatus:
			online[s("agentUUID")] = b["loginStatus"] != 0.0
		case ty == event.VisitorArrived, ty == event.VisitorLeft:
			require.Equal(t, ty == event.VisitorLeft, visitors[s("visitorId")], name)
			visitors[s("visitorId")] = ty == event.VisitorArrived
		case (ty == event.QueueEntered || ty == event.QueueLeft) && s("media") == "chat":
			k := chat(s("contactId"), e.Time)
			require.Equal(t, ty == event.QueueLeft, k.queued, "%s: %s", name, e.Data)
			k.queued = ty == event.QueueEntered
		case ty >= event.ChatRequested && ty <= event.ChatRated:
			require.EqualValues(t, e.Time, at, name)
			k := chat(s("chatId"), e.Time)
			require.Equal(t, ty == event.ChatRequested, !k.requested, "%s: %s", name, e.Data)
			require.Equal(t, ty == event.ChatRated, k.ended, "%s: %s", name, e.Data)
			watchChat(t, name, k, ty, b, online, has, reasons)
		}
	}
	for id, k := range chats {
		require.True(t, k.ended && !k.queued, "%s: %s", name, id)
	}
	for id, here := range visitors {
		require.False(t, here, "%s: %s", name, id)
	}
}

func watchChat(
	t *testing.T, name string, k *watchedChat, ty event.Type, b map[string]any, online map[string]bool, has,
	reasons map[string]int,
) {
	t.Helper()
	s := func(name string) string { v, _ := b[name].(string); return v }
	switch ty {
	case event.ChatRequested:
		k.requested = true
		if b["invited"] == true {
			reasons["invited"]++
		}
	case event.ChatAccepted:
		require.False(t, k.queued, name)
		reasons[s("handledBy")]++
		k.accepted = true
		if k.agent = s("agentUUID"); k.agent != "" {
			require.True(t, online[k.agent], "%s: who is not there takes no chat", name)
			has[k.agent]++
			require.LessOrEqual(t, has[k.agent], chatsAtATime, name)
		}
	case event.ChatTransferred:
		require.Equal(t, k.agent, s("agentUUID"), name)
		if s("toAgentUUID") != "" {
			reasons["toAgent"]++
		} else {
			reasons["toDepartment"]++
		}
		has[k.agent]--
	case event.ChatMissed:
		require.True(t, k.queued, name)
	case event.ChatEnded:
		require.False(t, k.queued, name)
		reasons[s("reason")]++
		require.True(t, s("reason") == "closed" || !k.accepted, "%s: %v", name, b)
		has[k.agent]--
		k.ended = true
	}
}
