package api

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/search"
)

// csvRows writes RFC 4180 with a header. Every text is quoted, and no text can become
// a formula of a spreadsheet, whatever the spreadsheet takes for the separator of cells.
type csvRows struct{ begun bool }

func (*csvRows) contentType() string { return "text/csv; charset=utf-8; header=present" }
func (*csvRows) ending() string      { return "csv" }

var csvHeader = []string{
	"id", "subscription", "event", "type", "orderKey", "sequence", "state", "tries", "acceptedAt", "firstTryAt", "doneAt",
	"dueAt",
	"lastStatus", "lastError", "late", "version", "orderKeyHandle", "eventHandle",
}

func (c *csvRows) encode(viewer viewer, page []search.Delivery) ([]byte, error) {
	var l csvLine
	if !c.begun {
		c.begun = true
		for _, name := range csvHeader {
			l.text(name)
		}
		l.end()
	}

	for i := range page {
		v := viewer.delivery(&page[i])
		l.text(v.ID)
		l.text(v.Subscription)
		l.text(v.Event)
		l.text(v.Type)
		l.text(v.OrderKey)
		l.number(v.Sequence)
		l.text(v.State)
		l.number(int64(v.Tries))
		l.text(v.AcceptedAt.String())
		l.text(v.FirstTryAt.String())
		l.text(v.DoneAt.String())
		l.text(v.DueAt.String())
		if v.LastStatus == 0 {
			l.text("")
		} else {
			l.number(int64(v.LastStatus))
		}
		l.text(v.LastError)
		l.text(strconv.FormatBool(v.Late))
		l.number(v.Version)
		l.text(v.OrderKeyHandle)
		l.text(v.EventHandle)
		l.end()
	}
	return l.bytes, nil
}

// csvLine writes lines of CSV, cell by cell.
type csvLine struct {
	bytes []byte
	cells int // how many the line has that is being written
}

func (l *csvLine) separate() {
	if l.cells > 0 {
		l.bytes = append(l.bytes, ',')
	}
	l.cells++
}

func (l *csvLine) number(n int64) {
	l.separate()
	l.bytes = strconv.AppendInt(l.bytes, n, 10)
}

func (l *csvLine) text(s string) {
	l.separate()
	l.bytes = append(l.bytes, '"')
	l.bytes = append(l.bytes, quotedText.Replace(plainCell(s))...)
	l.bytes = append(l.bytes, '"')
}

// quotedText escapes a text between quotes. Its line ends become those of the file.
var quotedText = strings.NewReplacer(`"`, `""`, "\r", "", "\n", "\r\n")

func (l *csvLine) end() {
	l.bytes = append(l.bytes, '\r', '\n')
	l.cells = 0
}

// plainCell puts a ' before each character that would begin a formula: at the
// start of the text, and behind whatever a spreadsheet may take for the separator
// of cells. A spreadsheet that separates by semicolons, say, ignores the quotes
// around this cell.
func plainCell(s string) string {
	startsBlank := s != "" && strings.IndexByte("\t\r\n", s[0]) >= 0 // some spreadsheets skip it
	if !startsBlank && !strings.ContainsFunc(s, beginsFormula) {
		return s
	}

	var b strings.Builder
	cellMayBegin := true
	if startsBlank {
		b.WriteByte('\'')
	}
	for _, r := range s {
		switch {
		case beginsFormula(r):
			if cellMayBegin {
				b.WriteByte('\'')
			}
			cellMayBegin = false
		case r != '"': // a quote may stand before the formula of a cell
			cellMayBegin = maySeparate(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// beginsFormula reports whether spreadsheets take a text for a formula that
// begins with r.
func beginsFormula(r rune) bool { return strings.ContainsRune("=+-@＝＋－＠", r) }

// maySeparate reports whether a spreadsheet may be set to separate cells by r. That
// is anything but letters, digits, and what stands within ids and times.
func maySeparate(r rune) bool {
	if r < utf8.RuneSelf {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("./_'", r)
	}
	return unicode.IsSpace(r)
}
