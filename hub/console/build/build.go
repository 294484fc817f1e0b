package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// shared are the modules that every page uses. They are in app.js, which exports them: each
// must be there once, as they hold state.
var shared = []string{
	"preact", "preact/hooks", "preact/jsx-runtime", "@preact/signals", "@tanstack/preact-query", "preact-iso",
}

// Build returns the files of dist, by name. app.js is the frame of all pages and what they
// share. Each page is a script of its own, and perhaps a style sheet, that the frame loads
// when somebody opens the page. Names are stable, so that a change shows as one in the
// history.
func Build(web string) (map[string][]byte, error) {
	web, err := filepath.Abs(web)
	if err != nil {
		return nil, err
	}
	src := filepath.Join(web, "src")
	pages, err := filepath.Glob(filepath.Join(src, "pages", "*.tsx"))
	if err != nil {
		return nil, err
	}
	slices.Sort(pages)

	files := map[string][]byte{}
	index, err := os.ReadFile(filepath.Join(src, "index.html"))
	if err != nil {
		return nil, err
	}
	files["index.html"] = index

	// The frame, with all that is shared in it.
	if err := bundle(files, web, api.BuildOptions{
		EntryPoints: []string{filepath.Join(src, "app.ts"), filepath.Join(src, "theme.ts")},
		External:    []string{"./pages/*", "./charts.js", "./diff.js"},
	}); err != nil {
		return nil, err
	}

	// What is loaded when it is needed. Its imports of what is shared lead to app.js.
	lazy := slices.Clone(pages)
	for _, name := range []string{"charts.tsx", "diff.tsx"} {
		if _, err := os.Stat(filepath.Join(src, name)); err == nil {
			lazy = append(lazy, filepath.Join(src, name))
		}
	}
	err = bundle(files, web, api.BuildOptions{EntryPoints: lazy, Plugins: []api.Plugin{toFrame(src)}})
	return files, err
}

// bundle builds entry points and adds what comes out to files.
func bundle(files map[string][]byte, web string, o api.BuildOptions) error {
	src := filepath.Join(web, "src")
	o.AbsWorkingDir = web
	o.Outdir = filepath.Join(web, "out") // nothing is written there
	o.Outbase = src
	o.Bundle = true
	o.Format = api.FormatESModule
	o.Platform = api.PlatformBrowser
	o.Target = api.ES2022
	o.Charset = api.CharsetUTF8
	o.JSX = api.JSXAutomatic
	o.JSXImportSource = "preact"
	// The router can also draw pages on a server, which nobody asks of it here.
	o.External = append(o.External, "preact-render-to-string")
	o.NodePaths = []string{filepath.Join(web, "vendor")}
	o.MinifySyntax = true
	o.MinifyWhitespace = true
	o.MinifyIdentifiers = true
	o.LegalComments = api.LegalCommentsNone // the licences are beside the vendored sources
	o.Define = map[string]string{"process.env.NODE_ENV": `"production"`}
	o.LogLevel = api.LogLevelSilent
	o.TsconfigRaw = "{}" // what the bundler does is said here alone

	result := api.Build(o)
	var errs []error
	for _, m := range result.Errors {
		at := ""
		if m.Location != nil {
			at = m.Location.File + ": "
		}
		errs = append(errs, errors.New(at+m.Text))
	}
	for _, f := range result.OutputFiles {
		name, err := filepath.Rel(o.Outdir, f.Path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)] = f.Contents
	}
	return errors.Join(errs...)
}

// toFrame is a plugin that turns imports of what is shared, and of the frame itself, into
// imports of app.js.
func toFrame(src string) api.Plugin {
	return api.Plugin{Name: "frame", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			if a.Importer == "" {
				return api.OnResolveResult{}, nil // an entry point
			}
			rel, err := filepath.Rel(src, a.Importer)
			if err != nil {
				return api.OnResolveResult{}, err
			}

			// A page in a folder finds the frame above it.
			up := strings.Repeat("../", strings.Count(filepath.ToSlash(rel), "/"))
			if up == "" {
				up = "./"
			}

			// Libraries that all share are in the frame; others go into the page.
			frame := api.OnResolveResult{Path: up + "app.js", External: true}
			if slices.Contains(shared, a.Path) {
				return frame, nil
			}
			if !strings.HasPrefix(a.Path, ".") {
				return api.OnResolveResult{}, nil
			}

			// Of our own files these three are scripts of their own.
			switch filepath.Join(filepath.Dir(a.Importer), filepath.FromSlash(a.Path)) {
			case filepath.Join(src, "frame"):
				return frame, nil
			case filepath.Join(src, "charts"):
				return api.OnResolveResult{Path: up + "charts.js", External: true}, nil
			case filepath.Join(src, "diff"):
				return api.OnResolveResult{Path: up + "diff.js", External: true}, nil
			}
			return api.OnResolveResult{}, nil
		})
	}}
}
