package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/hookline/hookline/hub/problem"
)

// ifMatch reads the version that the caller wants to change; 0 when any will do.
func ifMatch(r *http.Request) (int64, error) {
	s := strings.TrimSpace(r.Header.Get("If-Match"))
	if s == "" || s == "*" {
		return 0, nil
	}
	v, err := strconv.ParseInt(strings.Trim(s, `"`), 10, 64)
	if err != nil || v <= 0 {
		return 0, problem.Field(http.StatusBadRequest, "If-Match", "must be the version of the object, as in its ETag")
	}
	return v, nil
}
