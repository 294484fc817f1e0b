package access

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example of RFC 5849, 3.4.1.3.2, its form parameters put into the query.
func TestNormalize(t *testing.T) {
	query, err := url.ParseQuery("b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q")
	require.NoError(t, err)
	header, ok := parseOAuth(`OAuth realm="Example",
		oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", oauth_signature_method="HMAC-SHA1",
		oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="djosJKDKJSD8743243%2Fjdk33klY%3D"`)
	require.True(t, ok)
	require.Equal(t, "a2=r%20b&a3=2%20q&a3=a&b5=%3D%253D&c%40=&c2=&oauth_consumer_key=9djdj82h48djs9d2&oauth_nonce=7d8f3e4a"+
		"&oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131201&oauth_token=kkk9d7dh3k39sjv7", normalize(query, header))
	require.Equal(t, "djosJKDKJSD8743243/jdk33klY=", header["oauth_signature"])
}

// A port is left out only of the scheme that has it anyway (RFC 5849, 3.4.1.2).
func TestBaseURI(t *testing.T) {
	for want, of := range map[string][2]string{
		"http://example.com/r":           {"HTTP", "EXAMPLE.COM:80"},
		"https://example.com/r":          {"https", "example.com:443"},
		"https://example.com:80/r":       {"https", "example.com:80"},
		"http://example.com:443/r":       {"http", "example.com:443"},
		"https://www.example.net:8080/r": {"https", "www.example.net:8080"},
		"https://[::1]/r":                {"https", "[::1]:443"},
	} {
		require.Equal(t, want, baseURI(of[0], of[1], "/r"))
	}
}
