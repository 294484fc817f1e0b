package event

import (
	"strings"
	"unicode/utf8"
)

// blanks are the characters that are cut off at both ends of a text. Other blanks of
// Unicode belong to the text.
const blanks = " \t\r\n"

// Identity returns an id as events have it, without blanks around it. ok reports
// whether an event may name it: 1 to 256 bytes of UTF-8 without control
// characters. Whatever takes ids by another way, such as a path or the
// directory, reads them by this rule, so that they match those of the events.
func Identity(s string) (id string, ok bool) {
	id = strings.Trim(s, blanks)
	return id, id != "" && len(id) <= maxIdentity && utf8.ValidString(id) && printable([]byte(id))
}
