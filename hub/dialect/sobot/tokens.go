package sobot

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/fair"
)

// maxAgent is how many bytes an agent's id in a token may have.
const maxAgent = 128

// grant is the answer to a request for a token. The vendor's older pages show its
// names with underscores and the newer ones without: it has both.
type grant struct {
	ResponseType string `json:"response_type"`
	AccessToken  string `json:"access_token"`
	AccessToken2 string `json:"accessToken"`
	ExpiresIn    int64  `json:"expires_in"` // ms
	ExpiresIn2   int64  `json:"expiresIn"`
	Realm        string `json:"realm"`
	Domain       string `json:"domain"`
}

// companyToken answers POST /tokens/company.
func (a *API) companyToken(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
	a.grant(w, r, access.CompanyToken)
}

// agentToken answers POST /tokens/agent.
func (a *API) agentToken(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
	a.grant(w, r, access.AgentToken)
}

// grant answers with a token of a kind.
func (a *API) grant(w http.ResponseWriter, r *http.Request, kind access.TokenKind) {
	text, err := a.makeToken(w, r, kind)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	life := access.TokenLife.Milliseconds()
	if err := write(w, http.StatusOK, grant{"token", text, text, life, life, "third", "sobot"}); err != nil {
		a.fail(w, r, err)
	}
}

// makeToken reads a signed request and returns the token that it gets.
func (a *API) makeToken(w http.ResponseWriter, r *http.Request, kind access.TokenKind) (string, error) {
	p, err := readBodyUpTo(w, r, fair.StrangerBody) // who asks stands in it
	if err != nil {
		return "", err
	}
	responseType := p.needed("responseType")
	if responseType != "" && responseType != "token" {
		p.refuse("PARAM_VALUE", "responseType", "must be token")
	}
	appID := p.needed("appId")
	currentTime := p.needed("currentTime")
	sign := p.needed("sign")
	ms, ok := digits(currentTime)
	if !ok || ms > lastInstant {
		p.refuse("PARAM_TYPE", "currentTime", "must be a time in Unix milliseconds")
	}

	var agentUUID, agentID string
	if kind == access.AgentToken {
		agentUUID = p.text("agentId")
		agentNo, _ := p.given("agentNo", "agentNumber") // a note of the vendor's page calls it so
		agentID = p.text(agentNo)
		switch {
		case agentUUID == "" && agentID == "":
			p.refuse("PARAM_REQUIRED", "agentId", "is required, or agentNo")
		case len(agentUUID) > maxAgent:
			p.refuse("PARAM_VALUE", "agentId", fmt.Sprintf("must not be longer than %d bytes", maxAgent))
		case len(agentID) > maxAgent:
			p.refuse("PARAM_VALUE", agentNo, fmt.Sprintf("must not be longer than %d bytes", maxAgent))
		case agentUUID != "":
			agentID = "" // agentId wins
		}
	}
	if p.err != nil {
		return "", p.err
	}

	app, err := a.Tokens.Redeem(r.Context(), appID, appID+currentTime+responseType, time.UnixMilli(ms), sign)
	if err != nil {
		return "", a.refused(w, r, err, "currentTime")
	}
	return a.Tokens.Issue(app, kind, agentUUID, agentID)
}

// needed reads a required text, or an integer that stands for its digits.
func (p *params) needed(name string) string {
	if _, v := p.given(name); !p.required(name, v) {
		return ""
	}
	return p.text(name)
}

// digits reads a whole number that consists of digits only. Its text is signed, so
// that there must be one way to write it.
func digits(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// refused returns what an error of Redeem is to the client. clock is the parameter that
// holds the time at which the request was signed.
func (a *API) refused(w http.ResponseWriter, r *http.Request, err error, clock string) error {
	no := func(param, text string) error {
		return &problem{http.StatusUnauthorized, "UNAUTHORIZED", param + ": " + text}
	}
	switch {
	case errors.Is(err, access.ErrSignTime):
		return no(clock, "must be within 5 minutes of now")
	case errors.Is(err, access.ErrSignUsed):
		return no("sign", "was used before; sign anew with the time of now")
	case errors.Is(err, access.ErrSignLimit):
		w.Header().Set("Retry-After", "60")
		return &problem{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", err.Error()}
	case errors.Is(err, access.ErrCredential):
		err = a.Wrong(r)
		if errors.Is(err, access.ErrCredential) { // not yet too many of them
			return no("sign", "is wrong, or the app is unknown")
		}
	}
	return err
}

// oldGrant is the answer to GET /api/get_token.
type oldGrant struct {
	Code    string `json:"ret_code"` // 000000, or the HTTP status with zeros before it
	Message string `json:"ret_msg"`
	Item    *struct {
		Token     string `json:"token"`
		ExpiresIn int64  `json:"expires_in"` // s
	} `json:"item,omitempty"`
}

// oldToken answers GET /api/get_token, where clients of the vendor's V5 platform get
// their token. No public page shows what it answers when it refuses; here ret_code is
// the HTTP status.
func (a *API) oldToken(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
	text, err := a.makeOldToken(w, r)
	var p *problem
	if err != nil {
		p = a.problemOf(w, r, err)
		if p == nil {
			return // the caller is gone
		}
	}

	status, out := http.StatusOK, oldGrant{Code: "000000", Message: "success"}
	if p != nil {
		status, out = p.Status, oldGrant{Code: fmt.Sprintf("%06d", p.Status), Message: p.Text}
	} else {
		out.Item = &struct {
			Token     string `json:"token"`
			ExpiresIn int64  `json:"expires_in"`
		}{text, int64(access.TokenLife.Seconds())}
	}
	if err := write(w, status, out); err != nil {
		a.Log().Error("answer", "err", err)
	}
}

// makeOldToken reads a signed request and returns the token that it gets.
func (a *API) makeOldToken(w http.ResponseWriter, r *http.Request) (string, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", bad("PARAM_VALUE", "query", "is malformed")
	}
	p := &params{}
	value := func(name string) string {
		switch v := q[name]; {
		case len(v) > 1:
			p.refuse("PARAM_VALUE", name, "is given more than once")
		case len(v) == 0 || v[0] == "":
			p.refuse("PARAM_REQUIRED", name, "is required")
		default:
			return v[0]
		}
		return ""
	}

	appID := value("appid")
	created := value("create_time")
	sign := value("sign")
	seconds, ok := digits(created)
	if p.err == nil && (!ok || seconds > lastInstant/1000) {
		p.refuse("PARAM_TYPE", "create_time", "must be a time in Unix seconds")
	}
	if p.err != nil {
		return "", p.err
	}

	app, err := a.Tokens.Redeem(r.Context(), appID, appID+created, time.Unix(seconds, 0), sign)
	if err != nil {
		return "", a.refused(w, r, err, "create_time")
	}
	return a.Tokens.Issue(app, access.CompanyToken, "", "")
}
