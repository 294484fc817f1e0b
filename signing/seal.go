package signing

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Kinds of encryption of a pushed body, as subscriptions and the header
// X-Hookline-Encryption name them. The vendor documents no algorithm, so these
// are definitions of ours.
const (
	None = "none"
	GCM  = "aes-256-gcm" // base64(nonce ‖ ciphertext ‖ tag), bound to company id, time and random code
	CBC  = "aes-256-cbc" // base64(iv ‖ ciphertext), PKCS#7
	ECB  = "aes-128-ecb" // base64(ciphertext), PKCS#7; equal blocks show: for old receivers only
)

// ErrSealed is returned by Open for a body that is not sealed, or not with this key.
var ErrSealed = errors.New("sealed body cannot be opened")

const (
	sealedStart = `{"content":"`
	sealedEnd   = `"}`
	tagLen      = 16
)

// NonceSize returns how many random bytes Seal needs: 12, 16 or 0.
func NonceSize(kind string) int {
	switch kind {
	case GCM:
		return 12
	case CBC:
		return aes.BlockSize
	}
	return 0
}

// DeriveKey makes the key of a subscription whose encryptionKey is
// "from-appKey": SHA-256 of appKey, for ECB its MD5.
func DeriveKey(kind, appKey string) []byte {
	if kind == ECB {
		k := md5.Sum([]byte(appKey))
		return k[:]
	}
	k := sha256.Sum256([]byte(appKey))
	return k[:]
}

// Seal makes the body {"content":"<base64>"} of the plain body of m. key has 32
// bytes; ECB takes the first 16. nonce has NonceSize(kind) bytes and must be
// new for every call with the same key. With GCM the body opens only together
// with the company id, time and random code of m. It returns an error for an
// unknown kind and for a key or nonce of the wrong length.
func Seal(kind string, key []byte, m *Message, nonce []byte) ([]byte, error) {
	block, err := newBlock(kind, key)
	if err != nil {
		return nil, err
	}
	if len(nonce) != NonceSize(kind) {
		return nil, fmt.Errorf("%s: nonce of %d bytes, not %d", kind, len(nonce), NonceSize(kind))
	}

	// The nonce comes first, then the ciphertext; GCM brings its tag, the others pad.
	raw := make([]byte, len(nonce), len(nonce)+len(m.Body)+tagLen)
	copy(raw, nonce)
	if kind == GCM {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		raw = aead.Seal(raw, nonce, m.Body, m.associated())
	} else {
		raw = append(raw, m.Body...)
		pad := aes.BlockSize - len(m.Body)%aes.BlockSize
		raw = append(raw, bytes.Repeat([]byte{byte(pad)}, pad)...)
		text := raw[len(nonce):]
		if kind == CBC {
			cipher.NewCBCEncrypter(block, nonce).CryptBlocks(text, text)
		} else {
			for b := text; len(b) > 0; b = b[aes.BlockSize:] {
				block.Encrypt(b, b)
			}
		}
	}

	out := make([]byte, 0, len(sealedStart)+base64.StdEncoding.EncodedLen(len(raw))+len(sealedEnd))
	out = append(out, sealedStart...)
	out = base64.StdEncoding.AppendEncode(out, raw)
	return append(out, sealedEnd...), nil
}

// Open returns the plain body of a sealed one. m carries the sealed body, and for GCM
// the company id, time and random code that came with it. Verify the signature first:
// only GCM notices by itself that somebody changed the bytes. The error is ErrSealed
// for a body that is not sealed in this way, and another one for an unknown kind or a
// key of the wrong length.
func Open(kind string, key []byte, m *Message) ([]byte, error) {
	block, err := newBlock(kind, key)
	if err != nil {
		return nil, err
	}
	var body struct {
		Content []byte `json:"content"` // []byte: the decoder takes care of base64
	}
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealed, err)
	}

	raw := body.Content
	n := NonceSize(kind)
	if len(raw) < n {
		return nil, fmt.Errorf("%w: content is too short", ErrSealed)
	}
	nonce, text := raw[:n], raw[n:]

	if kind == GCM {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		plain, err := aead.Open(nil, nonce, text, m.associated())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSealed, err)
		}
		return plain, nil
	}

	if len(text) == 0 || len(text)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: content is not whole blocks", ErrSealed)
	}
	if kind == CBC {
		cipher.NewCBCDecrypter(block, nonce).CryptBlocks(text, text)
	} else {
		for b := text; len(b) > 0; b = b[aes.BlockSize:] {
			block.Decrypt(b, b)
		}
	}

	// The padding is the only sign of a wrong key.
	pad := int(text[len(text)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, fmt.Errorf("%w: wrong padding", ErrSealed)
	}
	for _, b := range text[len(text)-pad:] {
		if int(b) != pad {
			return nil, fmt.Errorf("%w: wrong padding", ErrSealed)
		}
	}
	return text[:len(text)-pad], nil
}

// associated returns what GCM binds the ciphertext to.
func (m *Message) associated() []byte {
	b := make([]byte, 0, len(m.CompanyID)+20+len(m.RandomCode))
	b = strconv.AppendInt(append(b, m.CompanyID...), m.At, 10)
	return append(b, m.RandomCode...)
}

func newBlock(kind string, key []byte) (cipher.Block, error) {
	want := 32
	switch kind {
	case GCM, CBC:
	case ECB:
		want = 16
		if len(key) == 32 {
			key = key[:16]
		}
	default:
		return nil, fmt.Errorf("encryption %q: unknown", kind)
	}
	if len(key) != want {
		return nil, fmt.Errorf("%s: key of %d bytes, not %d", kind, len(key), want)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return block, nil
}
