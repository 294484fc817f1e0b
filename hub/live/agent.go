// Package live is what the boards show: agents and their states, calls, contacts that
// wait and chats, as a function of events, the directory, settings and the moment that
// is asked about. There is no clock and no SQL in it.
package live

import (
	"cmp"

	"github.com/hookline/hookline/hub/directory"
)

// Agent is what the events say of an agent: the newest value of each field that is not
// empty, by the time of the event, then by arrival.
type Agent struct {
	Key       string // record.AgentKey
	UUID      string
	AgentID   string
	Name      string
	DN        string
	PhoneType int64
}

// With returns the agent with what the directory says, which wins unless it is empty.
func (a Agent) With(d *directory.Directory) Agent {
	if a.UUID == "" {
		return a
	}
	listed := d.Agent(a.UUID)
	if listed == nil {
		return a
	}

	a.AgentID = cmp.Or(listed.AgentID, a.AgentID)
	a.Name = cmp.Or(listed.AgentName, a.Name)
	a.DN = cmp.Or(listed.ThisDN, a.DN)
	a.PhoneType = cmp.Or(int64(listed.PhoneType), a.PhoneType)
	return a
}
