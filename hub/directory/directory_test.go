package directory_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/directory"
)

func TestDefaults(t *testing.T) {
	require.Equal(t, &directory.Agent{
		DepartmentIDs: []string{}, GroupIDs: []string{}, QueueIDs: []string{}, MaxConcurrentChats: 1, ClientType: "Unknown",
		SIPStatus: "offline",
	}, directory.New(directory.Agents))
	require.Equal(t, &directory.Department{IsAvailableInLiveChat: true, IsAvailableInTicketingAndMessaging: true},
		directory.New(directory.Departments))
	require.Equal(t, &directory.Group{}, directory.New(directory.Groups))
	require.Equal(t, &directory.Queue{}, directory.New(directory.Queues))
	require.Nil(t, directory.New("teams"))
}

func TestCheckAgent(t *testing.T) {
	long := strings.Repeat("é", directory.MaxText)
	for name, tt := range map[string]struct {
		change func(*directory.Agent)
		id     string
		fields []string
	}{
		"key in the path":      {func(a *directory.Agent) {}, "u-1", nil},
		"key in both":          {func(a *directory.Agent) { a.AgentUUID = " u-1 " }, "u-1", nil},
		"key only in itself":   {func(a *directory.Agent) { a.AgentUUID = "u-1" }, "", nil},
		"no key":               {func(a *directory.Agent) {}, "", []string{"agentUUID"}},
		"another key":          {func(a *directory.Agent) { a.AgentUUID = "u-2" }, "u-1", []string{"agentUUID"}},
		"longest key":          {func(a *directory.Agent) {}, strings.Repeat("é", 128), nil},
		"long key":             {func(a *directory.Agent) {}, strings.Repeat("u", 257), []string{"agentUUID"}},
		"key with a slash":     {func(a *directory.Agent) { a.AgentUUID = "PJSIP/1001" }, "", nil},
		"key with other signs": {func(a *directory.Agent) { a.AgentUUID = "sip:a b@c|100%" }, "", nil},
		"key that is no text":  {func(a *directory.Agent) {}, "a\xff", []string{"agentUUID"}},
		"blanks in the path":   {func(a *directory.Agent) { a.AgentUUID = "u-1" }, " u-1\t", nil},
		"only blanks":          {func(a *directory.Agent) { a.AgentUUID = "\t" }, " ", []string{"agentUUID"}},
		"key with a tab":       {func(a *directory.Agent) { a.AgentUUID = "a\tb" }, "", []string{"agentUUID"}},
		"longest text":         {func(a *directory.Agent) { a.AgentName = long }, "u", nil},
		"texts too long": {
			func(a *directory.Agent) { a.AgentName, a.Email = long+"x", long+"x" }, "u", []string{"agentName", "email"},
		},
		"NUL":      {func(a *directory.Agent) { a.ThisDN = "1\x00" }, "u", []string{"thisDN"}},
		"no bound": {func(a *directory.Agent) { a.MaxConcurrentChats = -1 }, "u", nil},
		"below no bound": {
			func(a *directory.Agent) { a.MaxConcurrentChats = -2 }, "u", []string{"maxConcurrentChats"},
		},
		"phoneType":  {func(a *directory.Agent) { a.PhoneType = 6 }, "u", []string{"phoneType"}},
		"clientType": {func(a *directory.Agent) { a.ClientType = "web" }, "u", []string{"clientType"}},
		"sipStatus":  {func(a *directory.Agent) { a.SIPStatus = "" }, "u", []string{"sipStatus"}},
		"an empty department": {
			func(a *directory.Agent) { a.DepartmentIDs = []string{"d", " "} }, "u", []string{"departmentIds[1]"},
		},
		"too many of a list": {
			func(a *directory.Agent) { a.QueueIDs = make([]string, directory.MaxList+1) }, "u", []string{"queueIds"},
		},
		"an id of a group long": {
			func(a *directory.Agent) { a.GroupIDs = []string{long + "x"} }, "u", []string{"groupIds[0]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := directory.New(directory.Agents).(*directory.Agent)
			tt.change(a)
			var fields []string
			for _, p := range directory.Check(a, tt.id) {
				fields = append(fields, p.Field)
				require.NotEmpty(t, p.Message)
			}
			require.Equal(t, tt.fields, fields)
		})
	}

	a := &directory.Agent{
		AgentUUID: " u ", AgentName: " Ann ", Email: " a@b.c ", DepartmentIDs: []string{" a", "b", "a"}, ClientType: "Web",
		SIPStatus: "online",
	}
	require.Empty(t, directory.Check(a, ""))
	require.Equal(t, &directory.Agent{
		AgentUUID: "u", AgentName: " Ann ", Email: "a@b.c", DepartmentIDs: []string{"a", "b"}, GroupIDs: []string{},
		QueueIDs: []string{}, ClientType: "Web", SIPStatus: "online",
	}, a)

	for name, want := range map[string]string{" frank 10001": " frank 10001", "\t Ann\r\n": " Ann", "  \t ": "", "": ""} {
		a.AgentName = name
		require.Empty(t, directory.Check(a, ""))
		require.Equal(t, want, a.AgentName, "%q", name)
	}

	a.AgentName = strings.Repeat(" ", directory.MaxText) + "x"
	require.Equal(t, "agentName", directory.Check(a, "")[0].Field)
}

