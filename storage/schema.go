package storage

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/hookline/hookline/migrations"
)

// Schema returns the number of the last migration that this program knows, of either
// database.
func Schema() (last int64) {
	for folder, files := range map[string]fs.FS{"sqlite": migrations.SQLite, "postgres": migrations.Postgres} {
		entries, err := fs.ReadDir(files, folder)
		if err != nil {
			panic("storage: migrations: " + err.Error()) // they are part of the program
		}
		for _, e := range entries {
			number, _, _ := strings.Cut(e.Name(), "_")
			if n, err := strconv.ParseInt(number, 10, 64); err == nil {
				last = max(last, n)
			}
		}
	}
	return last
}
