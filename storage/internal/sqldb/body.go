package sqldb

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Formats of stored bodies: their first byte.
const (
	bodyRaw  = 0
	bodyZstd = 1

	// bodyCompleted is added to the format when the push of the event has what its sender
	// left out.
	bodyCompleted = 2
)

// compressFrom is the size from which a body is worth compressing: below it,
// the time costs more than the pages saved.
const compressFrom = 4 << 10

var (
	zstdWriter, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	zstdReader, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
)

// EncodeBody returns the form in which a plain body is stored.
func EncodeBody(plain []byte) []byte {
	if len(plain) >= compressFrom {
		return zstdWriter.EncodeAll(plain, append(make([]byte, 0, len(plain)/2), bodyZstd))
	}
	return append(append(make([]byte, 0, len(plain)+1), bodyRaw), plain...)
}

// MarkCompleted adds to a stored form that the push of the event has what its sender left
// out. It changes stored.
func MarkCompleted(stored []byte) []byte {
	stored[0] |= bodyCompleted
	return stored
}

// Completed reports whether a stored form has the mark of MarkCompleted.
func Completed(stored []byte) bool { return len(stored) > 0 && stored[0]&bodyCompleted != 0 }

// DecodeBody returns the plain body of a stored form. The result does not alias stored.
func DecodeBody(stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return nil, errors.New("stored body is empty")
	}
	switch stored[0] &^ bodyCompleted {
	case bodyRaw:
		return append([]byte(nil), stored[1:]...), nil
	case bodyZstd:
		return zstdReader.DecodeAll(stored[1:], nil)
	}
	return nil, fmt.Errorf("stored body has unknown format %d", stored[0])
}

// Compress returns bytes that Decompress turns back. Unlike EncodeBody it always
// compresses, and adds no format byte.
func Compress(plain []byte) []byte { return zstdWriter.EncodeAll(plain, nil) }

// Decompress appends to into what Compress was given.
func Decompress(compressed, into []byte) ([]byte, error) {
	return zstdReader.DecodeAll(compressed, into)
}
