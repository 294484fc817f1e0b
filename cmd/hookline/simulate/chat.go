package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

const (
	chatsAtATime = 3 // of one agent
	chatters     = 3 // one of so many agents chats beside taking calls
)

// chatQueue is the queue of all chats.
const chatQueue = "q-chat"

// site is a web site with visitors, some of whom chat.
type site struct {
	c        *Centre
	gap      float64 // mean ms between visitors
	visitors int     // number of visitors so far
	waiting  []*chat // in the queue, in their order
	open     []*chat // with an agent
}

// chat is one chat from its request to its end.
type chat struct {
	id         string
	eventCount int // number of events so far
	visitor    *visitor
	department string
	agent      *agent   // who has it; nil if that is a bot, or nobody yet
	offered    *agent   // who may take it now
	passed     []*agent // who missed it
	queued     bool
	accepted   bool // by an agent or a bot
	over       bool
	replies    int64 // of agents
	responseMS int64 // how long the visitor waited for these replies
}

type visitor struct {
	id, identity string
	eventCount   int // number of events so far
}

type visitorBody struct {
	MessageID string `json:"messageID"`
	CompanyID string `json:"companyId"`
	VisitorID string `json:"visitorId"`
	Identity  string `json:"contactIdentityId,omitempty"`
	At        int64  `json:"at"`
}

type chatBody struct {
	MessageID    string `json:"messageID"`
	CompanyID    string `json:"companyId"`
	ChatID       string `json:"chatId"`
	At           int64  `json:"at"`
	VisitorID    string `json:"visitorId,omitempty"`
	Identity     string `json:"contactIdentityId,omitempty"`
	DepartmentID string `json:"departmentId,omitempty"`
	QueueID      string `json:"queueId,omitempty"`
	Invited      *bool  `json:"invited,omitempty"`
	HandledBy    string `json:"handledBy,omitempty"`
	AgentUUID    string `json:"agentUUID,omitempty"`
	ToAgentUUID  string `json:"toAgentUUID,omitempty"`
	ToDepartment string `json:"toDepartmentId,omitempty"`
	Reason       string `json:"reason,omitempty"`
	Replies      *int64 `json:"agentReplies,omitempty"`
	ResponseMS   *int64 `json:"agentResponseMs,omitempty"`
	Score        int    `json:"score,omitempty"`
}

type chatQueueBody struct {
	MessageID    string `json:"messageID"`
	CompanyID    string `json:"companyId"`
	ContactID    string `json:"contactId"`
	Media        string `json:"media"`
	QueueID      string `json:"queueId"`
	QueueName    string `json:"queueName"`
	DepartmentID string `json:"departmentId"`
	EnteredAt    int64  `json:"enteredAt,omitempty"`
	LeftAt       int64  `json:"leftAt,omitempty"`
	Outcome      string `json:"outcome,omitempty"`
	AgentUUID    string `json:"agentUUID,omitempty"`
	VisitorID    string `json:"visitorId"`
	Identity     string `json:"contactIdentityId"`
}

// openSite lets visitors come. Two of five want to chat.
func (c *Centre) openSite(chatsPerHour float64) {
	c.site = &site{c: c, gap: 3_600_000 / chatsPerHour * 0.4}
	c.after(c.exp(c.site.gap), c.site.arrive)
}

// arrive lets a visitor come, and plans the next.
func (s *site) arrive() {
	if s.c.closing {
		return
	}
	s.c.after(s.c.exp(s.gap), s.arrive)
	s.visitors++
	v := &visitor{
		id:       fmt.Sprintf("v-%s-%d", s.c.run, s.visitors),
		identity: "ci-" + strconv.Itoa(s.c.rng.IntN(customers)),
	}
	s.emitVisitor(event.VisitorArrived, v)
	if s.c.chance(0.4) {
		s.c.after(s.c.between(5, 60), func() { s.request(v) })
		return
	}
	s.c.after(s.c.exp(120_000), func() { s.emitVisitor(event.VisitorLeft, v) })
}

func (s *site) emitVisitor(t event.Type, v *visitor) {
	v.eventCount++
	id := v.id + "-" + strconv.Itoa(v.eventCount)
	s.c.emit(id, t, v.id, &visitorBody{t.MessageID(), s.c.company, v.id, v.identity, s.c.now})
}

func (s *site) emit(t event.Type, k *chat, b chatBody) {
	k.eventCount++
	b.MessageID = t.MessageID()
	b.CompanyID = s.c.company
	b.ChatID = k.id
	b.At = s.c.now
	s.c.emit(k.id+"-"+strconv.Itoa(k.eventCount), t, k.id, &b)
}

// request lets a visitor ask for a chat. A bot takes three of ten, and hands half of
// these to an agent.
func (s *site) request(v *visitor) {
	k := &chat{id: "chat" + v.id[1:], visitor: v, department: departments[s.c.rng.IntN(len(departments))]}
	invited := s.c.chance(0.25)
	s.emit(event.ChatRequested, k, chatBody{
		VisitorID: v.id, Identity: v.identity, DepartmentID: k.department, QueueID: chatQueue, Invited: &invited,
	})
	if !s.c.chance(0.3) {
		s.enqueue(k)
		return
	}
	s.c.after(s.c.between(0.5, 1.5), func() {
		k.accepted = true
		s.emit(event.ChatAccepted, k, chatBody{HandledBy: "bot"})
		s.c.after(s.c.between(20, 120), func() {
			if s.c.chance(0.5) {
				s.end(k, "closed")
				return
			}
			s.emit(event.ChatTransferred, k, chatBody{ToDepartment: k.department})
			s.enqueue(k)
		})
	})
}

