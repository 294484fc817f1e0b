// A receiver of Hookline's pushes with nothing but the standard library.
//
//	PORT=9000 COMPANY_ID=demo APP_KEY=… ENCRYPTION_KEY=… go run receiver.go
package main

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	companyID = os.Getenv("COMPANY_ID")
	appKey    = []byte(os.Getenv("APP_KEY"))
	sealKey   = os.Getenv("ENCRYPTION_KEY") // base64 of 32 bytes; "" when nothing is sealed
)

// In production both live in the database that stores the events, and are
// written in the same transaction.
var (
	mu      sync.Mutex
	seen    = map[string]bool{}  // webhook-id
	highest = map[string]int64{} // order key -> sequence
)

// signed says whether the bytes are those that Hookline signed.
func signed(h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, appKey)
	fmt.Fprintf(mac, "%s.%s.", h.Get("webhook-id"), h.Get("webhook-timestamp"))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, given := range strings.Fields(h.Get("webhook-signature")) { // several while a key is rotated
		if hmac.Equal([]byte(given), []byte(want)) {
			return true
		}
	}
	return false
}

// open gives the plain body of a sealed one.
func open(h http.Header, body []byte) ([]byte, error) {
	kind := h.Get("X-Hookline-Encryption")
	if kind == "" {
		return body, nil
	}

	// What is sealed, and the key for it.
	var sealed struct{ Content []byte } // base64
	if err := json.Unmarshal(body, &sealed); err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(sealKey)
	if err != nil || len(key) != 32 {
		return nil, errors.New("ENCRYPTION_KEY is not the base64 of 32 bytes")
	}
	if kind == "aes-128-ecb" {
		key = key[:16]
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}

	raw := sealed.Content
	switch kind {
	case "aes-256-gcm": // nonce, text, tag; bound to the headers of this push
		gcm, err := cipher.NewGCM(block)
		if err != nil || len(raw) < 12 {
			return nil, errors.New("not sealed")
		}
		bound := companyID + h.Get("X-Log-TimeStamp") + h.Get("X-Log-RandomCode")
		return gcm.Open(nil, raw[:12], raw[12:], []byte(bound))
	case "aes-256-cbc": // iv, text
		if len(raw) < 32 || len(raw)%16 != 0 {
			return nil, errors.New("not sealed")
		}
		cipher.NewCBCDecrypter(block, raw[:16]).CryptBlocks(raw[16:], raw[16:])
		raw = raw[16:]
	case "aes-128-ecb":
		if len(raw) == 0 || len(raw)%16 != 0 {
			return nil, errors.New("not sealed")
		}
		for b := raw; len(b) > 0; b = b[16:] {
			block.Decrypt(b, b)
		}
	default:
		return nil, errors.New("unknown encryption")
	}

	// The last byte of the text says how many were added to fill a block (PKCS #7).
	pad := int(raw[len(raw)-1])
	if pad < 1 || pad > 16 || !bytes.HasSuffix(raw, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errors.New("another key sealed this")
	}
	return raw[:len(raw)-pad], nil
}

// orderKey names what an event is about; sequence grows within it. An id may be a
// text or a number of any length, or null.
func orderKey(event string, body []byte) string {
	var b map[string]any
	numbers := json.NewDecoder(bytes.NewReader(body))
	numbers.UseNumber() // as they are written: float64 would round them
	_ = numbers.Decode(&b)
	id := func(name string) string {
		switch v := b[name].(type) {
		case string:
			return strings.TrimSpace(v)
		case json.Number:
			return v.String()
		}
		return ""
	}
	kind, _, _ := strings.Cut(event, ".")
	if kind == "cdr" {
		return event + "/" + id("callID") + "/" + id("partyId")
	}
	return kind + "/" + cmp.Or(id("contactId"), id("chatId"), id("visitorId"), id("callID"), id("agentUUID"),
		id("agentID"))
}

func receive(h http.Header, body []byte) int {
	// 1. The signature, before anything that the push says is believed.
	if !signed(h, body) {
		return http.StatusUnauthorized
	}

	// 2. The time: a push recorded long ago is not played back to us.
	at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return http.StatusUnauthorized
	}

	plain, err := open(h, body)
	if err != nil {
		log.Print(err)
		return http.StatusInternalServerError // our key is wrong: it shall come again
	}
	id, event := h.Get("webhook-id"), h.Get("X-Hookline-Event")
	sequence, _ := strconv.ParseInt(h.Get("X-Hookline-Sequence"), 10, 64)
	key := orderKey(event, plain)
	mu.Lock()
	defer mu.Unlock()

	// 3. The id: at least once means that some come twice.
	if seen[id] {
		return http.StatusOK
	}

	// 4. The order: what is older than what we know must not overwrite it.
	word := "applied"
	if sequence <= highest[key] {
		word = "outdated" // keep it for the record, leave the state as it is
	} else {
		highest[key] = sequence
	}

	fmt.Println(word, event, id, sequence, string(plain))
	seen[id] = true
	return http.StatusOK // 5. Only now that it is stored; whatever takes long comes later.
}

func main() {
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		w.WriteHeader(receive(r.Header, body))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
