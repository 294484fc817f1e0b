package api

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// Prefixes of handles say what kind of identifier a handle stands for.
const (
	orderKeyHandle  = "ok_"
	recordingHandle = "rc_"
	eventHandle     = "ev_"
	auditHandle     = "au_"
)

// Handles makes and reads handles, which stand for identifiers that a caller may
// not see because customers' numbers are in them. A handle begins with a keyed
// hash of the tenant and the identifier: the same identifier has the same handle,
// and nobody without the key can try numbers until one fits. Behind the hash is
// the identifier, encrypted under it, so that no table of handles is needed.
type Handles struct {
	Key []byte // 32 secret bytes, the same on every process
}

const handleHash = aes.BlockSize // bytes of the hash, and what the identifier is padded to

// Make returns the handle of an identifier of a tenant.
func (h Handles) Make(prefix string, tenant int64, id string) string {
	hash := h.hash(prefix, tenant, id)
	padding := handleHash - len(id)%handleHash // hides how long a number is
	sealed := append([]byte(id), make([]byte, padding)...)
	h.crypt(hash, sealed)
	return prefix + base64.RawURLEncoding.EncodeToString(append(hash, sealed...))
}

// Read returns the identifier that a handle stands for. It returns false for a text
// that Make did not return for this tenant.
func (h Handles) Read(prefix string, tenant int64, handle string) (id string, ok bool) {
	text, is := strings.CutPrefix(handle, prefix)
	if !is || len(handle) > 1024 {
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 2*handleHash {
		return "", false
	}

	hash, sealed := b[:handleHash], b[handleHash:]
	h.crypt(hash, sealed)
	id = string(bytes.TrimRight(sealed, "\x00"))

	// An identifier has one handle only: a handle that lacks some of the padding would
	// decrypt to the same identifier, so the whole handle is compared.
	return id, hmac.Equal([]byte(handle), []byte(h.Make(prefix, tenant, id)))
}

func (h Handles) hash(prefix string, tenant int64, id string) []byte {
	m := hmac.New(sha256.New, h.subkey("hash"))
	m.Write([]byte(prefix))
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(tenant)))
	m.Write([]byte(id))
	return m.Sum(nil)[:handleHash]
}

// crypt encrypts or decrypts b in place. The hash is a safe initial value: two
// identifiers never share one.
func (h Handles) crypt(hash, b []byte) {
	block, err := aes.NewCipher(h.subkey("seal"))
	if err != nil {
		panic("api: key of handles: " + err.Error()) // HMAC-SHA256 gives 32 bytes
	}
	cipher.NewCTR(block, hash).XORKeyStream(b, b)
}

func (h Handles) subkey(purpose string) []byte {
	m := hmac.New(sha256.New, h.Key)
	m.Write([]byte(purpose))
	return m.Sum(nil)
}
