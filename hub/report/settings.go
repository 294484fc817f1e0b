package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/directory"
)

// Settings of a tenant that reports read when they are made: a change holds for the past
// too.
type Settings struct {
	XSeconds         int64 // a talk of so many seconds or more is an Xs talk
	ReasonsA         []int64
	ReasonsB         []int64
	RouteKinds       map[string]RouteKind // by firstRouteId
	DepartmentNames  map[string]string
	AgentDepartments map[string][]string // by agentUUID, for parties that name none
}

// RouteKind is where the first route of a call leads.
type RouteKind string

// RouteKinds as tenants write them.
const (
	RouteAgent  RouteKind = "agent"
	RouteThird  RouteKind = "thirdPSTN"
	RouteMemory RouteKind = "agentMemory"
)

// DefaultXSeconds holds where a tenant has not set xsSeconds.
const DefaultXSeconds = 30

// The reason sets of a tenant that has not set them.
var (
	DefaultReasonsA = []int64{12, 13, 15} // training, meeting, active
	DefaultReasonsB = []int64{2, 11, 14}  // DND, break, dining
)

// Bounds of settings.
const (
	maxReasons = 1000
	maxEntries = 10_000
	maxText    = 256
)

// writtenSettings are the settings as tenants write them.
type writtenSettings struct {
	XSeconds    *int64               `json:"xsSeconds"`
	ReasonsA    []int64              `json:"reasonCodesA"`
	ReasonsB    []int64              `json:"reasonCodesB"`
	RouteKinds  map[string]RouteKind `json:"routeKinds"`
	Departments []struct {
		ID   string `json:"departId"`
		Name string `json:"departName"`
	} `json:"departments"`
	AgentDepartments map[string][]string `json:"agentDepartments"`
}

// NewSettings returns the settings of a tenant, which were checked when they were set, and
// what its directory says: a setting wins for its ids.
func NewSettings(of map[string]any, d *directory.Directory) (Settings, error) {
	s := Settings{
		XSeconds: DefaultXSeconds, ReasonsA: DefaultReasonsA, ReasonsB: DefaultReasonsB,
		RouteKinds: map[string]RouteKind{}, DepartmentNames: map[string]string{}, AgentDepartments: map[string][]string{},
	}
	for _, dep := range d.Departments() {
		s.DepartmentNames[dep.DepartmentID] = dep.Name
	}
	for _, a := range d.Agents() {
		s.AgentDepartments[a.AgentUUID] = a.DepartmentIDs
	}

	// From a map of the tenant's settings, in which others are too, to a struct.
	mine := map[string]any{}
	for name := range Checks {
		if v, there := of[name]; there {
			mine[name] = v
		}
	}
	raw, err := json.Marshal(mine)
	if err != nil {
		return s, fmt.Errorf("settings of reports: %w", err)
	}
	var g writtenSettings
	if err := json.Unmarshal(raw, &g); err != nil {
		return s, fmt.Errorf("settings of reports: %w", err)
	}

	if g.XSeconds != nil {
		s.XSeconds = *g.XSeconds
	}
	if g.ReasonsA != nil {
		s.ReasonsA = g.ReasonsA
	}
	if g.ReasonsB != nil {
		s.ReasonsB = g.ReasonsB
	}
	for route, kind := range g.RouteKinds {
		s.RouteKinds[trimBlanks(route)] = kind
	}
	for _, dep := range g.Departments {
		s.DepartmentNames[trimBlanks(dep.ID)] = dep.Name
	}
	for agent, ids := range g.AgentDepartments {
		s.AgentDepartments[trimBlanks(agent)] = tidy(ids)
	}
	return s, nil
}

func trimBlanks(s string) string { return strings.Trim(s, " \t\r\n") }

// tidy returns ids trimmed, without empty and repeated ones.
func tidy(ids []string) (all []string) {
	for _, id := range ids {
		if id = trimBlanks(id); id != "" && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Checks has a check for each setting, by its name. It takes the value as JSON decodes it, and
// returns what is wrong with it; "" if nothing is.
var Checks = map[string]func(v any) string{
	"xsSeconds": func(v any) string {
		if n, ok := v.(float64); ok && n == float64(int64(n)) && n >= 1 && n <= 1e9 {
			return ""
		}
		return "must be a whole number of seconds from 1 to 1000000000"
	},
	"reasonCodesA":     checkCodes,
	"reasonCodesB":     checkCodes,
	"routeKinds":       checkRoutes,
	"departments":      checkDepartments,
	"agentDepartments": checkAgents,
}

func checkCodes(v any) string {
	codes, ok := v.([]any)
	ok = ok && len(codes) <= maxReasons
	for _, c := range codes {
		n, is := c.(float64)
		ok = ok && is && n == float64(int64(n)) && n >= -1e9 && n <= 1e9
	}
	if !ok {
		return fmt.Sprintf("must be a list of at most %d whole numbers", maxReasons)
	}
	return ""
}

func isText(v any) bool {
	s, ok := v.(string)
	return ok && len(s) <= maxText && !strings.ContainsRune(s, 0)
}

func checkRoutes(v any) string {
	routes, ok := v.(map[string]any)
	ok = ok && len(routes) <= maxEntries
	for route, kind := range routes {
		k, _ := kind.(string)
		ok = ok && isText(route) && slices.Contains([]RouteKind{RouteAgent, RouteThird, RouteMemory}, RouteKind(k))
	}
	if !ok {
		return fmt.Sprintf("must be an object of at most %d route ids, each with one of %q, %q, %q", maxEntries, RouteAgent, RouteThird, RouteMemory)
	}
	return ""
}

func checkDepartments(v any) string {
	all, ok := v.([]any)
	ok = ok && len(all) <= maxEntries
	for _, one := range all {
		d, is := one.(map[string]any)
		id, _ := d["departId"].(string)
		ok = ok && is && isText(id) && trimBlanks(id) != ""
		for name, v := range d {
			ok = ok && (name == "departId" || name == "departName" && isText(v))
		}
	}
	if !ok {
		return fmt.Sprintf(`must be a list of at most %d objects {"departId", "departName"}`, maxEntries)
	}
	return ""
}

func checkAgents(v any) string {
	all, ok := v.(map[string]any)
	ok = ok && len(all) <= maxEntries
	for agent, list := range all {
		ids, is := list.([]any)
		ok = ok && is && isText(agent) && len(ids) <= maxReasons
		for _, id := range ids {
			ok = ok && isText(id)
		}
	}
	if !ok {
		return fmt.Sprintf("must be an object of at most %d agentUUIDs, each with a list of at most %d department ids", maxEntries, maxReasons)
	}
	return ""
}
