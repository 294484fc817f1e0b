package event

import "bytes"

// Mark is the byte order mark with which some programs begin what they write as UTF-8.
// It says nothing, but is no part of JSON.
const Mark = "\xef\xbb\xbf"

// TrimMark returns what others sent, or answered, as JSON without the byte order mark
// at its beginning.
func TrimMark(b []byte) []byte { return bytes.TrimPrefix(b, []byte(Mark)) }
