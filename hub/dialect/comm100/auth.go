package comm100

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller is who makes a request, if he may query: "Bearer <key>", or "Basic" with
// any e-mail and the key as password.
func (a *API) caller(r *http.Request) (access.Caller, error) {
	key, err := readKey(r.Header.Values("Authorization"))
	if err != nil {
		key = "?" // counted as a wrong one
	}
	c, err := a.Caller(r, key)
	if err != nil {
		return c, err
	}
	return c, dialect.MayQuery(c)
}

// readKey is "" when there is none.
func readKey(headers []string) (string, error) {
	switch len(headers) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", access.ErrCredential // which one is meant?
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(headers[0]), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case rest == "":
	case strings.EqualFold(scheme, "Bearer"):
		return rest, nil
	case strings.EqualFold(scheme, "Basic"):
		raw, err := base64.StdEncoding.DecodeString(rest)
		if _, password, found := strings.Cut(string(raw), ":"); err == nil && found && password != "" {
			return password, nil
		}
	}
	return "", access.ErrCredential
}
