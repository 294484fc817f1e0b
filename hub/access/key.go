package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// PlatformID stands in platform keys where a key of a tenant has its companyId. No
// tenant may be called so, in whatever case.
const PlatformID = "platform"

const (
	keyPrefix    = "hk_"
	maxCompanyID = 64
	minSecret    = 16
	maxSecret    = 128
	maxKeyText   = len(keyPrefix) + maxCompanyID + 1 + maxSecret
)

// NewKey returns the text of a new key, hk_<companyId>_<secret>. The secret is 32
// random bytes in hex; for a platform key, companyID is PlatformID. The text is shown
// to people once, and only its hash is kept.
func NewKey(companyID string) string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: the runtime ends the process instead
	return keyPrefix + companyID + "_" + hex.EncodeToString(secret[:])
}

// HashKey returns what the store keeps of a key: SHA-256 of the whole text. Secrets
// are random and long, so that a slow password hash would add nothing.
func HashKey(text string) [32]byte {
	var buf [maxKeyText]byte // on the stack: hashing a request's key allocates nothing
	if len(text) <= len(buf) {
		return sha256.Sum256(buf[:copy(buf[:], text)])
	}
	return sha256.Sum256([]byte(text))
}

// ParseKey returns the companyId in the text of a key, which ends at the last
// underscore; PlatformID for platform keys. It is false when the text has not the form
// of a key, and does not find out whether the key is known. The secret is 16 to 128 of
// [A-Za-z0-9-], so that operators may choose one.
func ParseKey(text string) (companyID string, ok bool) {
	rest, ok := strings.CutPrefix(text, keyPrefix)
	if !ok {
		return "", false
	}
	i := strings.LastIndexByte(rest, '_')
	if i < 0 {
		return "", false
	}
	companyID, secret := rest[:i], rest[i+1:]
	if !ValidCompanyID(companyID) || len(secret) < minSecret || len(secret) > maxSecret || !plain(secret) {
		return "", false
	}
	return companyID, true
}

// ValidCompanyID reports whether s is 1 to 64 of [A-Za-z0-9-].
func ValidCompanyID(s string) bool {
	return s != "" && len(s) <= maxCompanyID && plain(s)
}

// plain reports whether all characters of s are of [A-Za-z0-9-].
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