// enqueue lets a visitor wait for an agent, for as long as the visitor has patience.
func (s *site) enqueue(k *chat) {
	k.queued = true
	k.agent = nil
	k.offered = nil
	k.passed = nil
	s.queueEvent(event.QueueEntered, k, "", nil)
	s.waiting = append(s.waiting, k)
	s.c.after(min(15_000+s.c.exp(90_000), 600_000), func() {
		if k.over || !k.queued {
			return
		}
		s.waiting = slices.DeleteFunc(s.waiting, func(w *chat) bool { return w == k })
		k.queued = false
		outcome, reason := "abandoned", "abandoned"
		if s.c.chance(0.4) {
			outcome, reason = "switched_to_message", "switched_to_message"
		}
		if k.accepted { // the other reasons are for visitors who were never served
			reason = "closed"
		}
		s.queueEvent(event.QueueLeft, k, outcome, nil)
		s.end(k, reason)
	})
	s.dispatch()
}

func (s *site) queueEvent(t event.Type, k *chat, outcome string, a *agent) {
	k.eventCount++
	b := &chatQueueBody{
		MessageID: t.MessageID(), CompanyID: s.c.company, ContactID: k.id, Media: "chat",
		QueueID: chatQueue, QueueName: "Chat", DepartmentID: k.department,
		Outcome: outcome, VisitorID: k.visitor.id, Identity: k.visitor.identity,
	}
	if t == event.QueueEntered {
		b.EnteredAt = s.c.now
	} else {
		b.LeftAt = s.c.now
	}
	if a != nil {
		b.AgentUUID = a.uuid
	}
	s.c.emit(k.id+"-"+strconv.Itoa(k.eventCount), t, k.id, b)
}

// canTake reports whether the i-th agent can take one more chat.
func (s *site) canTake(i int, a *agent) bool {
	if i%chatters != 0 || a.doing == offDuty || a.doing == away || a.leaveDue {
		return false
	}

	has := 0
	for _, k := range s.open {
		if k.agent == a {
			has++
		}
	}
	for _, k := range s.waiting {
		if k.offered == a {
			has++
		}
	}
	return has < chatsAtATime
}

// dispatch offers waiting chats to agents who can take one. An agent who missed a chat
// is not offered it again.
func (s *site) dispatch() {
	if s == nil {
		return
	}
	for _, k := range s.waiting {
		if k.offered != nil {
			continue
		}
		for i, a := range s.c.agents {
			if s.canTake(i, a) && !slices.Contains(k.passed, a) {
				s.offer(k, a)
				break
			}
		}
	}
}

// offer lets an agent accept a chat or miss it.
func (s *site) offer(k *chat, a *agent) {
	k.offered = a
	takes := s.c.chance(0.92)
	after := s.c.between(2, 8)
	if !takes {
		after = s.c.between(15, 20)
	}

	s.c.after(after, func() {
		if k.over || !k.queued || k.offered != a {
			return
		}
		k.offered = nil
		if !takes || a.doing == offDuty || a.doing == away {
			k.passed = append(k.passed, a)
			s.emit(event.ChatMissed, k, chatBody{AgentUUID: a.uuid})
			s.dispatch()
			return
		}
		s.waiting = slices.DeleteFunc(s.waiting, func(w *chat) bool { return w == k })
		k.queued = false
		s.queueEvent(event.QueueLeft, k, "answered", a)
		s.accept(k, a)
	})
}

func (s *site) accept(k *chat, a *agent) {
	k.agent = a
	k.accepted = true
	s.open = append(s.open, k)
	s.emit(event.ChatAccepted, k, chatBody{HandledBy: "agent", AgentUUID: a.uuid})
	s.c.after(s.c.between(90, 600), func() { s.talk(k, a) })
}

// talk counts what agent and visitor have said by now. Most have finished, some
// visitors are transferred to a colleague.
func (s *site) talk(k *chat, a *agent) {
	if k.over || k.agent != a {
		return
	}
	for range 1 + s.c.rng.IntN(8) {
		k.replies++
		k.responseMS += s.c.between(3, 40)
	}
	if s.c.chance(0.08) {
		for i, b := range s.c.agents {
			if b != a && s.canTake(i, b) {
				s.emit(event.ChatTransferred, k, chatBody{AgentUUID: a.uuid, ToAgentUUID: b.uuid})
				s.drop(k)
				s.accept(k, b)
				return
			}
		}
	}
	s.drop(k)
	s.end(k, "closed")
	s.dispatch()
}

// drop takes a chat from its agent.
func (s *site) drop(k *chat) {
	s.open = slices.DeleteFunc(s.open, func(o *chat) bool { return o == k })
	k.agent = nil
}

// leave transfers the chats of an agent who goes home to their departments.
func (s *site) leave(a *agent) {
	if s == nil {
		return
	}
	for _, k := range slices.Clone(s.open) {
		if k.agent == a {
			s.drop(k)
			s.emit(event.ChatTransferred, k, chatBody{AgentUUID: a.uuid, ToDepartment: k.department})
			s.enqueue(k)
		}
	}
}

// end closes a chat. Some visitors rate it; all leave the site.
func (s *site) end(k *chat, reason string) {
	k.over = true
	s.emit(event.ChatEnded, k, chatBody{Reason: reason, Replies: &k.replies, ResponseMS: &k.responseMS})
	if k.replies > 0 && s.c.chance(0.3) {
		score := cmp.Or(5-s.c.rng.IntN(6)*s.c.rng.IntN(2), 1)
		s.c.after(s.c.between(3, 30), func() { s.emit(event.ChatRated, k, chatBody{Score: score}) })
	}
	s.c.after(s.c.between(31, 120), func() { s.emitVisitor(event.VisitorLeft, k.visitor) })
}
