package hub

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/config"
)

// certificate is the certificate of the listener. It is read again when its files
// change: they are renewed every few weeks, and a restart would be a gap.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	stamps [2]stamp // of the files when they were read last
}

// stamp tells versions of a file apart.
type stamp struct {
	modified time.Time
	size     int64
}

// newCertificate reads the files, which are PEM, for the first time.
func newCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	stamps, err := c.look()
	if err != nil {
		return nil, err
	}
	c.stamps = stamps
	loaded, err := tls.LoadX509KeyPair(cert, key)
	c.loaded = &loaded
	return c, err
}

// look returns the stamps of the files as they are now.
func (c *certificate) look() (s [2]stamp, err error) {
	for i, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

// get returns the certificate for a handshake. If the files cannot be read, or do not
// fit each other because only one of them is new, the certificate in use stays.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps, err := c.look()
	if err != nil || stamps == c.stamps {
		return c.loaded, nil
	}

	c.stamps = stamps
	loaded, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.log.Error("new certificate, the old one stays in use", "err", err)
		return c.loaded, nil
	}
	c.loaded = &loaded
	c.log.Info("new certificate", "file", c.cert)
	return c.loaded, nil
}

// serverTLS returns the configuration of the listener; nil without a certificate.
func serverTLS(s *config.Settings, log *slog.Logger) (*tls.Config, error) {
	if s.TLSCert == "" {
		return nil, nil
	}
	c, err := newCertificate(s.TLSCert, s.TLSKey, log)
	if err != nil {
		return nil, fmt.Errorf("HOOKLINE_TLS_CERT, HOOKLINE_TLS_KEY: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}
