package console_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/hubtest/consoletest"
)

func TestMain(m *testing.M) { os.Exit(consoletest.Main(m)) }

// Somebody signs in with a key, and out again.
func TestSignIn(t *testing.T) {
	c := consoletest.NewTenant(t)
	p := c.Open(t, "", "/deliveries")
	p.See("What each role sees")
	p.Accessible()
	p.Picture("sign-in")

	p.Fill("Key", access.NewKey(c.Company))
	p.Click("Sign in")
	p.See("not known here")

	p.Fill("Key", c.Owner)
	p.Click("Sign in")
	p.See("No delivery yet")
	require.Empty(t, consoletest.Eval[string](p, "document.cookie"), "no script can read the cookie")
	require.Zero(t, consoletest.Eval[int](p, "sessionStorage.length + localStorage.length"), "and none is stored")
	p.Click("Sign out")
	p.See("What each role sees")
	p.Clean()
}
