// Package feed brings events to a hub: it reads them from files, posts them in
// batches, and tries again until each has its answer.
package feed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tidwall/gjson"
)

// MaxItem is the length of the longest item that is read, in bytes. It is well above
// what a hub takes (256 KiB of body), so that the hub says what it refuses.
const MaxItem = 1 << 20

// Item is one event on its way to the hub.
type Item struct {
	Line  int    // where it begins in its file, from 1; 0 if it is not from a file
	JSON  []byte // on one line
	Key   uint64 // items with the same key are sent in order, never in two requests at once
	Fault string // why it cannot be sent; empty if it can
}

// Reader reads items from NDJSON, or from one JSON array if the first character is a
// bracket. It holds one item in memory, however long the file is.
type Reader struct {
	r           *bufio.Reader
	line        int  // of the next byte
	begun       bool // the first character was read
	array       bool // it is an array
	arrayClosed bool // the array was closed
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10), line: 1} }

// Next returns the next item, and io.EOF after the last. A line, or an element of an
// array, that is not JSON comes as an item with a Fault, or is left for the hub to
// refuse. If the end of an array is missing the error says where.
func (r *Reader) Next() (Item, error) {
	if !r.begun {
		if err := r.begin(); err != nil {
			return Item{}, err
		}
	}
	if r.array {
		return r.element()
	}
	return r.lineItem()
}

// begin skips a byte order mark, and finds out whether there is an array.
func (r *Reader) begin() error {
	r.begun = true
	if b, _ := r.r.Peek(3); bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = r.r.Discard(3) // just peeked at
	}
	c, err := r.skipSpace()
	if err != nil {
		return err
	}
	if c == '[' {
		r.array = true
		return nil
	}
	return r.r.UnreadByte()
}

// skipSpace returns the next byte that is not white space.
func (r *Reader) skipSpace() (byte, error) {
	for {
		c, err := r.r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			r.line++
		case ' ', '\t', '\r':
		default:
			return c, nil
		}
	}
}

// lineItem reads the next line that is not empty.
func (r *Reader) lineItem() (Item, error) {
	for {
		it := Item{Line: r.line}
		for {
			part, err := r.r.ReadSlice('\n')
			if len(it.JSON)+len(part) > MaxItem {
				it.Fault = tooLong
			} else {
				it.JSON = append(it.JSON, part...)
			}
			if err == nil || errors.Is(err, io.EOF) && (len(it.JSON) > 0 || it.Fault != "") {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return Item{}, err
			}
		}
		r.line++

		if it.Fault != "" {
			it.JSON = nil
			return it, nil
		}
		if it.JSON = bytes.TrimSpace(it.JSON); len(it.JSON) > 0 {
			return it, nil
		}
	}
}

var tooLong = fmt.Sprintf("longer than %d bytes", MaxItem)

// element reads one element of the array, up to the comma or bracket that ends it.
// Brackets and commas inside strings and inner values do not end it.
func (r *Reader) element() (Item, error) {
	if r.arrayClosed {
		return Item{}, r.trailing()
	}
	c, err := r.skipSpace()
	if err != nil {
		return Item{}, r.broken(err)
	}

	it := Item{Line: r.line}
	var raw []byte

	depth, inText, escaped := 0, false, false
	for ; ; c, err = r.r.ReadByte() {
		if err != nil {
			return Item{}, r.broken(err)
		}
		switch {
		case c == '\n':
			r.line++
			escaped = false
		case escaped:
			escaped = false
		case inText:
			escaped = c == '\\'
			inText = c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			depth--
		case depth == 0 && (c == ',' || c == ']'):
			r.arrayClosed = c == ']'
			return r.finish(it, raw)
		}
		if len(raw) < MaxItem {
			raw = append(raw, c)
		} else {
			it.Fault = tooLong
		}
	}
}

// finish makes an item of what was read of an element.
func (r *Reader) finish(it Item, raw []byte) (Item, error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case it.Fault != "":
		return it, nil
	case len(raw) == 0 && r.arrayClosed:
		return Item{}, r.trailing() // the array is empty, or ends in a comma
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		it.Fault = "not JSON: " + err.Error()
		return it, nil //nolint:nilerr // a bad line is the item's fault, not the reader's
	}
	it.JSON = b.Bytes()
	return it, nil
}

// trailing returns io.EOF if nothing follows the array.
func (r *Reader) trailing() error {
	c, err := r.skipSpace()
	if err == nil {
		return fmt.Errorf("line %d: %q after the end of the array", r.line, c)
	}
	return err
}

func (r *Reader) broken(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: the array has no end: %w", r.line, io.ErrUnexpectedEOF)
	}
	return err
}

// Identify gives an envelope without an id an id made of its bytes and its line, so
// that sending the same file again doubles nothing. Bare bodies, and what is not an
// object, stay as they are.
func Identify(it *Item) {
	if !gjson.ValidBytes(it.JSON) {
		return
	}
	got := gjson.GetManyBytes(it.JSON, "type", "id")
	if it.JSON[0] != '{' || !got[0].Exists() || got[1].Exists() && got[1].Type != gjson.Null {
		return
	}
	if got[1].Exists() {
		return // it is null: the hub says what is wrong
	}

	h := sha256.New()
	_, _ = h.Write(strconv.AppendInt(nil, int64(it.Line), 10)) // a hash never fails
	_, _ = h.Write(it.JSON)
	b := append(make([]byte, 0, len(it.JSON)+48), `{"id":"file-`...)
	b = hex.AppendEncode(b, h.Sum(nil)[:16])
	b = append(b, `",`...)
	it.JSON = append(b, bytes.TrimLeft(it.JSON[1:], " \t")...)
}
