package recount

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/live"
)

// chat is what was sent of one chat.
type chat struct {
	events    []entry // chat.*, by time
	waits     []wait
	lastEvent int64 // of the chat itself
}

// readChats puts the chats together. A chat is known when anything names it.
func (r *recount) readChats() {
	r.chats = map[string]*chat{}
	chatOf := func(id string) *chat {
		if r.chats[id] == nil {
			r.chats[id] = &chat{}
		}
		return r.chats[id]
	}

	for _, e := range r.lastOfEach(identityOfChatEvent) {
		c := chatOf(e.text("chatId"))
		c.events = append(c.events, e)
		c.lastEvent = max(c.lastEvent, e.at)
	}
	for _, e := range r.log {
		if isQueueEvent(&e) && e.text("media") == "chat" {
			chatOf(e.text("contactId"))
		}
	}
	for id, c := range r.chats {
		c.waits = r.waitsOf("chat", id)
	}
}

// identityOfChatEvent: an event of the same type, chat and time is the same one.
func identityOfChatEvent(e *entry) string {
	if !strings.HasPrefix(e.typ, "chat.") {
		return ""
	}
	return fmt.Sprint(e.typ, " ", e.text("chatId"), " ", e.at)
}

// first returns the first event of a type; nil when there is no event.
func (c *chat) first(typ string) *entry {
	for i := range c.events {
		if c.events[i].typ == typ {
			return &c.events[i]
		}
	}
	return nil
}

func (c *chat) accepts() (all []entry) {
	for _, e := range c.events {
		if e.typ == "chat.accepted" {
			all = append(all, e)
		}
	}
	return all
}

// accepter returns the key of the agent who accepted, or "bot".
func accepter(e *entry) string {
	if e.text("handledBy") == "bot" {
		return "bot"
	}
	return keyOf(e.text("agentUUID"))
}

// handler returns who accepted the chat last; "" when nobody did.
func (c *chat) handler() string {
	all := c.accepts()
	if len(all) == 0 {
		return ""
	}
	return accepter(&all[len(all)-1])
}

type chatState int

const (
	chatNotAsked chatState = iota // nothing says that it was asked for
	chatWaiting
	chatOngoing
	chatOver
)

func (r *recount) chatState(c *chat) chatState {
	switch {
	case c.first("chat.ended") != nil, r.now-c.lastEvent >= r.staleChat:
		return chatOver
	case c.first("chat.accepted") != nil:
		return chatOngoing
	case c.first("chat.requested") != nil:
		return chatWaiting
	}
	return chatNotAsked
}

// departmentAt returns the department that has the chat at a moment: the last one
// it was transferred to, else the one that was asked.
func (c *chat) departmentAt(moment int64) (id string) {
	if e := c.first("chat.requested"); e != nil {
		id = e.text("departmentId")
	}
	for _, e := range c.events {
		if e.typ == "chat.transferred" && e.at <= moment && e.text("toDepartmentId") != "" {
			id = e.text("toDepartmentId")
		}
	}
	return id
}

// lastQueueEvent returns the time of the latest queue event of a chat, also of one
// that changes nothing.
func (r *recount) lastQueueEvent(c *chat) (at int64) {
	for i := range r.log {
		if e := &r.log[i]; e.text("media") == "chat" && r.chats[e.text("contactId")] == c {
			at = max(at, e.at)
		}
	}
	return at
}

// agentChats returns what agents did with chats in a window.
func (r *recount) agentChats(w live.Window) map[string]live.AgentChats {
	all := map[string]live.AgentChats{}
	chatting := map[string][]interval{}
	for _, c := range r.chats {
		accepts := c.accepts()
		accepted := map[string]bool{} // a chat counts once, however often the agent took it
		for i, e := range accepts {
			agent := accepter(&e)
			if agent == "bot" {
				continue
			}
			if e.at >= w.From && e.at < w.To && e.at <= w.Now {
				accepted[agent] = true
			}
			had := interval{max(e.at, w.From), min(r.handedOver(c, agent, accepts[i+1:]), w.To, w.Now)}
			if had.from < had.to {
				chatting[agent] = append(chatting[agent], had)
			}
		}
		for agent := range accepted {
			did := all[agent]
			did.Accepted++
			all[agent] = did
		}
	}

	for agent, times := range chatting {
		did := all[agent]
		did.Time = covered(times)
		all[agent] = did
	}
	return all
}

