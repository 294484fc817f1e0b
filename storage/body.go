package storage

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Formats of stored bodies: their first byte.
const (
	bodyRaw  = 0
	bodyZstd = 1
)

// compressFrom is the size from which a body is worth compressing: below it,
// the time costs more than the pages saved.
const compressFrom = 4 << 10

var (
	zstdWriter, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	zstdReader, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
)

// encodeBody is the stored form of a plain body.
func encodeBody(plain []byte) []byte {
	if len(plain) >= compressFrom {
		return zstdWriter.EncodeAll(plain, append(make([]byte, 0, len(plain)/2), bodyZstd))
	}
	return append(append(make([]byte, 0, len(plain)+1), bodyRaw), plain...)
}

// decodeBody is the plain body of a stored form. The result does not alias b.
func decodeBody(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("stored body is empty")
	}
	switch b[0] {
	case bodyRaw:
		return append([]byte(nil), b[1:]...), nil
	case bodyZstd:
		return zstdReader.DecodeAll(b[1:], nil)
	}
	return nil, fmt.Errorf("stored body has unknown format %d", b[0])
}
