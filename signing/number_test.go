package signing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/signing"
)

func TestNumbers(t *testing.T) {
	b := box(t, 1)
	s := b.Numbers("demo")
	sealed := s.Seal("13812345678")
	require.NotContains(t, sealed, "1381")
	require.Equal(t, sealed, b.Numbers("demo").Seal("13812345678"), "one customer looks the same everywhere")
	require.NotEqual(t, sealed, s.Seal("13812345679"))
	require.NotEqual(t, sealed, b.Numbers("other").Seal("13812345678"), "and not the same to another tenant")
	number, err := s.Open(sealed)
	require.NoError(t, err)
	require.Equal(t, "13812345678", number)
	for _, bad := range []string{"", "no base64", "AAAA", sealed[:len(sealed)-4], b.Numbers("other").Seal("1")} {
		_, err := s.Open(bad)
		require.ErrorIs(t, err, signing.ErrBox, bad)
	}
}
