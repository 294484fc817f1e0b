// Package sqldb holds what speaks to the databases, whatever their tables are: the dialect of
// statements, the driver of PostgreSQL, what errors mean, locks, snapshots, and the form in
// which bodies are stored. The store and its folds are built on it.
package sqldb

import (
	"strconv"
	"strings"
	"sync"
)

// Dialect is the kind of database that a store is in. Statements are written
// once, in the words that SQLite takes, and translate turns them into
// PostgreSQL's. What differs by more than words asks the dialect.
type Dialect uint8

// The dialects.
const (
	SQLite Dialect = iota
	Postgres
)

// DialectOf returns the dialect of a store in a folder, or at the URL of a database.
func DialectOf(where string) Dialect {
	if IsURL(where) {
		return Postgres
	}
	return SQLite
}

// KeepRow returns the end of a SELECT whose rows nobody may delete until the
// transaction ends.
func (d Dialect) KeepRow() string {
	if d == Postgres {
		return " FOR KEY SHARE"
	}
	return ""
}

// ChangeRow returns the end of a SELECT whose rows nobody else may change until the
// transaction ends.
func (d Dialect) ChangeRow() string {
	if d == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// Has returns the condition that a text contains another, which is its argument.
func (d Dialect) Has(text string) string {
	if d == Postgres {
		return "strpos(" + text + ", ?) > 0"
	}
	return "instr(" + text + ", ?) > 0"
}

// translated holds PostgreSQL's statements by SQLite's. Those longer than maxTranslated are
// not kept, because they are lists of values, of many different lengths.
var translated sync.Map

const maxTranslated = 4 << 10

// translate turns a statement in SQLite's words into PostgreSQL's:
//
//	?, ?3                → $1, $3
//	INDEXED BY name      → nothing: the planner knows the index too
//	CROSS JOIN t ON …    → JOIN t ON …: in SQLite it keeps the order of the tables
//
// It does not look for literals, because no statement of ours has a question mark in one.
func translate(query string) string {
	if t, ok := translated.Load(query); ok {
		return t.(string)
	}
	t := toPostgres(query)
	if len(query) <= maxTranslated {
		translated.Store(query, t)
	}
	return t
}

// toPostgres is translate without a memory.
func toPostgres(query string) string {
	const indexed, cross = " INDEXED BY ", "CROSS JOIN "
	var b strings.Builder
	b.Grow(len(query) + 64)
	for n := 0; ; {
		// Copy up to the next character that may begin something to translate.
		at := strings.IndexAny(query, "? C")
		if at < 0 {
			b.WriteString(query)
			return b.String()
		}
		b.WriteString(query[:at])
		query = query[at:]

		switch {
		case query[0] == '?':
			query = query[1:]
			b.WriteByte('$')
			if query != "" && isDigit(query[0]) { // the number follows
				continue
			}
			n++
			b.WriteString(strconv.Itoa(n))
		case strings.HasPrefix(query, indexed):
			query = query[len(indexed):]
			end := strings.IndexFunc(query, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
			if end < 0 {
				end = len(query)
			}
			query = query[end:]
		case strings.HasPrefix(query, cross):
			query = query[len("CROSS "):]
			b.WriteString("JOIN ")
			query = query[len("JOIN "):]
		default:
			b.WriteByte(query[0])
			query = query[1:]
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
