package liveperson

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func ask(raw string) (query, error) {
	r := httptest.NewRequest(http.MethodGet, "/operations/api/account/acme/queuestate", nil)
	r.URL.RawQuery = raw
	return readQuery(r)
}

func TestReadQuery(t *testing.T) {
	many := strings.Repeat("9", 30)
	for raw, want := range map[string]query{
		"v=1":                         {},
		"v=2":                         {maxWait: true},
		"v=+3+":                       {maxWait: true},
		"v=01&skillIds=":              {},
		"v=" + many:                   {maxWait: true},
		"v=1&skillIds=all":            {},
		"skillIds=4,15,3&v=1":         {skills: []string{"4", "15", "3"}},
		"v=1&skillIds=+4+,4,+04":      {skills: []string{"4", "04"}},
		"v=1&skillIds=1%2C100&extra=": {skills: []string{"1", "100"}},
	} {
		q, err := ask(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, q, raw)
	}
	for raw, field := range map[string]string{
		"": "v", "v=": "v", "v=x": "v", "v=0": "v", "v=000": "v", "v=-1": "v", "v=1.5": "v", "v=1&v=2": "v", "v=%00": "v",
		"V=1":            "v",
		"v=1&skillIds=x": "skillIds", "v=1&skillIds=1,,2": "skillIds", "v=1&skillIds=,": "skillIds",
		"v=1&skillIds=all,1": "skillIds", "v=1&skillIds=-1": "skillIds",
		"v=1&skillIds=1;2": "query", "v=1&skillIds=%zz": "query", "v=1&skillIds=1&skillIds=2": "skillIds",
		"v=1&skillIds=1.5": "skillIds", "v=1&skillIds=%D9%A1": "skillIds",
		"v=1&skillIds=" + strings.Repeat("1", maxSkill+1): "skillIds",
	} {
		_, err := ask(raw)
		var p *problem
		require.ErrorAs(t, err, &p, raw)
		require.Equal(t, http.StatusBadRequest, p.Status)
		require.True(t, strings.HasPrefix(p.Text, field+": "), "%s: %s", raw, p.Text)
	}
	var ids []string
	for i := range maxSkills + 1 {
		ids = append(ids, strings.Repeat("1", i/10+1)+string(rune('0'+i%10)))
	}
	_, err := ask("v=1&skillIds=" + strings.Join(ids, ","))
	require.Error(t, err)
}

// Whatever a client sends is a query within the bounds, or a 400 that names what is wrong.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"v=1&skillIds=4,15,3", "v=2&skillIds=all", "v=%", "skillIds=1", "v=1;skillIds=2", "v=1&skillIds=,,",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := ask(raw)
		var p *problem
		switch {
		case err != nil && (!errors.As(err, &p) || p.Status != http.StatusBadRequest):
			t.Errorf("%q: %v", raw, err)
		case err != nil:
			return
		case len(q.skills) > maxSkills:
			t.Errorf("%q gives %d skills", raw, len(q.skills))
		}
		for _, id := range q.skills {
			if !digits(id) || len(id) > maxSkill {
				t.Errorf("%q gives skill %q", raw, id)
			}
		}
		if values, err := url.ParseQuery(raw); err != nil || values.Get("v") == "" {
			t.Errorf("%q is taken: %v", raw, err)
		}
	})
}
