package deepcall_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// certificate of a hub on loopback, and the same as what clients trust.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "hub"}}, &private.PublicKey, private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key
}

// run a program that others wrote. It is missed when it is not there.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	_, err := exec.LookPath(name)
	require.NoError(t, err, "%s is needed to test that clients work", name)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s\n%s", name, args, out, problems.String())
	return strings.TrimSpace(string(out))
}

// The documents' own samples, as they stand there, with the brand, the session and
// the user put in. Only fetch is without the empty Content-Length of its sample,
// which browsers drop and Node refuses to send; and that of libcurl is what its
// calls send, from the curl command: a body, and no Content-Length at all.
func TestDocumentClients(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	cert, key := certificate(t)
	h := hubtest.Start(t, func(c *config.Config) {
		c.TLSCert, c.TLSKey = cert, key
		c.PlatformKey = "" // the hub makes the tenant itself
	})
	brand := "https://" + strings.TrimPrefix(h.URL, "http://")
	require.NotContains(t, brand, "https://http")
	env := []string{
		"SSL_CERT_FILE=" + cert, "CURL_CA_BUNDLE=" + cert, "NODE_EXTRA_CA_CERTS=" + cert, "NO_PROXY=127.0.0.1",
		"no_proxy=127.0.0.1",
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		raw, err := os.ReadFile("testdata/clients/" + name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o600))
	}
	run(t, dir, nil, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")

	const queue = `{"data":{"onB":0,"onC":0,"web":0,"agTc":0,"size":0,"grp":[],"ag":[],"st":[],"str":{},"ctyp":{},"campId":[],"qDura":[],"did":[]},"status":"success","code":200}`
	const agents = `{"message":{"pr":[],"oCA":0,"oBA":0,"lA":0,"Dia":0,"Ring":0,"sip":0,"mic":0},"status":"success","code":200}`
	samples, err := filepath.Glob("testdata/clients/*.*")
	require.NoError(t, err)
	programs := map[string]string{".js": "node", ".py": "python3", ".sh": "sh"}
	asked := 0
	for _, file := range samples {
		program := programs[filepath.Ext(file)]
		if program == "" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			asked++
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			at := brand
			if program == "python3" { // HTTPSConnection takes a host
				at = strings.TrimPrefix(brand, "https://")
			}
			text := strings.NewReplacer("{{brand}}", at, "{{ssid}}", h.Owner, "{{userid}}", "7", "{{token}}",
				h.Owner).Replace(string(raw))
			sample := filepath.Join(dir, filepath.Base(file))
			require.NoError(t, os.WriteFile(sample, []byte(text), 0o600))
			want := queue
			if strings.Contains(file, "agents") {
				want = agents
			}
			require.Equal(t, want, run(t, dir, env, program, sample))
		})
	}
	require.Equal(t, 10, asked)

	// Over TLS each endpoint has the header of its document.
	for path, want := range map[string]string{
		queuePath: "max-age=31536000; includeSubDomains", "/deepcall" + queuePath +
			"/": "max-age=31536000; includeSubDomains",
		agentsPath: "max-age=15724800; includeSubDomains", "/deepcall" + agentsPath +
			"/": "max-age=15724800; includeSubDomains",
		"/api/v2/Agent/nothing": "max-age=15724800; includeSubDomains",
	} {
		head := run(t, dir, env, "curl", "-s", "-o", "/dev/null", "-D", "-", "--data", "{}", brand+path)
		require.Contains(t, head, "strict-transport-security: "+want, path)
	}
}
