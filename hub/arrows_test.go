package hub_test

import (
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/hookline/hookline"

// layers of the tree, lowest first. A package imports from lower layers only.
var layers = [][]string{
	{"hub/fair", "hub/console/build"}, // they import no package of this module, as nearly all of the next layer
	{
		"hub/event", "hub/access", "hub/audit", "hub/problem", "hub/openapi", "hub/stream", "hub/wake", "signing",
		"migrations",
		"docs/*", "hub/hubtest/pgserver", "hub/hubtest/rabbitserver", "hub/hubtest/sqlitetest",
	},
	{"hub/record", "hub/hubtest/pgtest", "hub/hubtest/rabbittest"},
	{"subscriptions", "hub/directory", "hub/source/mapping"},
	{"delivery"},
	{"hub/ingest", "hub/recording", "hub/search", "hub/tail", "hub/live", "hub/report"},
	{"hub/dialect", "hub/source"}, // what dialects share
	{"hub/api", "hub/console", "hub/dialect/*", "hub/rabbit"},
	{"storage/internal/sqldb"},                      // what speaks to the databases
	{"storage/folds", "storage/internal/storetest"}, // they may know everybody's types
	{"storage"}, // likewise
	{"hub/config", "hub/peers"},
	{"hub/operate"},
	{"hub"},
	{"cmd/*", "cmd/*/*"},
	{"hub/hubtest", "hub/hubtest/*/*"}, // for tests
	{"hub/hubtest/consoletest"},
}

// reserved packages, and the packages that alone may import them, apart from tests
// and what is for tests. An empty list means that nobody may.
var reserved = map[string][]string{
	module + "/storage":       {"hub", "hub/config", "hub/peers", "hub/operate"},
	module + "/storage/folds": {"hub", "hub/operate", "storage"},
	module + "/migrations":    {"storage"},
	module + "/hub/hubtest":   {},
	// All SQL sits in storage.
	"database/sql":            inStorage,
	"github.com/jmoiron/sqlx": inStorage,
	"modernc.org/sqlite":      inStorage,
	"github.com/lib/pq":       inStorage,
	// The bundler of the console is no part of the hub.
	"github.com/evanw/esbuild/pkg/api": {"hub/console/build"},
	// Only one package speaks with the broker.
	"github.com/rabbitmq/amqp091-go": {"hub/rabbit"},
}

var inStorage = []string{"storage", "storage/folds", "storage/internal/sqldb", "storage/internal/storetest"}

// layerOf returns the layer of a package, named by its folder; -1 if it is not in the
// table.
func layerOf(folder string) int {
	return slices.IndexFunc(layers, func(l []string) bool {
		return slices.ContainsFunc(l, func(pattern string) bool {
			ok, err := path.Match(pattern, folder)
			return ok && err == nil
		})
	})
}

// arrow returns what is wrong with a package that imports another.
func arrow(folder, imported string) error {
	if who, is := reserved[imported]; is && !slices.Contains(who, folder) && !strings.HasPrefix(folder, "hub/hubtest") {
		return fmt.Errorf("%s imports %s, which only %s may", folder, imported, cmp.Or(strings.Join(who, ", "), "tests"))
	}
	ours, is := strings.CutPrefix(imported, module+"/")
	if !is {
		return nil
	}
	from, to := layerOf(folder), layerOf(ours)
	switch {
	case from < 0 || to < 0:
		return fmt.Errorf("%s imports %s: say in layers where both belong", folder, ours)
	case from == to && strings.HasPrefix(folder, "cmd/"):
		return nil // these are parts of one program
	case to >= from:
		return fmt.Errorf("%s imports %s, which is not below it", folder, ours)
	}
	return nil
}

func TestImportsRunOneWay(t *testing.T) {
	seen := map[string]bool{}
	const root = ".."
	require.NoError(t, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "data" || strings.HasPrefix(name, ".") && file != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		folder = filepath.ToSlash(folder)
		seen[folder] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if err := arrow(folder, imported); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		return nil
	}))
	for folder := range seen {
		require.GreaterOrEqual(t, layerOf(folder), 0, "%s: say in layers where it belongs", folder)
	}
	require.Subset(t, slices.Collect(maps.Keys(seen)), []string{"hub", "storage", "delivery", "cmd/hookline"},
		"the walk missed the tree")
}

func TestArrow(t *testing.T) {
	for _, allowed := range [][2]string{
		{"hub", module + "/storage"},
		{"hub/peers", module + "/storage"},
		{"hub/operate", module + "/hub/config"},
		{"storage", module + "/hub/api"},
		{"storage", module + "/storage/folds"},
		{"storage/folds", "database/sql"},
		{"storage", "database/sql"},
		{"hub/api", module + "/hub/search"},
		{"hub/dialect/sobot", module + "/hub/report"},
		{"cmd/hookline", module + "/cmd/hookline/sink"},
		{"cmd/hookline/sink", module + "/signing"},
		{"hub/access", "net/http"},
	} {
		require.NoError(t, arrow(allowed[0], allowed[1]), "%v", allowed)
	}
	for _, forbidden := range [][2]string{
		{"cmd/hookline", module + "/storage"},
		{"hub/api", module + "/storage"},
		{"hub/api", module + "/storage/folds"},
		{"storage/folds", module + "/storage"},
		{"hub/api", module + "/hub"},
		{"hub/peers", module + "/hub/operate"},
		{"hub/operate", module + "/hub"},
		{"storage", module + "/hub/config"},
		{"hub/search", module + "/hub/ingest"},
		{"hub/dialect/sobot", module + "/hub/dialect/comm100"},
		{"hub/dialect/sobot", "database/sql"},
		{"hub/access", module + "/hub/problem"},
		{"hub/event", module + "/signing"},
		{"signing", module + "/hub/event"},
		{"delivery", module + "/hub/ingest"},
		{"hub", module + "/hub/hubtest"},
		{"hub", module + "/util"},
		{"util", module + "/hub/event"},
	} {
		require.Error(t, arrow(forbidden[0], forbidden[1]), "%v", forbidden)
	}
}
