package liveperson

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Bounds of a request.
const (
	maxSkills = 1000
	maxSkill  = 256 // characters of a skill's id
)

// query is what a request asks for.
type query struct {
	maxWait bool     // v is 2 or more
	skills  []string // nil means all
}

// readQuery reads the parameters of a request.
func readQuery(r *http.Request) (q query, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, bad("query", "is malformed")
	}
	for _, name := range []string{"v", "skillIds"} {
		if len(values[name]) > 1 {
			return q, bad(name, "is given more than once")
		}
	}

	switch v := strings.TrimSpace(values.Get("v")); {
	case v == "":
		return q, bad("v", "is required")
	case !digits(v) || strings.Trim(v, "0") == "":
		return q, bad("v", "must be a whole number from 1 on")
	default:
		q.maxWait = strings.TrimLeft(v, "0") != "1" // versions after 2 are not known, and read as 2
	}

	q.skills, err = readSkills(values.Get("skillIds"))
	return q, err
}

// readSkills reads ids with commas between. It returns each id once, in the order in
// which they are asked for; nil means all.
func readSkills(s string) (ids []string, err error) {
	if s = strings.TrimSpace(s); s == "" || s == "all" {
		return nil, nil
	}

	seen := map[string]bool{}
	for id := range strings.SplitSeq(s, ",") {
		switch id = strings.TrimSpace(id); {
		case !digits(id):
			return nil, bad("skillIds", "must be all, or numbers with commas between")
		case len(id) > maxSkill:
			return nil, bad("skillIds", fmt.Sprintf("must not have ids of more than %d digits", maxSkill))
		case !seen[id]:
			seen[id] = true
			ids = append(ids, id)
		}
		if len(ids) > maxSkills {
			return nil, bad("skillIds", fmt.Sprintf("must not be more than %d ids", maxSkills))
		}
	}
	return ids, nil
}

// digits reports whether s is one digit or more, and nothing else.
func digits(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < '0' || c > '9' })
}
