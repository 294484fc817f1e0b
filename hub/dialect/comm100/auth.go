package comm100

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller returns who makes a request, when he may query. The credential is "Bearer
// <key>", or "Basic" with any e-mail and the key as password.
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

// readKey returns the key in the headers Authorization, "" when there is no such
// header. The error is access.ErrCredential.
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
