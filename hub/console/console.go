// Package console holds the pages that people see: what the sources in web are built to, and
// the handler that serves it. The pages ask /v1 for all that they show, like any other client.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:generate go run ./build

// dist is what the sources are built to. It is committed, so that whoever builds the hub
// needs neither Node nor a bundler. TestDistIsWhatTheSourcesBuild holds it against them.
//
//go:embed dist
var dist embed.FS

// policy is the Content-Security-Policy of all pages: nothing but files of this hub, nothing
// inline, and no HTML made of texts.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"media-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// permissions turns off what browsers offer, except what the wallboard needs.
const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), geolocation=(), " +
	"gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=(), " +
	"fullscreen=(self), screen-wake-lock=(self)"

// file is a file of dist, as it is served.
type file struct {
	kind  string // Content-Type
	etag  string
	plain []byte
	gzip  []byte // nil if that is not smaller
}

// Handler serves the console below /console/. A path that no file has is a page that the
// scripts draw, so it is answered with index.html.
func Handler() http.Handler {
	files, err := load(dist)
	if err != nil {
		panic("console: " + err.Error()) // cannot happen: the files are part of the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/console/")
		f, is := files[name]
		if !is && path.Ext(name) != "" && strings.HasPrefix(name, "pages/") {
			http.NotFound(w, r) // a script that an older page asks for
			return
		}
		if !is {
			f = files["index.html"]
		}
		f.serve(w, r)
	})
}

// load reads all files of dist, by their name below it.
func load(dist fs.FS) (map[string]*file, error) {
	files := map[string]*file{}
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		f, err := newFile(name, content)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files[strings.TrimPrefix(name, "dist/")] = f
		return nil
	})
	return files, err
}

// newFile prepares a file to be served.
func newFile(name string, content []byte) (*file, error) {
	sum := sha256.Sum256(content)
	f := &file{
		kind:  mime.TypeByExtension(path.Ext(name)),
		etag:  `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		plain: content,
	}
	switch path.Ext(name) { // the machine's own table of types may say something else
	case ".js":
		f.kind = "text/javascript; charset=utf-8"
	case ".css":
		f.kind = "text/css; charset=utf-8"
	case ".html":
		f.kind = "text/html; charset=utf-8"
	case ".svg":
		f.kind = "image/svg+xml"
	}

	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if packed.Len() < len(content) {
		f.gzip = packed.Bytes()
	}
	return f, nil
}

// serve answers with a file. A browser may keep it, and asks each time whether it changed.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", permissions)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}

	// The same bytes have one name, packed or not: a weak tag says that.
	h.Set("ETag", "W/"+f.etag)
	if strings.Contains(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}

	content := f.plain
	if f.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		content = f.gzip
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(content) // fails if the browser went away
}
