package storage

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/google/uuid"
)

// seqBits is how many bits of an event's id hold its number. An event to which the sender gave
// no id gets a UUIDv7 whose last 62 bits are 14 random ones and the number, so that a look-up
// by id needs no table.
const seqBits = 48

// newEventID returns an id for the event with this number, accepted at ms.
func newEventID(ms, seq int64) string {
	var u uuid.UUID
	_, _ = rand.Read(u[6:10]) // never fails
	binary.BigEndian.PutUint16(u[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	u[6] = 0x70 | u[6]&0x0f
	u[8] = 0x80 | u[8]&0x3f
	binary.BigEndian.PutUint16(u[10:], uint16(seq>>32))
	binary.BigEndian.PutUint32(u[12:], uint32(seq))
	return u.String()
}

// seqOfEventID returns the number in an id that newEventID may have made. A sender may have
// made the same id, so the caller compares it with that of the row that it finds.
func seqOfEventID(id string) (int64, bool) {
	if len(id) != 36 {
		return 0, false
	}
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(u[8:]) & (1<<seqBits - 1)), true
}
