package api

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPlainCell(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"cdr/c1":                   "cdr/c1",
		"cdr/a-b":                  "cdr/a-b",
		"2026-01-02T15:04:05.000Z": "2026-01-02T15:04:05.000Z",
		"visitor/+4915112345678":   "visitor/+4915112345678",
		"=1+1":                     "'=1+1",
		"+49151":                   "'+49151",
		"-1":                       "'-1",
		"@SUM(A1)":                 "'@SUM(A1)",
		"cdr/x;=1":                 "cdr/x;'=1",
		"cdr/x\t=1":                "cdr/x\t'=1",
		"cdr/x|@a":                 "cdr/x|'@a",
		`cdr/x;"=1`:                `cdr/x;"'=1`,
		"cdr/x; =1":                "cdr/x; '=1",
		"a\r\n=1":                  "a\r\n'=1",
		"＝1":                       "'＝1",
		"\u00a0=1":                 "\u00a0'=1",
	} {
		require.Equal(t, want, plainCell(text), "%q", text)
	}
}

// cellsOf reads a line as a spreadsheet does that separates by sep: quotes count
// only where a cell begins with one.
func cellsOf(line string, sep rune) (cells []string) {
	var cell strings.Builder
	begin, quoted := true, false
	rs := []rune(line)

	// A quote within quotes is written twice; only a quote that begins a cell quotes it.
	for i := 0; i < len(rs); i++ {
		r := rs[i]
		switch {
		case quoted && r == '"' && i+1 < len(rs) && rs[i+1] == '"':
			cell.WriteRune(r)
			i++
		case quoted && r == '"':
			quoted = false
		case quoted:
			cell.WriteRune(r)
		case r == sep || r == '\n':
			cells = append(cells, cell.String())
			cell.Reset()
			begin = true
			continue
		case begin && r == '"':
			quoted = true
		default:
			cell.WriteRune(r)
		}
		begin = false
	}
	return append(cells, cell.String())
}

// Whatever separates cells, no cell begins as a formula does; and read as it is
// meant, the CSV holds the texts.
func TestNoCellIsAFormula(t *testing.T) {
	separators := []rune(",;\t|: ^~#!&*%$\\`<>?()[]{}")
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("=+-@＝＋\"',;\t|: ^#a1/.\n\r")), 0, 12, -1), 1, 4).Draw(t, "texts")
		var l csvLine
		for _, s := range texts {
			l.text(s)
			l.number(7)
		}
		l.end()

		for _, sep := range separators {
			for _, cell := range cellsOf(string(l.bytes), sep) {
				for trimmed := cell; ; trimmed = trimmed[1:] {
					require.False(t, trimmed != "" && beginsFormula([]rune(trimmed)[0]), "%q by %q: %s", cell, sep, l.bytes)
					if trimmed == "" || !strings.ContainsRune(" \t\"\r", rune(trimmed[0])) {
						break
					}
				}
			}
		}

		row, err := csv.NewReader(strings.NewReader(string(l.bytes))).Read()
		require.NoError(t, err)
		for i, s := range texts {
			require.Equal(t, strings.ReplaceAll(plainCell(s), "\r", ""), row[2*i], "as the reader folds line ends")
			require.Equal(t, "7", row[2*i+1])
		}
	})
}
