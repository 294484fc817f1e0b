package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

// vendored are the libraries of the console: the files of each package that are kept in
// web/vendor, as patterns below its folder in node_modules. Types are not among them: whoever
// checks types has node_modules.
var vendored = map[string][]string{
	"preact": {
		"dist/preact.module.js", "hooks/dist/hooks.module.js", "hooks/package.json",
		"jsx-runtime/dist/jsxRuntime.module.js", "jsx-runtime/package.json",
	},
	"@preact/signals":        {"dist/signals.module.js"},
	"@preact/signals-core":   {"dist/signals-core.module.js"},
	"preact-iso":             {"src/*.js"},
	"@tanstack/preact-query": {"build/modern/*.js"},
	"@tanstack/query-core":   {"build/modern/*.js"},
	"uplot":                  {"dist/uPlot.esm.js", "dist/uPlot.min.css"},
	"diff":                   {"libesm/*.js", "libesm/*/*.js", "libesm/package.json"},
	"openapi-fetch":          {"dist/index.mjs"},
}

// Vendored returns the files of web/vendor by name, as node_modules has them.
func Vendored(modules string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, patterns := range vendored {
		for _, pattern := range append([]string{"package.json", "LICENSE"}, patterns...) {
			found, err := filepath.Glob(filepath.Join(modules, name, pattern))
			if err != nil {
				return nil, err
			}

			for _, file := range found {
				content, err := os.ReadFile(file)
				if err != nil {
					return nil, err
				}
				rel, err := filepath.Rel(modules, file)
				if err != nil {
					return nil, err
				}
				if files[filepath.ToSlash(rel)], err = withoutComments(rel, content); err != nil {
					return nil, err
				}
			}
		}
	}

	if len(files) < len(vendored) {
		return nil, errors.New("no packages in " + modules + ": npm ci in hub/console/web first")
	}
	return files, nil
}

// withoutComments returns a file as it is kept: of scripts without comments and spaces, which
// are most of their size. The licence is a file of its own.
func withoutComments(name string, content []byte) ([]byte, error) {
	if ext := filepath.Ext(name); ext != ".js" && ext != ".mjs" {
		return content, nil
	}
	result := api.Transform(string(content), api.TransformOptions{
		MinifyWhitespace: true, LineLimit: 120, LegalComments: api.LegalCommentsNone, Charset: api.CharsetUTF8,
	})
	if len(result.Errors) > 0 {
		return nil, errors.New(name + ": " + result.Errors[0].Text)
	}
	return result.Code, nil
}

// filesOf returns all files below a folder, by name.
func filesOf(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		files[filepath.ToSlash(rel)] = content
		return err
	})
	return files, err
}
