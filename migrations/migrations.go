// Package migrations holds the numbered SQL of the schema for each database.
// Migrations expand first and contract a release later, so that version N and
// N+1 of the hub run side by side.
//
// hub/testdata/stores has stores that earlier versions made, with something in
// every table. TestStoresOfEarlierVersions opens them with these migrations.
package migrations

import "embed"

// SQLite is the schema of the embedded store.
//
//go:embed sqlite/*.sql
var SQLite embed.FS

// Postgres is the schema on PostgreSQL.
//
//go:embed postgres/*.sql
var Postgres embed.FS
