package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/signing"
)

// VerifyCmd holds the commands that check what somebody may have changed.
type VerifyCmd struct {
	Push  VerifyPushCmd  `cmd:"" help:"Check the signatures of a captured push, and open it."`
	Audit VerifyAuditCmd `cmd:"" help:"Check the audit log of a store, also while hubs serve it."`
	Bytes VerifyBytesCmd `cmd:"" help:"Check the counted bytes of each tenant, also while hubs serve the store."`
}

// VerifyBytesCmd checks the counts that limits in bytes go by.
type VerifyBytesCmd struct {
	Data        string `env:"HOOKLINE_DATA" default:"./data" help:"Folder of the store."`
	DatabaseURL string `name:"database-url" env:"HOOKLINE_DATABASE_URL" help:"The store is on PostgreSQL, there."`
}

// Run compares the counts with what they count. Its error names the first tenants that differ.
func (c *VerifyBytesCmd) Run(ctx context.Context, s streams) error {
	tenants, err := operate.VerifyBytes(ctx, config.Config{Data: c.Data, DatabaseURL: c.DatabaseURL})
	if err != nil {
		return fmt.Errorf("%w\n'hookline rebuild' counts them again", err)
	}
	_, err = fmt.Fprintf(s.out, "the counted bytes are those of the rows: %d tenants\n", tenants)
	return err
}

// VerifyAuditCmd checks the chain of the audit log.
type VerifyAuditCmd struct {
	Data        string `env:"HOOKLINE_DATA" default:"./data" help:"Folder of the store and the master key."`
	DatabaseURL string `name:"database-url" env:"HOOKLINE_DATABASE_URL" help:"The store is on PostgreSQL, there."`
	MasterKey   string `env:"HOOKLINE_MASTER_KEY" help:"The hub's master key; default: the file in the data folder."`
}

// Run checks the chain. Its error names the first row that is not as it was written.
func (c *VerifyAuditCmd) Run(ctx context.Context, s streams) error {
	cfg := config.Config{Data: c.Data, DatabaseURL: c.DatabaseURL, MasterKey: c.MasterKey}
	rows, err := operate.VerifyAudit(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "the audit log is whole: %d rows\n", rows)
	return err
}

// VerifyPushCmd checks one push.
type VerifyPushCmd struct {
	File          string        `arg:"" optional:"" help:"The request as captured: request line, headers, an empty line, body. '-': standard input."`
	Header        []string      `sep:"none" placeholder:"'NAME: VALUE'" help:"A header of the push, in place of FILE; repeat."`
	Body          string        `placeholder:"FILE" help:"The body of the push, with --header."`
	AppKey        []string      `sep:"none" required:"" help:"appKey that signs; repeat while a key is rotated."`
	Company       string        `help:"companyId of the tenant. Default: as the body says, unless it is sealed."`
	EncryptionKey string        `default:"from-appKey" help:"base64 of 32 bytes, or from-appKey."`
	Encryption    string        `help:"Kind of encryption. Default: as X-Hookline-Encryption says."`
	At            time.Time     `placeholder:"RFC3339" help:"When the push arrived, for its age. Default: now."`
	Tolerance     time.Duration `help:"Fail if the signed time is further away. Default: the age is told, and not judged."`
	JSON          bool          `help:"Print the findings as JSON."`
}

// findings is what was found out about one push.
type findings struct {
	Webhook    string `json:"webhookSignature"` // "holds", or why it does not
	XLog       string `json:"xLogSign"`
	SignedAt   string `json:"signedAt,omitempty"`
	Age        string `json:"age,omitempty"` // from signing to arrival
	ID         string `json:"id,omitempty"`
	Encryption string `json:"encryption,omitempty"`
	Seal       string `json:"seal,omitempty"` // "opened", or why it does not open
	Body       string `json:"body,omitempty"` // plain
}

const holds = "holds"

// Run prints what holds, and fails unless everything does.
func (c *VerifyPushCmd) Run(s streams) error {
	header, body, err := c.push(s.in)
	if err != nil {
		return err
	}
	key, err := c.sealing()
	if err != nil {
		return err
	}
	f, err := c.check(header, body, key)
	if f != nil {
		if err := c.print(s.out, f); err != nil {
			return err
		}
	}
	return err
}

