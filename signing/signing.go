// Package signing makes and checks what proves a push: bytes, keys, a time and
// random bytes go in; headers and sealed bodies come out. It has no clock, no
// network and no database, so a push can be rebuilt exactly as it was sent.
//
// A receiver checks in this order: signature, then time, then id. Before the
// signature is known to be right, nothing else that a push says can be
// believed.
package signing

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
)

// Headers of a signed push, spelled as vendors and receivers know them. Some
// receivers compare the bytes although HTTP says that case does not matter, so
// they are put into the header map as they are, not in Go's canonical form.
const (
	HeaderXLogTimeStamp  = "X-Log-TimeStamp"  // Unix ms
	HeaderXLogRandomCode = "X-Log-RandomCode" // new for every attempt
	HeaderXLogSign       = "X-Log-Sign"       // 32 hex, lower case
	HeaderID             = "webhook-id"
	HeaderTimestamp      = "webhook-timestamp" // Unix seconds
	HeaderSignature      = "webhook-signature" // "v1,<base64>", one or several separated by a blank
)

const (
	versionPrefix = "v1,"
	secretPrefix  = "whsec_"
	macLen        = 44 // base64 of 32 bytes
)

// Message is one push as its signatures see it.
type Message struct {
	ID         string // webhook-id: the same over all attempts of a delivery; no dot
	CompanyID  string
	At         int64  // Unix ms, 13 digits: when the attempt is made
	RandomCode string // 16 hex, new for every attempt
	Body       []byte // the bytes as sent: of a sealed push the sealed ones
}

// XLog is the value of X-Log-Sign: lower-case hex of the MD5 over company id,
// time in Unix ms, random code and appKey. It does not cover the body; that is
// what webhook-signature is for.
func XLog(companyID string, at int64, randomCode, appKey string) string {
	var buf [256]byte
	b := strconv.AppendInt(append(buf[:0], companyID...), at, 10)
	return string(appendXLog(nil, b, randomCode, appKey))
}

// appendXLog appends the signature to dst; b holds company id and time.
func appendXLog(dst, b []byte, randomCode, appKey string) []byte {
	sum := md5.Sum(append(append(b, randomCode...), appKey...))
	return hex.AppendEncode(dst, sum[:])
}

// Signature is one value of webhook-signature (Standard Webhooks v1):
// "v1," and the base64 of HMAC-SHA256 over "id.seconds.body" with the bytes of
// appKey as the key. The body is the one that is sent: a sealed push is signed
// sealed, so that a receiver can refuse it before it decrypts anything.
func Signature(m *Message, appKey string) string {
	return string(appendSignature(nil, m, appKey))
}

func appendSignature(dst []byte, m *Message, appKey string) []byte {
	mac := hmac.New(sha256.New, []byte(appKey))
	buf := make([]byte, 0, 96) // id, time and then the sum
	buf = append(append(buf, m.ID...), '.')
	buf = append(strconv.AppendInt(buf, m.At/1000, 10), '.')
	_, _ = mac.Write(buf) // a hash never fails
	_, _ = mac.Write(m.Body)
	return base64.StdEncoding.AppendEncode(append(dst, versionPrefix...), mac.Sum(buf[:0]))
}

// SigningSecret is appKey as Standard Webhooks libraries take it: "whsec_" and
// the base64 of its bytes.
func SigningSecret(appKey string) string {
	return secretPrefix + base64.StdEncoding.EncodeToString([]byte(appKey))
}

// Sign sets the six signature headers of m. The first key makes X-Log-Sign,
// which has room for one; all of them, oldest first, sign webhook-signature, so
// that receivers can change over while a key is rotated. It needs one key.
func Sign(h http.Header, m *Message, key string, more ...string) {
	// All texts are cut from one string and all values from one array: this runs
	// for every attempt of every delivery.
	var text, scratch [256]byte
	t := strconv.AppendInt(text[:0], m.At, 10)
	stamp := len(t)
	t = appendXLog(t, append(append(scratch[:0], m.CompanyID...), t...), m.RandomCode, key)
	sign := len(t)
	t = strconv.AppendInt(t, m.At/1000, 10)
	seconds := len(t)
	t = appendSignature(t, m, key)
	for _, k := range more {
		t = appendSignature(append(t, ' '), m, k)
	}

	s := string(t)
	v := []string{s[:stamp], m.RandomCode, s[stamp:sign], m.ID, s[sign:seconds], s[seconds:]}
	h[HeaderXLogTimeStamp] = v[0:1:1]
	h[HeaderXLogRandomCode] = v[1:2:2]
	h[HeaderXLogSign] = v[2:3:3]
	h[HeaderID] = v[3:4:4]
	h[HeaderTimestamp] = v[4:5:5]
	h[HeaderSignature] = v[5:6:6]
}