// handedOver returns until when an agent had a chat: until another accepted it,
// else until the chat ended.
func (r *recount) handedOver(c *chat, agent string, later []entry) int64 {
	for _, e := range later {
		if accepter(&e) != agent {
			return e.at
		}
	}
	if e := c.first("chat.ended"); e != nil {
		return e.at
	}
	if r.now-c.lastEvent >= r.staleChat {
		return c.lastEvent
	}
	return r.now
}

// chatDay returns the figures of the chats that were asked for in a window.
func (r *recount) chatDay(w live.Window) (day live.ChatDay) {
	var sums chatSums
	for _, c := range r.chats {
		asked := c.first("chat.requested")
		if asked != nil && asked.at >= w.From && asked.at < w.To && asked.at <= w.Now {
			sums.add(&day, c, asked)
		}
	}
	day.AcceptanceRate = share(float64(day.Chats), float64(day.Requests))
	day.UniqueRate = share(float64(len(sums.visitors)), float64(day.Chats))
	day.WaitTime = share(sums.wait, 1000*sums.waits)
	day.ChatTime = share(sums.chatTime, 1000*sums.chats)
	day.ResponseTime = share(sums.response, 1000*sums.replies)
	day.Rating = share(sums.score, sums.ratings)

	r.addAgentTimes(&day, w)
	return day
}

// chatSums are what the means of a day are made of; times in ms.
type chatSums struct {
	waits, wait       float64
	chats, chatTime   float64
	replies, response float64
	ratings, score    float64
	visitors          map[string]bool // who chatted with an agent
}

// add counts a chat that was asked for.
func (s *chatSums) add(day *live.ChatDay, c *chat, asked *entry) {
	day.Requests++
	if invited, _ := asked.body["invited"].(bool); invited {
		day.Invited++
	}

	// How it ended.
	ended := c.first("chat.ended")
	gaveUp := false
	if ended != nil {
		s.replies += float64(ended.number("agentReplies"))
		s.response += float64(ended.number("agentResponseMs"))
		switch ended.text("reason") {
		case "abandoned":
			day.Abandoned++
			gaveUp = true
		case "switched_to_message":
			day.Switched++
			gaveUp = true
		}
	}

	// How long the visitor waited, and then chatted.
	accepts := c.accepts()
	switch {
	case len(accepts) > 0:
		day.Total++
		s.waits++
		s.wait += max(0, float64(accepts[0].at-asked.at))
		if ended != nil {
			s.chats++
			s.chatTime += max(0, float64(ended.at-accepts[0].at))
		}
	case gaveUp:
		s.waits++
		s.wait += max(0, float64(ended.at-asked.at))
	}

	// Whether an agent took it.
	if slices.ContainsFunc(accepts, func(e entry) bool { return e.text("handledBy") != "bot" }) {
		day.Chats++
		if visitor := asked.text("visitorId"); visitor != "" {
			if s.visitors == nil {
				s.visitors = map[string]bool{}
			}
			s.visitors[visitor] = true
		}
	} else if c.first("chat.missed") != nil {
		day.Missed++
	}

	// Every transfer counts, and the last rating.
	score := int64(0)
	for _, e := range c.events {
		switch e.typ {
		case "chat.transferred":
			day.Transfers++
			if e.text("toDepartmentId") != "" {
				day.DepartmentTransfers++
			}
		case "chat.rated":
			score = e.number("score")
		}
	}
	if score >= 1 && score <= 5 {
		s.ratings++
		s.score += float64(score)
	}
}

// addAgentTimes says for how much of the window somebody was online, and for how
// much of the time logged in agents chatted.
func (r *recount) addAgentTimes(day *live.ChatDay, w live.Window) {
	end := min(w.To, w.Now)
	var online []interval
	loggedIn := int64(0)
	for key := range r.namedAgents() {
		for _, s := range r.history(key) {
			ms := s.within(w.From, end)
			if ms <= 0 {
				continue
			}
			if s.loggedIn() {
				loggedIn += ms
			}
			if s.login == 1 {
				online = append(online, interval{max(s.from, w.From), min(s.to, end)})
			}
		}
	}

	chatting := int64(0)
	for _, did := range r.agentChats(w) {
		chatting += did.Time
	}
	day.Accessibility = share(float64(covered(online)), float64(max(0, end-w.From)))
	day.Utilization = share(float64(chatting), float64(loggedIn))
}
