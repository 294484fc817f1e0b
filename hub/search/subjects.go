package search

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Subjects makes the codes that stand for customers' phone numbers in the index of events,
// in the audit log and in jobs. A code is a keyed hash: nobody without the key can try
// numbers until one fits, and the same number has another code in another tenant.
type Subjects struct {
	Key []byte // 32 secret bytes, the same on every process
}

// subjectSize is how many bytes a code has. The codes are stored.
const subjectSize = 16

// Of returns the code of a number, given by its digits, of a tenant.
func (s Subjects) Of(tenant int64, digits string) []byte {
	m := hmac.New(sha256.New, s.Key)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(tenant)))
	m.Write([]byte(digits))
	return m.Sum(nil)[:subjectSize]
}

// SubjectName returns a code as the audit log and jobs have it.
func SubjectName(code []byte) string { return "subject:" + hex.EncodeToString(code) }

// Indexed says of which events a search for a number knows.
type Indexed struct {
	From   int64 // Unix ms: those accepted from then on; 0: all whose bodies are kept
	Behind int64 // accepted events that the index lacks at its end; 0: it is whole
}
