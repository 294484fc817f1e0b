package dialect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on the machine
	"unicode/utf8"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/live"
)

// Kit is what the API of every vendor needs and does alike. A dialect embeds it;
// its parameters, its answers and its own errors stay its own.
type Kit struct {
	// Clock returns the moment that a query is about, in Unix ms. An error means that
	// the request has a header NowHeader that cannot be read. Default: the time of now.
	Clock func(r *http.Request) (int64, error)
	// TenantZone returns the time zone that a tenant has set, or nil when it has set
	// none. An error means that the zone cannot be read. Default: nobody has set one.
	TenantZone func(tenant int64) (*time.Location, error)
	Boards     *live.Boards
	Logger     *slog.Logger // default slog.Default()
}

// Log returns the logger.
func (k *Kit) Log() *slog.Logger {
	if k.Logger != nil {
		return k.Logger
	}
	return slog.Default()
}

// Now returns the moment that a query is about, in Unix ms. An error is a *Fault.
func (k *Kit) Now(r *http.Request) (int64, error) {
	if k.Clock == nil {
		return time.Now().UnixMilli(), nil
	}
	now, err := k.Clock(r)
	if err != nil {
		return 0, &Fault{Status: http.StatusBadRequest, Text: err.Error()}
	}
	return now, nil
}

// DefaultZone is the time zone of a tenant that has set none.
const DefaultZone = "Asia/Singapore"

// Zone returns the time zone of a tenant. When it cannot be read that is an error
// in every dialect: figures of another day than the one that was asked for would
// look right and be wrong.
func (k *Kit) Zone(tenant int64) (*time.Location, error) {
	if k.TenantZone != nil {
		if loc, err := k.TenantZone(tenant); loc != nil || err != nil {
			return loc, err
		}
	}
	return time.LoadLocation(DefaultZone)
}

// ZoneNamed returns the time zone of the IANA database that has this name; false
// when it has none.
func ZoneNamed(name string) (*time.Location, bool) {
	// LoadLocation takes "" for UTC and "Local" for the zone of the machine. It also
	// looks into the machine's own database, which has names for what the machine is
	// set to, and folders of the same zones counted with leap seconds.
	switch folder, _, _ := strings.Cut(name, "/"); folder {
	case "", "Local", "localtime", "posixrules", "posix", "right":
		return nil, false
	}
	if len(name) > maxZoneName {
		return nil, false
	}
	loc, err := time.LoadLocation(name)
	return loc, err == nil
}

// maxZoneName is how many bytes the name of a time zone may have.
const maxZoneName = 64

// queryTime is how long a query may take.
const queryTime = 30 * time.Second

// Bound returns the context in which the query that r makes is answered: it ends
// when the query has taken too long, or the caller is gone. Call stop at the end.
func Bound(r *http.Request) (ctx context.Context, stop context.CancelFunc) {
	return context.WithTimeout(r.Context(), queryTime)
}

// MayQuery returns nil when the role of a caller allows queries, else a *Fault.
func MayQuery(c access.Caller) error {
	if c.Role != access.Query && c.Role != access.Owner {
		return &Fault{Status: http.StatusForbidden, Text: "a key of role " + string(c.Role) + " may not query"}
	}
	return nil
}

// MaxBody is how many bytes the body of a request may have, when its caller is known
// before the body is read.
const MaxBody = 1 << 20

// ReadBody reads the body of a request, of most bytes, without a byte order mark. An error is a *Fault of the
// body, or a *fair.Full when the hub has no room for it now.
func ReadBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &Fault{Status: http.StatusUnsupportedMediaType, Text: "must not be encoded", Body: true}
	}

	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, full := errors.AsType[*fair.Full](err); full {
		return nil, err
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		text := fmt.Sprintf("must not be larger than %d bytes", most)
		return nil, &Fault{Status: http.StatusRequestEntityTooLarge, Text: text, Body: true}
	}
	if err != nil {
		return nil, &Fault{Status: http.StatusBadRequest, Text: "could not be read to its end", Body: true}
	}
	return event.TrimMark(raw), nil
}

// ReadObject returns the members of a JSON object by name; false when raw is
// anything else.
func ReadObject(raw []byte) (members map[string]event.Value, ok bool) {
	text := bytes.TrimLeft(raw, " \t\r\n")
	if len(text) == 0 || text[0] != '{' || !json.Valid(text) || !utf8.Valid(text) {
		return nil, false
	}
	members = map[string]event.Value{}
	for name, value := range event.Members(text) {
		members[string(name)] = value
	}
	return members, true
}
