package event

import "strings"

// codings are the names of content codings, as IANA lists them. Senders also write
// character sets, "binary" or "8bit" there, which name no coding.
var codings = map[string]bool{
	"aes128gcm": true, "br": true, "compress": true, "dcb": true, "dcz": true, "deflate": true, "exi": true,
	"gzip": true, "pack200-gzip": true, "x-compress": true, "x-gzip": true, "zstd": true,
}

// Codings lists the content codings that the value of a Content-Encoding names,
// in the order in which they were applied, in small letters. Words that name no
// coding, as identity or utf-8, are left out.
func Codings(value string) (named []string) {
	for word := range strings.SplitSeq(value, ",") {
		if word = strings.ToLower(strings.TrimSpace(word)); codings[word] {
			named = append(named, word)
		}
	}
	return named
}