// push reads the push: from FILE, or from --header and --body.
func (c *VerifyPushCmd) push(in io.Reader) (http.Header, []byte, error) {
	if (c.File == "") == (len(c.Header) == 0) {
		return nil, nil, errors.New("either FILE, or --header and --body")
	}
	if c.File == "" {
		if c.Body == "" {
			return nil, nil, errors.New("--body: is needed with --header")
		}
		h := http.Header{}
		for _, line := range c.Header {
			name, value, ok := strings.Cut(line, ":")
			if !ok || strings.TrimSpace(name) == "" {
				return nil, nil, fmt.Errorf("--header: %q is not NAME: VALUE", line)
			}
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		body, err := os.ReadFile(c.Body)
		return h, body, err
	}

	raw, err := readAll(c.File, in)
	if err != nil {
		return nil, nil, err
	}
	h, body, err := parsePush(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return h, body, nil
}

func readAll(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(file)
}

// parsePush reads a captured request. Its lines may end with or without a carriage
// return. The body is as long as Content-Length says, or everything after the headers.
func parsePush(raw []byte) (http.Header, []byte, error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	tp := textproto.NewReader(r)
	first, err := tp.ReadLine()
	if err != nil {
		return nil, nil, errors.New("it is empty")
	}
	if parts := strings.Split(first, " "); len(parts) != 3 || !strings.HasPrefix(parts[2], "HTTP/") {
		return nil, nil, fmt.Errorf("its first line %q is not a request line such as POST /path HTTP/1.1", clean(first))
	}

	mime, err := tp.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("headers: %w", err)
	}
	h := http.Header(mime)

	// A chunked body is read by the library.
	if strings.EqualFold(h.Get("Transfer-Encoding"), "chunked") {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return nil, nil, err
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, nil, fmt.Errorf("chunked body: %w", err)
		}
		return h, body, nil
	}

	body, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	if text := h.Get("Content-Length"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, nil, fmt.Errorf("Content-Length: %q is not a length", clean(text))
		}
		if len(body) < n {
			return nil, nil, fmt.Errorf("its body has %d bytes, and Content-Length says %d", len(body), n)
		}
		body = body[:n] // editors add a line feed
	}
	return h, body, nil
}

// sealing returns the key of --encryption-key, or nil if it is derived from an appKey.
func (c *VerifyPushCmd) sealing() ([]byte, error) {
	if c.EncryptionKey == "from-appKey" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(c.EncryptionKey)
	if err != nil || len(key) != 32 {
		return nil, errors.New("--encryption-key: base64 of 32 bytes, or from-appKey")
	}
	return key, nil
}

// check returns what holds of a push, and an error that sums up what does not.
func (c *VerifyPushCmd) check(h http.Header, body, key []byte) (*findings, error) {
	kind := cmp.Or(c.Encryption, h.Get("X-Hookline-Encryption"))
	if kind == signing.None {
		kind = ""
	}
	company := c.Company
	if company == "" && kind == "" {
		company = gjson.GetBytes(body, "companyId").String()
	}
	if company == "" {
		return nil, errors.New("--company: is needed, the body does not say it")
	}

	f := &findings{Webhook: holds, XLog: holds, Encryption: kind}
	var wrong []error

	m, err := signing.VerifyWebhook(h, body, c.AppKey...)
	if err != nil {
		f.Webhook = err.Error()
		wrong = append(wrong, errors.New("webhook-signature does not hold"))
	}
	x, xErr := signing.VerifyXLog(h, company, c.AppKey...)
	if xErr != nil {
		f.XLog = xErr.Error()
		wrong = append(wrong, errors.New("X-Log-Sign does not hold"))
	}
	if err == nil && xErr == nil && m.At/1000 != x.At/1000 {
		wrong = append(wrong, errors.New("the two signatures are of different seconds"))
	}
	f.ID = m.ID

	// The time is worth showing only if a signature covers it.
	if at := cmp.Or(x.At, m.At); at != 0 {
		signed := time.UnixMilli(at)
		arrived := c.At
		if arrived.IsZero() {
			arrived = time.Now()
		}
		age := arrived.Sub(signed).Round(time.Millisecond)
		f.SignedAt, f.Age = signed.UTC().Format("2006-01-02T15:04:05.000Z"), age.String()
		if c.Tolerance > 0 && age.Abs() > c.Tolerance {
			wrong = append(wrong, fmt.Errorf("it was signed %v away from its arrival", age))
		}
	}

	f.Body = string(body)
	if kind != "" {
		plain, err := c.unseal(kind, key, company, h, body)
		if err != nil {
			f.Seal, f.Body = err.Error(), ""
			wrong = append(wrong, errors.New("the sealed body does not open"))
		} else {
			f.Seal, f.Body = "opened", string(plain)
		}
	}
	return f, sumUp(wrong)
}

// sumUp joins errors on one line; nil if there is no error.
func sumUp(wrong []error) error {
	texts := make([]string, len(wrong))
	for i, err := range wrong {
		texts[i] = err.Error()
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

// unseal opens the body with key, or if that is nil with the key of the first appKey
// that fits.
func (c *VerifyPushCmd) unseal(kind string, key []byte, company string, h http.Header, body []byte) ([]byte, error) {
	// Only GCM needs the time. The other kinds open without X-Log headers.
	at, _ := strconv.ParseInt(h.Get(signing.HeaderXLogTimeStamp), 10, 64)
	m := &signing.Message{CompanyID: company, At: at, RandomCode: h.Get(signing.HeaderXLogRandomCode), Body: body}
	if key != nil {
		return signing.Open(kind, key, m)
	}

	var first error
	for _, appKey := range c.AppKey {
		plain, err := signing.Open(kind, signing.DeriveKey(kind, appKey), m)
		if err == nil {
			return plain, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// print shows the findings.
func (c *VerifyPushCmd) print(w io.Writer, f *findings) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(f)
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-18s %s\n", name, clean(value))
		}
	}
	line("webhook-signature", f.Webhook)
	line("X-Log-Sign", f.XLog)
	line("webhook-id", f.ID)
	if f.SignedAt != "" {
		line("signed", f.SignedAt+", "+f.Age+" before it arrived")
	}
	if f.Encryption != "" {
		line(f.Encryption, f.Seal)
	}
	line("body", f.Body)
	_, err := io.WriteString(w, b.String())
	return err
}
