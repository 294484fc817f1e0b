// Package directory holds what events do not say: names, departments, groups, skills and
// capacity of a tenant's agents and queues, which come through the API. The keys of its
// objects are ids that events use.
package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/event"
)

// Kind is a kind of object, as URLs name it.
type Kind string

// Kinds in the order of the contract.
const (
	Agents      Kind = "agents"
	Departments Kind = "departments"
	Groups      Kind = "groups"
	Queues      Kind = "queues"
)

// Kinds lists all kinds.
var Kinds = []Kind{Agents, Departments, Groups, Queues}

// Bounds of an object.
const (
	MaxText        = 256  // characters of a text
	MaxDescription = 2000 // characters
	MaxList        = 1000 // ids in a list
	MaxChats       = 1_000_000
)

// Object is one of *Agent, *Department, *Group and *Queue. Those in a Directory
// never change.
type Object interface {
	Kind() Kind
	// Key is the object's id, unique in its tenant and kind.
	Key() string
	setKey(string)
	check(*checker)
}

// New returns an object of a kind with the defaults of the contract, or nil if there is no
// such kind.
func New(k Kind) Object {
	switch k {
	case Agents:
		return &Agent{
			DepartmentIDs: []string{}, GroupIDs: []string{}, QueueIDs: []string{},
			MaxConcurrentChats: 1, ClientType: "Unknown", SIPStatus: "offline",
		}
	case Departments:
		return &Department{IsAvailableInLiveChat: true, IsAvailableInTicketingAndMessaging: true}
	case Groups:
		return &Group{}
	case Queues:
		return &Queue{}
	}
	return nil
}

// Agent is a person who takes calls and chats.
type Agent struct {
	AgentUUID          string   `json:"agentUUID"`
	AgentID            string   `json:"agentID"` // the work number
	AgentName          string   `json:"agentName"`
	Email              string   `json:"email"`
	DepartmentIDs      []string `json:"departmentIds"`
	GroupIDs           []string `json:"groupIds"`
	QueueIDs           []string `json:"queueIds"`
	MaxConcurrentChats int      `json:"maxConcurrentChats"` // -1: no bound
	PhoneType          int      `json:"phoneType"`          // 0 none, 1 web, 2 WeChat, 3 PSTN, 4 SIP, 5 app
	ThisDN             string   `json:"thisDN"`
	ClientType         string   `json:"clientType"` // Web, Android, IOS, Unknown
	MicPermission      bool     `json:"micPermission"`
	SIPStatus          string   `json:"sipStatus"`   // online, offline
	ChatAgentID        string   `json:"chatAgentId"` // the GUID that Comm100's clients know
}

// Department groups agents and chats.
type Department struct {
	DepartmentID                       string `json:"departmentId"`
	Name                               string `json:"name"`
	Description                        string `json:"description"`
	GUID                               string `json:"guid"` // that Comm100's clients know
	SiteID                             int    `json:"siteId"`
	IsAvailableInLiveChat              bool   `json:"isAvailableInLiveChat"`
	IsAvailableInTicketingAndMessaging bool   `json:"isAvailableInTicketingAndMessaging"`
}

// Group is a group of agents.
type Group struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
}

// Queue is a queue of calls or a skill of chats.
type Queue struct {
	QueueID      string `json:"queueId"`
	Name         string `json:"name"`
	Media        string `json:"media"` // call, chat; "": as the events say
	DepartmentID string `json:"departmentId"`
	GroupID      string `json:"groupId"`
	Strategy     string `json:"strategy"`
}

// The objects' kinds, keys and fields.
func (*Agent) Kind() Kind      { return Agents }
func (*Department) Kind() Kind { return Departments }
func (*Group) Kind() Kind      { return Groups }
func (*Queue) Kind() Kind      { return Queues }

func (a *Agent) Key() string      { return a.AgentUUID }
func (d *Department) Key() string { return d.DepartmentID }
func (g *Group) Key() string      { return g.GroupID }
func (q *Queue) Key() string      { return q.QueueID }

func (a *Agent) setKey(id string)      { a.AgentUUID = id }
func (d *Department) setKey(id string) { d.DepartmentID = id }
func (g *Group) setKey(id string)      { g.GroupID = id }
func (q *Queue) setKey(id string)      { q.QueueID = id }

// keyFields are the names of the fields that hold the keys.
var keyFields = map[Kind]string{Agents: "agentUUID", Departments: "departmentId", Groups: "groupId", Queues: "queueId"}

// KeyField returns the name of the field that holds the key of a kind.
func (k Kind) KeyField() string { return keyFields[k] }

// Problem is what is wrong with a field of an object.
type Problem struct{ Field, Message string }

// Check returns what is wrong with an object, or nil. id is the key that was given with the
// object, or "" if only the object says it. Check also tidies the object: it removes the
// blanks around texts and repeated ids.
func Check(o Object, id string) []Problem {
	c := &checker{}
	c.key(o, id)
	o.check(c)
	return c.problems
}

