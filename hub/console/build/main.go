// Build makes hub/console/dist of the sources in hub/console/web. It needs no Node: the
// bundler is a Go library. With -watch it goes on, and builds again after each change.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	watch := flag.Bool("watch", false, "build again after each change of the sources")
	vendor := flag.String("vendor", "", "copy the libraries from this folder node_modules to web/vendor, and end")
	flag.Parse()

	work := func() error { return run(*watch) }
	if *vendor != "" {
		work = func() error { return copyVendored(*vendor) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "console build:", err)
		os.Exit(1)
	}
}

// run builds once or, with watch, after each change.
func run(watch bool) error {
	root, err := folder()
	if err != nil {
		return err
	}
	for last := ""; ; time.Sleep(200 * time.Millisecond) {
		state, err := stateOf(filepath.Join(root, "web", "src"))
		if err != nil {
			return err
		}
		if state == last {
			continue
		}
		last = state

		began := time.Now()
		files, err := Build(filepath.Join(root, "web"))
		if err == nil {
			err = write(filepath.Join(root, "dist"), files)
		}
		switch {
		case !watch:
			return err
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
		default:
			fmt.Printf("built in %d ms\n", time.Since(began).Milliseconds())
		}
	}
}

// copyVendored writes web/vendor.
func copyVendored(modules string) error {
	root, err := folder()
	if err != nil {
		return err
	}
	files, err := Vendored(modules)
	if err != nil {
		return err
	}
	return write(filepath.Join(root, "web", "vendor"), files)
}

// folder returns hub/console, whether the command runs there or at the root of the module.
func folder() (string, error) {
	for _, dir := range []string{".", "hub/console", ".."} {
		if _, err := os.Stat(filepath.Join(dir, "web", "src", "app.ts")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("run it as: go generate ./hub/console")
}

// stateOf returns a text that changes with the files of a folder.
func stateOf(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	return b.String(), err
}

// write makes a folder hold these files and nothing else.
func write(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
