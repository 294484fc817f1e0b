package signing

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// What can be wrong with the signatures of a push.
var (
	// ErrUnsigned is returned for a signature header that is missing, given twice
	// or not in its form.
	ErrUnsigned = errors.New("not signed")
	// ErrSignature is returned when no signature fits any of the keys.
	ErrSignature = errors.New("signature does not match")
)

// maxSignatures bounds the work that one header can ask for.
const maxSignatures = 16

// Verify checks both signatures of a push against any of the keys and that both
// speak of the same second. body is what arrived, before it is opened. The
// message returned is what was signed; that it is recent (At) and new (ID) is
// for the caller to check, afterwards and in this order.
// It returns ErrUnsigned or ErrSignature.
func Verify(h http.Header, body []byte, companyID string, keys ...string) (Message, error) {
	m, err := VerifyWebhook(h, body, keys...)
	if err != nil {
		return Message{}, err
	}
	x, err := VerifyXLog(h, companyID, keys...)
	if err != nil {
		return Message{}, err
	}
	if x.At/1000 != m.At/1000 {
		return Message{}, fmt.Errorf("%w: %s and %s are of different seconds",
			ErrSignature, HeaderXLogTimeStamp, HeaderTimestamp)
	}
	m.CompanyID, m.At, m.RandomCode = companyID, x.At, x.RandomCode
	return m, nil
}

// VerifyXLog checks the X-Log headers against any of the keys. They do not
// cover the body. The time must have 13 digits: the four values are joined
// without a separator, so digits could wander between time and random code
// under the same signature. It returns ErrUnsigned or ErrSignature.
func VerifyXLog(h http.Header, companyID string, keys ...string) (Message, error) {
	stamp, err1 := only(h, HeaderXLogTimeStamp)
	code, err2 := only(h, HeaderXLogRandomCode)
	sign, err3 := only(h, HeaderXLogSign)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Message{}, err
	}
	at, ok := digits(stamp)
	if !ok || len(stamp) != 13 || stamp[0] == '0' {
		return Message{}, fmt.Errorf("%w: %s is not a time in Unix ms", ErrUnsigned, HeaderXLogTimeStamp)
	}
	for _, key := range keys {
		if same(XLog(companyID, at, code, key), sign) {
			return Message{CompanyID: companyID, At: at, RandomCode: code}, nil
		}
	}
	return Message{}, fmt.Errorf("%w: %s", ErrSignature, HeaderXLogSign)
}

// VerifyWebhook checks webhook-signature over id, time and body against any of
// the keys. At of the message that it returns is whole seconds, in ms. An id with a dot
// is refused, because it could take digits over from the time under the same signature.
// The error is ErrUnsigned or ErrSignature.
func VerifyWebhook(h http.Header, body []byte, keys ...string) (Message, error) {
	id, err1 := only(h, HeaderID)
	stamp, err2 := only(h, HeaderTimestamp)
	signatures, err3 := only(h, HeaderSignature)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Message{}, err
	}

	if strings.Contains(id, ".") {
		return Message{}, fmt.Errorf("%w: %s has a dot", ErrUnsigned, HeaderID)
	}
	seconds, ok := digits(stamp)
	if !ok || len(stamp) > 12 || (stamp[0] == '0' && stamp != "0") {
		return Message{}, fmt.Errorf("%w: %s is not a time in Unix seconds", ErrUnsigned, HeaderTimestamp)
	}

	// One of several signatures, with one of several keys, is enough.
	m := Message{ID: id, At: seconds * 1000, Body: body}
	given := strings.SplitN(signatures, " ", maxSignatures+1)
	if len(given) > maxSignatures {
		return Message{}, fmt.Errorf("%w: %s has more than %d values", ErrUnsigned, HeaderSignature, maxSignatures)
	}
	for _, key := range keys {
		want := Signature(&m, key)
		for _, g := range given {
			if same(want, g) {
				return m, nil
			}
		}
	}
	return Message{}, fmt.Errorf("%w: %s", ErrSignature, HeaderSignature)
}

// only returns the one value of a header, as Sign set it or as a server read it.
func only(h http.Header, name string) (string, error) {
	v, ok := h[name]
	if !ok {
		v = h.Values(name)
	}
	if len(v) != 1 || v[0] == "" {
		return "", fmt.Errorf("%w: %s", ErrUnsigned, name)
	}
	return v[0], nil
}

func digits(s string) (int64, bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
