package deepcall

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// failure is the answer to a refused request, as the document shows it.
type failure struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Code    int    `json:"code"`
}

// Codes of failures: general ones below 1500, then those of each endpoint.
const (
	badParameter   = 1000
	badType        = 1001
	noUser         = 1002
	unknownGroup   = 1006
	wrongToken     = 1014
	forbidden      = 1015
	noToken        = 1020
	internal       = 1032
	suspended      = 1039
	badRequest     = 1047
	badFilter      = 1502
	badStatus      = 1508
	unknownMember  = 1521
	permissionText = "Permission denied"
)

// messages are the vendor's texts for the codes.
var messages = map[int]string{
	badParameter: "Invalid parameter(s)", badType: "Invalid data type", noUser: "UserId not provided",
	unknownGroup: "GroupId does not exist",
	wrongToken:   "Invalid token", forbidden: permissionText, noToken: "Token not found", internal: "Internal server error",
	suspended: "User account suspended", badRequest: "Invalid Request Data", badFilter: "Invalid filter value",
	badStatus: "Invalid status value", unknownMember: "Please Provide Only Valid fields",
}

// problem says why a request is refused. DeepCall answers 200 and says the outcome in code,
// so only a problem that is not about the request has an HTTP status of its own.
type problem struct {
	Code   int
	Text   string // what is wrong and where; "": the vendor's message says it all
	Status int    // HTTP; 0: by the tenant's setting
}

func (p *problem) Error() string {
	if p.Text == "" {
		return messages[p.Code]
	}
	return messages[p.Code] + ": " + p.Text
}

func bad(code int, format string, args ...any) *problem {
	return &problem{Code: code, Text: fmt.Sprintf(format, args...)}
}

// allow lets pages of any site read the answer, as the vendor's server does.
func allow(w http.ResponseWriter) {
	for name, value := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST, GET, OPTIONS, PATCH, DELETE",
		"Access-Control-Allow-Headers": "X-Requested-With, content-type", "Access-Control-Allow-Credentials": "true",
		"Vary": "Origin",
	} {
		w.Header().Set(name, value)
	}
}

// write answers in the bytes and with the headers of the vendor's Express server.
func write(w http.ResponseWriter, r *http.Request, status int, v any) {
	raw, err := marshal(v)
	if err != nil {
		panic(err) // cannot happen with the types of this package
	}

	allow(w)
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("ETag", etag(raw))
	if r.TLS != nil { // over plain HTTP it must not be sent
		h.Set("Strict-Transport-Security", transportSecurity(r.URL.Path))
	}

	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the caller went away
}

// transportSecurity returns the value of Strict-Transport-Security, which differs in the
// two documents.
func transportSecurity(path string) string {
	if strings.HasPrefix(strings.TrimPrefix(path, tablePrefix), "/api/v2/Agent/") {
		return "max-age=15724800; includeSubDomains"
	}
	return "max-age=31536000; includeSubDomains"
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // nor does JSON.stringify
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// etag returns the weak ETag that Express gives a body.
func etag(body []byte) string {
	sum := sha1.Sum(body)
	return fmt.Sprintf(`W/"%x-%s"`, len(body), base64.StdEncoding.EncodeToString(sum[:])[:27])
}

// Refuse implements dialect.Dialect.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	p := &problem{Code: badRequest, Text: text, Status: status}
	if status == http.StatusInternalServerError {
		p.Code, p.Text = internal, ""
	}
	write(w, r, status, failure{"error", p.Error(), p.Code})
}

// fail answers an error. company is the caller's tenant, which may want errors to be HTTP
// statuses as well; it is "" unless the key was right.
func (a *API) fail(w http.ResponseWriter, r *http.Request, company string, err error) {
	why := a.problemOf(w, r, err)
	if why == nil {
		return // the caller went away
	}

	status := why.Status
	if status == 0 {
		status = http.StatusOK
		if a.setting(company, "deepcall.httpStatusErrors") == true {
			status = statusOf(why.Code)
		}
	}

	write(w, r, status, failure{"error", why.Error(), why.Code})
}

func statusOf(code int) int {
	if code == forbidden {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// problemOf returns the problem that an error is, also for the errors that all dialects
// share; nil if the caller went away.
func (a *API) problemOf(w http.ResponseWriter, r *http.Request, err error) *problem {
	if p, is := errors.AsType[*problem](err); is {
		return p
	}

	f := dialect.FaultOf(w, r, a.Log(), err)
	switch {
	case f == nil:
		return nil
	case f.Body:
		return bad(badRequest, "body %s", f.Text)
	case f.Status == http.StatusBadRequest:
		return bad(badParameter, "%s", f.Text)
	case errors.Is(err, access.ErrSuspended):
		return &problem{Code: suspended}
	case f.Status == http.StatusForbidden:
		return &problem{Code: forbidden}
	case f.Status == http.StatusUnauthorized:
		return &problem{Code: wrongToken}
	case errors.As(err, new(*access.SlowDown)):
		return &problem{Code: wrongToken, Status: f.Status}
	}
	return &problem{Code: internal, Status: f.Status}
}
