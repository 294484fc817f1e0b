package delivery

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
)

// ErrBadID says that the hub did not make a delivery id.
var ErrBadID = errors.New("not a delivery id")

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

const idPrefix = "dlv_"

// PublicID returns a delivery's id: "dlv_" and 26 characters, which say the day of
// acceptance, the subscription and the event. It is the webhook-id of every attempt,
// run and replay, and its rows are found without a look-up table.
func PublicID(sub, seq, acceptedAt int64) string {
	var b [16]byte
	binary.BigEndian.PutUint16(b[0:], uint16(acceptedAt/86_400_000))
	b[2] = byte(sub >> 40)
	b[3] = byte(sub >> 32)
	binary.BigEndian.PutUint32(b[4:], uint32(sub))
	binary.BigEndian.PutUint64(b[8:], uint64(seq))
	return idPrefix + idEncoding.EncodeToString(b[:])
}

// ParseID reads a public id. day is the day of acceptance, in days since 1970 UTC.
// The error is ErrBadID.
func ParseID(s string) (sub, seq, day int64, err error) {
	rest, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(rest) != 26 {
		return 0, 0, 0, ErrBadID
	}
	b, err := idEncoding.DecodeString(rest)
	if err != nil || idEncoding.EncodeToString(b) != rest {
		return 0, 0, 0, ErrBadID
	}
	day = int64(binary.BigEndian.Uint16(b[0:]))
	sub = int64(b[2])<<40 | int64(b[3])<<32 | int64(binary.BigEndian.Uint32(b[4:]))
	seq = int64(binary.BigEndian.Uint64(b[8:]))
	if seq <= 0 || sub <= 0 {
		return 0, 0, 0, ErrBadID
	}
	return sub, seq, day, nil
}
