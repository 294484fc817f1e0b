package sobot

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
)

// planTypes are those of talk records, and of the reports of relay numbers, agents and
// departments.
var planTypes = []int64{1, 2, 4, 24}

// plan is a display scheme of indicators. checked is only in the document's example.
type plan struct {
	ID       string `json:"id"`
	PlanName string `json:"planName"`
	PlanType int64  `json:"planType"`
	Checked  int    `json:"checked"`
}

// planOf returns the one scheme that a company has of a type.
func planOf(companyID string, planType int64) plan {
	const name = "Default plan"
	id := md5.Sum([]byte(companyID + ":" + strconv.FormatInt(planType, 10) + ":" + name))
	return plan{hex.EncodeToString(id[:]), name, planType, 1}
}

// checkPlan answers S12, GET gateway_number/check_plan: "Get All Indicator Display
// Schemes". The document's example is one object all the same: the answer is one with
// planType, and an array of all four without it.
func (a *API) checkPlan(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) error {
	if err := checkZone(r); err != nil {
		return err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("PARAM_VALUE", "query", "is malformed")
	}

	const param = "planType"
	given := q[param]
	if len(given) > 1 {
		return bad("PARAM_VALUE", param, "is given more than once")
	}
	text := strings.Trim(strings.Join(given, ""), " \t\r\n")
	if text == "" {
		plans := make([]plan, len(planTypes))
		for i, t := range planTypes {
			plans[i] = planOf(c.CompanyID, t)
		}
		return succeedReport(w, "CheckPlan", plans)
	}

	if n := strings.TrimPrefix(text, "-"); n == "" || strings.Trim(n, "0123456789") != "" {
		return bad("PARAM_TYPE", param, "must be an integer")
	}
	t, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !slices.Contains(planTypes, t) {
		return bad("PARAM_VALUE", param, "must be one of "+list(planTypes))
	}
	return succeedReport(w, "CheckPlan", planOf(c.CompanyID, t))
}
