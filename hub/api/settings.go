package api

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/report"
)

// DefaultPayloadDays is how long bodies are kept, and DefaultMetadataDays how long
// everything else, when the settings of a tenant do not say.
const (
	DefaultPayloadDays  = 30
	DefaultMetadataDays = 400
	maxDays             = 3650
)

// settings has the check of each setting of a tenant. A check returns what is wrong
// with a value, or "".
var settings = map[string]func(any) string{
	"payloadDays":   checkDays,
	"metadataDays":  checkDays,
	"recordingDays": checkDays,
	"validation":    oneOf("lenient", "strict"),
	"allowECB":      checkBool,

	"comm100.rateLimit": whole(1, 1_000_000, "calls in 5 minutes"),
	"comm100.statusIds": checkStatusIDs,
	"staleCallHours":    whole(1, 720, "hours"),
	"staleChatHours":    whole(1, 720, "hours"),

	"xsSeconds":                 report.Checks["xsSeconds"],
	"reasonCodesA":              report.Checks["reasonCodesA"],
	"reasonCodesB":              report.Checks["reasonCodesB"],
	"routeKinds":                report.Checks["routeKinds"],
	"departments":               report.Checks["departments"],
	"agentDepartments":          report.Checks["agentDepartments"],
	"deepcall.defaultGroup":     checkID,
	"deepcall.httpStatusErrors": checkBool,
}

// checkSettings returns what is wrong with the settings of a tenant.
func checkSettings(values map[string]any) []problem.Error {
	var errs []problem.Error
	bad := func(name, message string) {
		errs = append(errs, problem.Error{Field: "settings." + name, Message: message})
	}

	for name, v := range values {
		switch check, known := settings[name]; {
		case !known:
			bad(name, "is not a setting")
		default:
			if msg := check(v); msg != "" {
				bad(name, msg)
			}
		}
	}

	if len(errs) == 0 && days(values, "payloadDays", DefaultPayloadDays) > days(values, "metadataDays",
		DefaultMetadataDays) {
		bad("payloadDays", "must not be more than metadataDays: a body is found through its metadata")
	}

	slices.SortFunc(errs, func(a, b problem.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs
}

// days returns a setting that is a number of days.
func days(values map[string]any, name string, otherwise float64) float64 {
	if n, ok := values[name].(float64); ok {
		return n
	}
	return otherwise
}

func checkDays(v any) string {
	if n, ok := v.(float64); ok && n == math.Trunc(n) && n >= 1 && n <= maxDays {
		return ""
	}
	return fmt.Sprintf("must be a whole number of days from 1 to %d", maxDays)
}

func checkID(v any) string {
	if s, ok := v.(string); ok && s != "" && utf8.RuneCountInString(s) <= 128 &&
		!strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return "must be a text of 1 to 128 characters"
}

func whole(least, most float64, what string) func(any) string {
	return func(v any) string {
		if n, ok := v.(float64); ok && n == math.Trunc(n) && n >= least && n <= most {
			return ""
		}
		return fmt.Sprintf("must be a whole number of %s from %.0f to %.0f", what, least, most)
	}
}

// checkStatusIDs checks the ids that Comm100's clients know statuses by, for each
// reason code.
func checkStatusIDs(v any) string {
	const must = `must be an object of GUIDs by reason code, like {"11": "5827eacf-c08e-4eb9-b09c-00155d081d0b"}`

	ids, ok := v.(map[string]any)
	if !ok || len(ids) > 100 {
		return must
	}
	for code, id := range ids {
		s, ok := id.(string)
		if n, err := strconv.Atoi(code); err != nil || n < 0 || n > 99 || strconv.Itoa(n) != code || !ok || len(s) != 36 ||
			uuid.Validate(s) != nil {
			return must
		}
	}
	return ""
}

func checkBool(v any) string {
	if _, ok := v.(bool); ok {
		return ""
	}
	return "must be true or false"
}

func oneOf(words ...string) func(any) string {
	return func(v any) string {
		if s, ok := v.(string); ok && slices.Contains(words, s) {
			return ""
		}
		return fmt.Sprintf("must be one of %q", words)
	}
}
