package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

// chatsAtATime of one agent, and which agents chat beside their calls: one of three.
const (
	chatsAtATime = 3
	chatters     = 3
)

// chatQueue is the queue of all chats.
const chatQueue = "q-chat"

// site is where visitors come and chat.
type site struct {
	c        *Centre
	gap      float64 // mean ms between visitors
	visitors int     // so far
	waiting  []*chat // in the queue, in their order
	open     []*chat // with an agent
}

// chat is one chat from its request to its end.
type chat struct {
	id         string
	told       int // events so far
	visitor    *visitor
	department string
	agent      *agent // nil: nobody yet, or a bot
	offered    *agent // who may take it
	passed     []*agent
	queued     bool
	accepted   bool
	over       bool
	replies    int64
	responseMS int64
}

type visitor struct {
	id, identity string
	told         int
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

// openSite lets visitors come; of five, two want to chat.
func (c *Centre) openSite(chatsPerHour float64) {
	c.site = &site{c: c, gap: 3_600_000 / chatsPerHour * 0.4}
	c.after(c.exp(c.site.gap), c.site.arrive)
}

func (s *site) arrive() {
	if s.c.closing {
		return
	}
	s.c.after(s.c.exp(s.gap), s.arrive)
	s.visitors++
	v := &visitor{id: fmt.Sprintf("v-%s-%d", s.c.run, s.visitors), identity: "ci-" + strconv.Itoa(s.c.rng.IntN(customers))}
	s.tellVisitor(event.VisitorArrived, v)
	if s.c.chance(0.4) {
		s.c.after(s.c.between(5, 60), func() { s.request(v) })
		return
	}
	s.c.after(s.c.exp(120_000), func() { s.tellVisitor(event.VisitorLeft, v) })
}

func (s *site) tellVisitor(t event.Type, v *visitor) {
	v.told++
	s.c.tell(v.id+"-"+strconv.Itoa(v.told), t, v.id, &visitorBody{t.MessageID(), s.c.company, v.id, v.identity, s.c.now})
}

func (s *site) tell(t event.Type, k *chat, b chatBody) {
	k.told++
	b.MessageID, b.CompanyID, b.ChatID, b.At = t.MessageID(), s.c.company, k.id, s.c.now
	s.c.tell(k.id+"-"+strconv.Itoa(k.told), t, k.id, &b)
}

// request: the visitor wants to chat; a bot takes three of ten.
func (s *site) request(v *visitor) {
	k := &chat{id: "chat" + v.id[1:], visitor: v, department: departments[s.c.rng.IntN(len(departments))]}
	invited := s.c.chance(0.25)
	s.tell(event.ChatRequested, k, chatBody{VisitorID: v.id, Identity: v.identity, DepartmentID: k.department, QueueID: chatQueue, Invited: &invited})
	if !s.c.chance(0.3) {
		s.enqueue(k)
		return
	}
	s.c.after(s.c.between(0.5, 1.5), func() {
		k.accepted = true
		s.tell(event.ChatAccepted, k, chatBody{HandledBy: "bot"})
		s.c.after(s.c.between(20, 120), func() {
			if s.c.chance(0.5) {
				s.end(k, "closed")
				return
			}
			s.tell(event.ChatTransferred, k, chatBody{ToDepartment: k.department})
			s.enqueue(k)
		})
	})
}

// enqueue: the visitor waits for an agent, for as long as it likes.
func (s *site) enqueue(k *chat) {
	k.queued, k.agent, k.offered, k.passed = true, nil, nil, nil
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
		if k.accepted { // by somebody before: the reasons of those who were never served are not its
			reason = "closed"
		}
		s.queueEvent(event.QueueLeft, k, outcome, nil)
		s.end(k, reason)
	})
	s.dispatch()
}

func (s *site) queueEvent(t event.Type, k *chat, outcome string, a *agent) {
	k.told++
	b := &chatQueueBody{
		MessageID: t.MessageID(), CompanyID: s.c.company, ContactID: k.id, Media: "chat", QueueID: chatQueue, QueueName: "Chat", DepartmentID: k.department,
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
	s.c.tell(k.id+"-"+strconv.Itoa(k.told), t, k.id, b)
}

// chats says whether an agent can take one more.
func (s *site) chats(i int, a *agent) bool {
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

// dispatch offers waiting chats to agents who have time. Who has just missed one is
// not asked again for it.
func (s *site) dispatch() {
	if s == nil {
		return
	}
	for _, k := range s.waiting {
		if k.offered != nil {
			continue
		}
		for i, a := range s.c.agents {
			if s.chats(i, a) && !slices.Contains(k.passed, a) {
				s.offer(k, a)
				break
			}
		}
	}
}

func (s *site) offer(k *chat, a *agent) {
	k.offered = a
	takes, after := s.c.chance(0.92), s.c.between(2, 8)
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
			s.tell(event.ChatMissed, k, chatBody{AgentUUID: a.uuid})
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
	k.agent, k.accepted = a, true
	s.open = append(s.open, k)
	s.tell(event.ChatAccepted, k, chatBody{HandledBy: "agent", AgentUUID: a.uuid})
	s.c.after(s.c.between(90, 600), func() { s.say(k, a) })
}

// say is what agent and visitor have told each other by now: most are done, some
// need a colleague.
func (s *site) say(k *chat, a *agent) {
	if k.over || k.agent != a {
		return
	}
	for range 1 + s.c.rng.IntN(8) {
		k.replies++
		k.responseMS += s.c.between(3, 40)
	}
	if s.c.chance(0.08) {
		for i, b := range s.c.agents {
			if b != a && s.chats(i, b) {
				s.tell(event.ChatTransferred, k, chatBody{AgentUUID: a.uuid, ToAgentUUID: b.uuid})
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

// leave: an agent goes home, and its department takes over what it had.
func (s *site) leave(a *agent) {
	if s == nil {
		return
	}
	for _, k := range slices.Clone(s.open) {
		if k.agent == a {
			s.drop(k)
			s.tell(event.ChatTransferred, k, chatBody{AgentUUID: a.uuid, ToDepartment: k.department})
			s.enqueue(k)
		}
	}
}

func (s *site) end(k *chat, reason string) {
	k.over = true
	s.tell(event.ChatEnded, k, chatBody{Reason: reason, Replies: &k.replies, ResponseMS: &k.responseMS})
	if k.replies > 0 && s.c.chance(0.3) {
		score := cmp.Or(5-s.c.rng.IntN(6)*s.c.rng.IntN(2), 1)
		s.c.after(s.c.between(3, 30), func() { s.tell(event.ChatRated, k, chatBody{Score: score}) })
	}
	s.c.after(s.c.between(31, 120), func() { s.tellVisitor(event.VisitorLeft, k.visitor) })
}
