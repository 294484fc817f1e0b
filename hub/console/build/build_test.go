package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is committed in dist is what the sources build, byte for byte.
func TestDistIsWhatTheSourcesBuild(t *testing.T) {
	built, err := Build("../web")
	require.NoError(t, err)
	committed, err := filesOf("../dist")
	require.NoError(t, err)
	for name, content := range built {
		require.True(t, bytes.Equal(content, committed[name]), "%s is not what the sources build: go generate ./hub/console", name)
	}
	require.Len(t, committed, len(built), "dist has files that the sources do not build: go generate ./hub/console")
}

// packed returns how many bytes files have that are sent packed.
func packed(t *testing.T, files map[string][]byte, suffix string, but ...string) int {
	t.Helper()
	sum := 0
	for name, content := range files {
		if !strings.HasSuffix(name, suffix) || len(but) > 0 && strings.HasPrefix(name, but[0]) {
			continue
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		require.NoError(t, err)
		_, err = z.Write(content)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		sum += b.Len()
	}
	return sum
}

// The console stays small: what any page needs, and everything together.
func TestBundleBudget(t *testing.T) {
	files, err := filesOf("../dist")
	require.NoError(t, err)
	first := map[string][]byte{"app.js": files["app.js"], "theme.js": files["theme.js"]}
	require.Less(t, packed(t, first, ".js"), 80<<10, "scripts that every page needs")
	require.Less(t, packed(t, files, ".js"), 130<<10, "all scripts")
	require.Less(t, packed(t, files, ".css"), 15<<10, "all style sheets")
}

// sources returns the sources of the console by name.
func sources(t *testing.T) map[string]string {
	t.Helper()
	files, err := filesOf("../web/src")
	require.NoError(t, err)
	texts := map[string]string{}
	for name, content := range files {
		texts[name] = string(content)
	}
	require.Greater(t, len(texts), 10)
	return texts
}

// The policy of the pages forbids what is inline, and HTML that is made of texts.
func TestNoInline(t *testing.T) {
	forbidden := regexp.MustCompile(`style=|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|` +
		`javascript:|<script>|<style>`)
	inHTML := regexp.MustCompile(`\son[a-z]+=`)
	for name, text := range sources(t) {
		require.Empty(t, forbidden.FindString(text), name)
		if strings.HasSuffix(name, ".html") {
			require.Empty(t, inHTML.FindString(text), name)
		}
	}
}

// Words for people stand in files of words alone, so that the console can be translated.
func TestWordsAreInTheirFiles(t *testing.T) {
	between := regexp.MustCompile(`[^=]>\s*[A-Z][a-z]+[A-Za-z ,.]*</`)
	attribute := regexp.MustCompile(`\b(?:title|label|aria-label|placeholder|alt)="[^"]*[A-Za-z]{2}[^"]*"`)
	for name, text := range sources(t) {
		if strings.HasSuffix(name, ".tsx") {
			require.Empty(t, between.FindString(text), "%s: a text outside of the files of words", name)
			require.Empty(t, attribute.FindString(text), "%s: a text outside of the files of words", name)
		}
	}
}

// The sources agree with the types of the OpenAPI document, and the copies of libraries are
// what npm has under their versions.
func TestTypesAreOfTheOpenAPI(t *testing.T) {
	if testing.Short() {
		return // it needs npm; make test has it
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json"} {
		content, err := os.ReadFile(filepath.Join("../web", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	require.NoError(t, os.CopyFS(filepath.Join(dir, "src"), os.DirFS("../web/src")))
	document, err := filepath.Abs("../../openapi/openapi.yaml")
	require.NoError(t, err)

	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %v\n%s", name, args, out)
	}
	run("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts")
	run("node", "node_modules/openapi-typescript/bin/cli.js", document, "-o", "src/openapi.d.ts")
	run("node", "node_modules/typescript/bin/tsc", "-p", ".")

	vendored, err := Vendored(filepath.Join(dir, "node_modules"))
	require.NoError(t, err)
	committed, err := filesOf("../web/vendor")
	require.NoError(t, err)
	require.Equal(t, len(vendored), len(committed))
	for name, content := range vendored {
		require.True(t, bytes.Equal(content, committed[name]), "%s is not what npm has", name)
	}
}