// key checks the key of an object, which its path may say, too. A key is what events may
// name. Events separate departments by a bar, so the key of a department has no bar.
func (c *checker) key(o Object, inPath string) {
	field := o.Kind().KeyField()
	inPath, pathOK := event.Identity(inPath)
	key, ok := event.Identity(o.Key())
	if key == "" {
		key, ok = inPath, pathOK
	}

	switch {
	case key == "":
		c.bad(field, "is required")
	case inPath != "" && key != inPath:
		c.bad(field, fmt.Sprintf("is %q, and the path says %q", cut(key), cut(inPath)))
	case !ok:
		c.bad(field, "must be at most 256 bytes of text without control characters")
	case o.Kind() == Departments && strings.Contains(key, "|"):
		c.bad(field, "must be without |, which separates departments in events")
	}

	o.setKey(key)
}

// cut shortens a text for a message.
func cut(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		return string([]rune(s)[:40]) + "…"
	}
	return s
}

// checker gathers what is wrong with an object.
type checker struct{ problems []Problem }

func (c *checker) bad(field, message string) {
	c.problems = append(c.problems, Problem{field, message})
}

// text removes the blanks around a text, and bounds it.
func (c *checker) text(field string, s *string, most int) {
	*s = strings.TrimSpace(*s)
	c.bounded(field, *s, most)
}

// name keeps the blanks around a text that people see: they may belong to the display name,
// such as one put together of an empty first name and a last name.
func (c *checker) name(field string, s *string, most int) {
	*s = strings.Trim(*s, "\t\r\n")
	if strings.TrimSpace(*s) == "" {
		*s = ""
	}
	c.bounded(field, *s, most)
}

// bounded bounds the length of a text.
func (c *checker) bounded(field, s string, most int) {
	if utf8.RuneCountInString(s) > most || strings.ContainsRune(s, 0) {
		c.bad(field, fmt.Sprintf("must be at most %d characters, and none of them NUL", most))
	}
}

// id trims an id as events trim theirs, and bounds it.
func (c *checker) id(field string, s *string) {
	*s, _ = event.Identity(*s)
	if utf8.RuneCountInString(*s) > MaxText || strings.ContainsRune(*s, 0) {
		c.bad(field, fmt.Sprintf("must be at most %d characters, and none of them NUL", MaxText))
	}
}

// list checks a list of ids, and removes repeated ones.
func (c *checker) list(field string, ids *[]string) {
	if len(*ids) > MaxList {
		c.bad(field, fmt.Sprintf("must be at most %d ids", MaxList))
		return
	}

	seen := make(map[string]bool, len(*ids))
	tidy := []string{} // never null
	for i, id := range *ids {
		c.id(fmt.Sprintf("%s[%d]", field, i), &id)
		switch {
		case id == "":
			c.bad(fmt.Sprintf("%s[%d]", field, i), "must not be empty")
		case !seen[id]:
			seen[id] = true
			tidy = append(tidy, id)
		}
	}

	*ids = tidy
}

func (c *checker) number(field string, n, least, most int) {
	if n < least || n > most {
		c.bad(field, fmt.Sprintf("must be from %d to %d", least, most))
	}
}

func (c *checker) oneOf(field, s string, words ...string) {
	if !slices.Contains(words, s) {
		c.bad(field, fmt.Sprintf("must be one of %q", words))
	}
}

func (a *Agent) check(c *checker) {
	c.id("agentID", &a.AgentID)
	c.name("agentName", &a.AgentName, MaxText)
	c.text("email", &a.Email, MaxText)
	c.list("departmentIds", &a.DepartmentIDs)
	c.list("groupIds", &a.GroupIDs)
	c.list("queueIds", &a.QueueIDs)
	c.number("maxConcurrentChats", a.MaxConcurrentChats, -1, MaxChats)
	c.number("phoneType", a.PhoneType, 0, 5)
	c.id("thisDN", &a.ThisDN)
	c.oneOf("clientType", a.ClientType, "Web", "Android", "IOS", "Unknown")
	c.oneOf("sipStatus", a.SIPStatus, "online", "offline")
	c.id("chatAgentId", &a.ChatAgentID)
}

func (d *Department) check(c *checker) {
	c.text("name", &d.Name, MaxText)
	c.text("description", &d.Description, MaxDescription)
	c.id("guid", &d.GUID)
	c.number("siteId", d.SiteID, 0, 1<<31-1)
}

func (g *Group) check(c *checker) { c.text("name", &g.Name, MaxText) }

func (q *Queue) check(c *checker) {
	c.text("name", &q.Name, MaxText)
	c.oneOf("media", q.Media, "", "call", "chat")
	c.id("departmentId", &q.DepartmentID)
	c.id("groupId", &q.GroupID)
	c.text("strategy", &q.Strategy, MaxText)
}
