package signing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// NumberSealer hides phone numbers, so that whoever gets them can tell one customer
// from another and nothing else.
type NumberSealer struct {
	aead   cipher.AEAD
	nonces []byte // the key of their hash
}

// Numbers returns a sealer for the phone numbers of a tenant, under keys of its own.
func (b *Box) Numbers(companyID string) *NumberSealer {
	block, err := aes.NewCipher(b.Subkey(labelNumber + companyID))
	if err != nil {
		panic(fmt.Sprintf("signing: %v", err)) // a subkey has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("signing: %v", err))
	}
	return &NumberSealer{aead, b.Subkey(labelNonce + companyID)}
}

// Seal returns the base64 of nonce, ciphertext and tag (AES-256-GCM). The nonce follows
// from the number, so equal numbers look equal. Earlier versions made the nonce under the
// key that seals; Open reads what they sealed, because it takes any nonce.
func (s *NumberSealer) Seal(number string) string {
	mac := hmac.New(sha256.New, s.nonces)
	mac.Write([]byte(number))
	nonce := mac.Sum(nil)[:s.aead.NonceSize()]
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nonce, nonce, []byte(number), nil))
}

// Open returns the number that was sealed.
func (s *NumberSealer) Open(sealed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return "", ErrBox
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, raw[:n], raw[n:], nil)
	if err != nil {
		return "", ErrBox
	}
	return string(plain), nil
}
