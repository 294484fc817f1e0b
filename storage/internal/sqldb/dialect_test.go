package sqldb

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTranslate(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 1":                             "SELECT 1",
		"a = ? AND b = ?":                      "a = $1 AND b = $2",
		"a = ?2 AND b = ?1 AND c IN (?1,?12)":  "a = $2 AND b = $1 AND c IN ($1,$12)",
		"x INDEXED BY some_index WHERE y = ?":  "x WHERE y = $1",
		"x INDEXED BY some_index":              "x",
		"a CROSS JOIN b ON b.x = ?":            "a JOIN b ON b.x = $1",
		"COUNT(*) C CROSS":                     "COUNT(*) C CROSS",
		"?::bigint[], ?":                       "$1::bigint[], $2",
		"SELECT $1":                            "SELECT $1",
		strings.Repeat("(?,?),", 1000) + "(?)": "",
	} {
		if want == "" {
			got := toPostgres(in)
			require.True(t, strings.HasSuffix(got, "($1999,$2000),($2001)"), got[len(got)-40:])
			continue
		}
		require.Equal(t, want, translate(in))
		require.Equal(t, want, translate(in), "again")
	}
}

var words = regexp.MustCompile(`\?[0-9]?| INDEXED BY [a-z_]*|CROSS JOIN `)

func FuzzTranslate(f *testing.F) {
	f.Add("SELECT ?, ?1 FROM x INDEXED BY y_z CROSS JOIN z")
	f.Fuzz(func(t *testing.T, query string) {
		n := 0
		want := words.ReplaceAllStringFunc(query, func(w string) string {
			switch {
			case w == "?":
				n++
				return fmt.Sprint("$", n)
			case w[0] == '?':
				return "$" + w[1:]
			case w[0] == 'C':
				return "JOIN "
			}
			return ""
		})
		require.Equal(t, want, toPostgres(query))
	})
}
