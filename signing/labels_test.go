package signing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/signing"
)

// Each label of a subkey has one use in the source, and one row in the documents. The chain
// of the audit log is written in one place and verified in another, and codes of numbers are
// made where they are stored and where they are asked for.
func TestEachLabelHasOneUse(t *testing.T) {
	places := map[string]int{"LabelAudit": 2, "LabelSubject": 2}
	labels := labelsOf(t)
	uses := usesOfSubkeys(t, "..")
	for name := range labels {
		require.Len(t, uses[name], max(1, places[name]), "uses of %s", name)
		delete(uses, name)
	}
	require.Empty(t, uses, "keys without a label in box.go")

	page, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	_, page2, _ := strings.Cut(string(page), "## Keys made of the master key")
	section, _, _ := strings.Cut(page2, "\n## ")
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`<]+)").FindAllStringSubmatch(section, -1) {
		require.False(t, listed[row[1]], "%s is listed twice", row[1])
		listed[row[1]] = true
	}
	values := map[string]bool{}
	for name, label := range labels {
		require.False(t, values[label], "%s has the label of another", name)
		values[label] = true
	}
	require.Equal(t, values, listed)
}

// labelsOf returns the labels that box.go declares, by the names of their constants.
func labelsOf(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "box.go", nil, 0)
	require.NoError(t, err)
	labels := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "label") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		labels[spec.Names[0].Name] = value
		return true
	})
	return labels
}

// usesOfSubkeys returns where the source below a folder makes subkeys, by label.
func usesOfSubkeys(t *testing.T, root string) map[string][]string {
	t.Helper()
	uses := map[string][]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is {
				return true
			}
			if fn, is := call.Fun.(*ast.SelectorExpr); is && fn.Sel.Name == "Subkey" {
				label := labelName(call.Args[0])
				uses[label] = append(uses[label], files.Position(call.Pos()).String())
			}
			return true
		})
		return nil
	}))
	return uses
}

// labelName returns the name of the constant with which the label of a subkey begins.
func labelName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return labelName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return "no constant"
}

// earlierNumber is what the version before labelNonce sealed for the tenant demo.
const earlierNumber = "NXB/SVcpESLEnXNAaYZI0H22EFevNouDyblUXAiyS6rSnmwkVSXk"

// What an earlier version sealed, with nonces under the sealing key, can still be opened.
func TestNumbersOfAnEarlierVersion(t *testing.T) {
	number, err := box(t, 1).Numbers("demo").Open(earlierNumber)
	require.NoError(t, err)
	require.Equal(t, "13812345678", number)
	require.NotEqual(t, earlierNumber, box(t, 1).Numbers("demo").Seal("13812345678"))
	_, err = box(t, 1).Numbers("other").Open(earlierNumber)
	require.ErrorIs(t, err, signing.ErrBox)
}
