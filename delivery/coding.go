package delivery

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/hookline/hookline/hub/event"
)

// identity asks for answers without a content coding. Some come in one all the same.
var identity = []string{"identity"}

// codingsMax bounds the codings on top of each other in one answer: each can
// make what the next reads a thousand times as long.
const codingsMax = 2

// codingsOf lists the content codings of an answer, in the order in which they
// were applied.
func codingsOf(answer http.Header) (codings []string) {
	for _, line := range answer["Content-Encoding"] {
		codings = append(codings, event.Codings(line)...)
	}
	return codings
}

// decoder reads what was encoded into body. It reads no more of it than it has
// to, and must be closed; body is left open. An error names a coding that is not
// read here: compress, br.
func decoder(codings []string, body io.Reader) (io.ReadCloser, error) {
	if len(codings) > codingsMax {
		return nil, fmt.Errorf("%d content codings on top of each other", len(codings))
	}
	var open layers
	for _, coding := range slices.Backward(codings) {
		layer, err := decodeOne(coding, body)
		if err != nil {
			_ = open.Close() // of a reader, which has nothing to lose
			return nil, err
		}
		open.closers = append(open.closers, layer)
		body = layer
	}
	open.Reader = body
	return &open, nil
}

// layers are decoders on top of each other; Reader is the uppermost.
type layers struct {
	io.Reader
	closers []io.Closer
}

func (l *layers) Close() error {
	var failed error
	for _, closer := range slices.Backward(l.closers) {
		if err := closer.Close(); failed == nil {
			failed = err
		}
	}
	return failed
}

func decodeOne(coding string, body io.Reader) (io.ReadCloser, error) {
	switch coding {
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("its content is not %s, as it says: %w", coding, err)
		}
		return r, nil
	case "deflate":
		return inflate(body)
	case "zstd":
		r, err := zstd.NewReader(body,
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("its content is not zstd, as it says: %w", err)
		}
		return r.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("its content coding %s is not read here", coding)
}

// inflate reads deflate, which is zlib's format by its definition, and the bare
// one inside it by the habit of some servers.
func inflate(body io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReader(body)
	head, _ := buffered.Peek(2) // an error comes again with the first read
	if len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		r, err := zlib.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("its content is not deflate, as it says: %w", err)
		}
		return r, nil
	}
	return flate.NewReader(buffered), nil
}

// decoded returns at most most bytes of what was encoded into body, which may
// be cut off: then, or if it is not what it says, as far as it could be read,
// with the error.
func decoded(codings []string, body []byte, most int) ([]byte, error) {
	r, err := decoder(codings, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	plain, err := io.ReadAll(io.LimitReader(r, int64(most)))
	if err != nil {
		err = fmt.Errorf("its content coding is broken: %w", err)
	}
	return plain, err
}

// outside is the way out for what is not a push: it has the bound of the
// request, asks for no content coding, and takes away those that come all the
// same. Bodies are read through it as they come; the reader bounds them.
type outside struct{ *http.Transport }

func (o outside) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(withDialDeadline(req.Context()))
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header["Accept-Encoding"] = identity
	}
	resp, err := o.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	codings := codingsOf(resp.Header)
	if len(codings) == 0 {
		return resp, nil
	}
	resp.Body = &decodedBody{codings: codings, body: resp.Body}
	resp.ContentLength, resp.Uncompressed = -1, true
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	return resp, nil
}

// decodedBody decodes from the first read on, so that an answer whose body
// nobody wants is one all the same.
type decodedBody struct {
	codings []string
	body    io.ReadCloser
	plain   io.ReadCloser // nil: nothing was read yet
	failed  error
}

func (b *decodedBody) Read(p []byte) (int, error) {
	if b.plain == nil && b.failed == nil {
		b.plain, b.failed = decoder(b.codings, b.body)
	}
	if b.failed != nil {
		return 0, b.failed
	}
	return b.plain.Read(p)
}

func (b *decodedBody) Close() error {
	if b.plain != nil {
		_ = b.plain.Close() // of a reader, which has nothing to lose
	}
	return b.body.Close()
}
