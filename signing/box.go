package signing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Labels of the subkeys that are made of the master key. Each has one use; docs/security.md
// lists them.
const (
	LabelToken   = "token"         // agent tokens
	LabelCursor  = "cursor"        // cursors of lists
	LabelAudit   = "audit"         // the chain of the audit log
	LabelReport  = "report"        // codes of customers' numbers in the facts of reports
	LabelHandle  = "handle"        // handles of identifiers with customers' numbers
	LabelSubject = "subject"       // codes of customers' numbers in the index of events
	labelSeal    = "seal"          // secrets at rest
	labelCheck   = "check"         // tells one master key from another
	labelNumber  = "number/"       // and a companyId: customers' numbers in a vendor's answers
	labelNonce   = "number-nonce/" // and a companyId: the nonces with which these are sealed
)

const (
	boxVersion = 1 // format of a sealed value
	boxKey     = 1 // number of the master key; a second one comes with its rotation
)

// ErrBox is returned by Box.Open for a value that was not sealed with this
// master key and purpose.
var ErrBox = errors.New("sealed value cannot be opened")

// ErrMasterKey is returned for a master key that is not 32 bytes in base64 or hex.
var ErrMasterKey = errors.New("master key must be 32 bytes in base64 or hex")

// ParseMasterKey reads a master key: 32 bytes in hex, or in base64 of either
// alphabet, padded or not. White space around it is ignored. The error does
// not repeat the text.
func ParseMasterKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if len(text) == 64 {
		if key, err := hex.DecodeString(text); err == nil {
			return key, nil
		}
		return nil, ErrMasterKey
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, ErrMasterKey
	}
	return key, nil
}

// Box seals secrets for the store. It is safe for concurrent use.
type Box struct {
	master []byte
	aead   cipher.AEAD
}

// NewBox returns a Box for a master key of 32 bytes. The error is ErrMasterKey for
// another length.
func NewBox(master []byte) (*Box, error) {
	if len(master) != 32 {
		return nil, ErrMasterKey
	}
	b := &Box{master: append([]byte(nil), master...)}
	block, err := aes.NewCipher(b.Subkey(labelSeal))
	if err != nil {
		return nil, fmt.Errorf("make the box: %w", err)
	}
	if b.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("make the box: %w", err)
	}
	return b, nil
}

// Subkey returns the key of 32 bytes for one use (HKDF-SHA256), so that no key has two
// uses.
func (b *Box) Subkey(label string) []byte {
	key, err := hkdf.Key(sha256.New, b.master, nil, "hookline/"+label, 32)
	if err != nil {
		panic(err) // only for a length that HKDF cannot make
	}
	return key
}

// Seal encrypts plain for the store: one byte format version, one byte number
// of the master key, 12 bytes nonce, AES-256-GCM. purpose names what the secret is
// and whose it is ("appKey/<subscription id>/1"). The value opens only for the same
// purpose, so that nobody can move one row's secret to another row.
func (b *Box) Seal(purpose string, plain []byte) []byte {
	out := make([]byte, 2, 2+b.aead.Overhead()+len(plain))
	out[0], out[1] = boxVersion, boxKey
	return b.aead.Seal(out, nil, plain, additional(purpose))
}

// Open returns what Seal encrypted. The error is ErrBox if the value was not sealed
// with this master key and purpose.
func (b *Box) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != boxVersion {
		return nil, fmt.Errorf("%w: unknown format", ErrBox)
	}
	if sealed[1] != boxKey {
		return nil, fmt.Errorf("%w: sealed with master key %d, which is not here", ErrBox, sealed[1])
	}
	plain, err := b.aead.Open(nil, nil, sealed[2:], additional(purpose))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBox, err)
	}
	return plain, nil
}

// Check returns a value to keep beside the data. It shows whether a master key is the
// one that the data was sealed with, and nothing else about the key.
func (b *Box) Check() []byte { return b.Subkey(labelCheck) }

// Matches reports whether check was made by a Box of the same master key.
func (b *Box) Matches(check []byte) bool { return subtle.ConstantTimeCompare(b.Check(), check) == 1 }

// NewMasterKey returns a new master key, and the text in which to keep it.
func NewMasterKey() (key []byte, text string) {
	key = make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key, base64.StdEncoding.EncodeToString(key)
}

func additional(purpose string) []byte {
	return append([]byte{boxVersion, boxKey}, purpose...)
}