func TestCheckOthers(t *testing.T) {
	require.Equal(t, "siteId", directory.Check(&directory.Department{DepartmentID: "d", SiteID: -1}, "")[0].Field)
	require.Equal(t, "description",
		directory.Check(&directory.Department{DepartmentID: "d", Description: strings.Repeat("x", 2001)}, "")[0].Field)
	require.Equal(t, "departmentId", directory.Check(&directory.Department{}, "")[0].Field)
	require.Equal(t, "departmentId", directory.Check(&directory.Department{DepartmentID: "a|b"}, "")[0].Field,
		"events would name two")
	require.Empty(t, directory.Check(&directory.Department{DepartmentID: "a/b"}, ""))
	require.Equal(t, "groupId", directory.Check(&directory.Group{}, "")[0].Field)
	require.Equal(t, "queueId", directory.Check(&directory.Queue{}, "")[0].Field)
	require.Equal(t, "media", directory.Check(&directory.Queue{QueueID: "q", Media: "fax"}, "")[0].Field)
	require.Empty(t, directory.Check(&directory.Queue{QueueID: "q", Media: "call"}, ""))
}

// The book says what a plain list of the last objects says, and a directory that
// was handed out never changes.
func TestBookIsTheLastOfEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b directory.Book
		last := map[string]directory.Object{} // tenant/kind/key
		var held *directory.Directory
		var heldAgents []*directory.Agent

		for v := range int64(rapid.IntRange(1, 40).Draw(t, "changes")) {
			c := directory.Change{
				Tenant: int64(rapid.IntRange(1, 2).Draw(t, "tenant")), Version: v,
				Kind: rapid.SampledFrom(directory.Kinds).Draw(t, "kind"),
				Key:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
			}
			name := fmt.Sprint(c.Tenant, c.Kind, c.Key)
			delete(last, name)
			if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
				switch c.Kind {
				case directory.Agents:
					c.Object = &directory.Agent{
						AgentUUID: c.Key, AgentID: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "agentID"),
						DepartmentIDs: []string{rapid.SampledFrom([]string{"x", "y"}).Draw(t, "department")},
					}
				case directory.Departments:
					c.Object = &directory.Department{DepartmentID: c.Key, Name: fmt.Sprint(v)}
				case directory.Groups:
					c.Object = &directory.Group{GroupID: c.Key, Name: fmt.Sprint(v)}
				case directory.Queues:
					c.Object = &directory.Queue{QueueID: c.Key, Name: fmt.Sprint(v)}
				}
				last[name] = c.Object
			}
			b.Apply([]directory.Change{c})
			if rapid.Bool().Draw(t, "hold") {
				held = b.Of(1)
				heldAgents = held.Agents()
			}
		}

		if held != nil {
			require.Equal(t, heldAgents, held.Agents(), "what was handed out never changes")
		}

		for tenant := int64(1); tenant <= 2; tenant++ {
			d := b.Of(tenant)
			require.Same(t, d, b.Of(tenant))
			got := map[string]directory.Object{}
			keep(got, tenant, d.Agents(), d.Agent)
			keep(got, tenant, d.Departments(), d.Department)
			keep(got, tenant, d.Groups(), d.Group)
			keep(got, tenant, d.Queues(), d.Queue)

			want := map[string]directory.Object{}
			for name, o := range last {
				if strings.HasPrefix(name, fmt.Sprint(tenant)) {
					want[name] = o
				}
			}
			require.Equal(t, want, got)

			for _, id := range []string{"1", "2"} {
				var want []string
				for _, o := range last {
					a, ok := o.(*directory.Agent)
					if ok && a.AgentID == id && last[fmt.Sprint(tenant, directory.Agents, a.AgentUUID)] == o {
						want = append(want, a.DepartmentIDs...)
					}
				}
				require.ElementsMatch(t, want, b.Departments(tenant, "", id))
			}

			for _, uuid := range []string{"a", "b", "c"} {
				var want []string
				if a := d.Agent(uuid); a != nil {
					want = a.DepartmentIDs
				}
				require.Equal(t, want, b.Departments(tenant, uuid, "1"), "an agentUUID says who it is, whatever the agentID")
			}
		}
	})
}

func keep[T directory.Object](into map[string]directory.Object, tenant int64, list []T, find func(string) T) {
	if !slices.IsSortedFunc(list, func(a, b T) int { return cmp.Compare(a.Key(), b.Key()) }) {
		panic("not sorted")
	}
	for _, o := range list {
		if directory.Object(find(o.Key())) != directory.Object(o) {
			panic("found another one")
		}
		into[fmt.Sprint(tenant, o.Kind(), o.Key())] = o
	}
}

func TestEmptyBook(t *testing.T) {
	var b directory.Book
	require.Empty(t, b.Of(1).Agents())
	require.Nil(t, b.Of(1).Agent("u"))
	require.Nil(t, b.Departments(1, "u", "1"))
}

func BenchmarkDepartments(b *testing.B) {
	var book directory.Book
	for i := range 10_000 {
		book.Apply([]directory.Change{{
			Tenant: 1, Version: int64(i), Kind: directory.Agents, Key: fmt.Sprint("u", i),
			Object: &directory.Agent{
				AgentUUID: fmt.Sprint("u", i), AgentID: fmt.Sprint(i), DepartmentIDs: []string{"d"},
			},
		}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(book.Departments(1, "u77", "")) != 1 || len(book.Departments(1, "", "77")) != 1 {
			b.Fatal("not found")
		}
	}
}
