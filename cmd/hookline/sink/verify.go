package sink

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hookline/hookline/signing"
)

// Verdict says what came of checking a push.
type Verdict string

// The verdicts.
const (
	Off      Verdict = "off"      // there is no key to check with
	Good     Verdict = "ok"       // both signatures are right, and the time is recent
	Bad      Verdict = "BAD"      // missing or wrong
	Stale    Verdict = "STALE"    // right, but signed too long ago or in the future
	Unopened Verdict = "UNOPENED" // sealed, and the seal does not open
)

func (v Verdict) bad() bool { return v != Off && v != Good }

// verify checks signature and time, and opens the body. If it can be opened, p.Body is
// plain afterwards.
func (s *Sink) verify(p *Push) {
	p.Verdict = Off
	company := s.cfg.CompanyID
	check := len(s.cfg.AppKeys) > 0 && !s.cfg.SkipVerify
	if check && company == "" && p.Encryption == "" {
		company = text(p.Body, "companyId")
	}

	if check {
		p.Verdict = Good
		m, err := signing.Verify(p.Header, p.Body, company, s.cfg.AppKeys...)
		switch age := p.At.Sub(time.UnixMilli(m.At)).Abs(); {
		case err != nil:
			p.Verdict = Bad
			p.Error = err.Error()
		case s.cfg.Tolerance > 0 && age > s.cfg.Tolerance:
			p.Verdict = Stale
			p.Error = fmt.Sprintf("signed %v away from now", age.Round(time.Second))
		}
	}

	if p.Encryption == "" {
		return
	}
	plain, err := s.unseal(p, company)
	if err != nil {
		p.Verdict = Unopened
		p.Error = err.Error()
		return
	}
	p.Body = plain
}

// unseal returns the plain body of a sealed push.
func (s *Sink) unseal(p *Push, company string) ([]byte, error) {
	key := s.cfg.EncryptionKey
	if len(key) == 0 {
		if len(s.cfg.AppKeys) == 0 {
			return nil, fmt.Errorf("sealed with %s, and no key was given", p.Encryption)
		}
		key = signing.DeriveKey(p.Encryption, s.cfg.AppKeys[0])
	}
	at, err := strconv.ParseInt(p.Header.Get(signing.HeaderXLogTimeStamp), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", signing.HeaderXLogTimeStamp, err)
	}
	return signing.Open(p.Encryption, key, &signing.Message{
		CompanyID: company, At: at, RandomCode: p.Header.Get(signing.HeaderXLogRandomCode), Body: p.Body,
	})
}
