package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// HealthCmd asks a hub whether it can do its work. It is a probe for containers that
// contain nothing but this binary.
type HealthCmd struct {
	Addr    string        `env:"HOOKLINE_ADDR" default:"127.0.0.1:8080" help:"Listen address of the hub; of 0.0.0.0 and [::] loopback is asked."`
	TLSCert string        `name:"tls-cert" env:"HOOKLINE_TLS_CERT" help:"The hub has a certificate: ask by https."`
	URL     string        `placeholder:"URL" help:"Ask there instead; without a path, /readyz."`
	Timeout time.Duration `default:"3s" help:"Bound of the request."`
}

// Help is shown by --help.
func (*HealthCmd) Help() string {
	return `Prints the answer; the exit code is 0 when it is a 2xx, else 1. With the settings of serve, as in its
container, nothing needs to be said.`
}

// maxHealth bounds how much of an answer is printed, in bytes.
const maxHealth = 4 << 10

// Run asks once, and prints the answer.
func (c *HealthCmd) Run(ctx context.Context, s streams) error {
	u, err := c.probe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}

	// It uses no proxy and follows no redirect, so that the answer is the hub's.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: probeTLS(u)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}

	answer := clean(strings.TrimSpace(string(text)))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	_, err = fmt.Fprintln(s.out, answer)
	return err
}

// probe returns the URL to ask.
func (c *HealthCmd) probe() (*url.URL, error) {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("--url: must begin with http:// or https:// and name a host")
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/readyz"
		}
		return u, nil
	}

	// A hub that listens on all addresses is asked on loopback.
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("HOOKLINE_ADDR: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}

	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/readyz"}
	if c.TLSCert != "" {
		u.Scheme = "https"
	}
	return u, nil
}

// probeTLS accepts any certificate if the host is an IP address: certificates are for
// names, and nothing secret is sent.
func probeTLS(u *url.URL) *tls.Config {
	_, err := netip.ParseAddr(u.Hostname())
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: err == nil}
}
