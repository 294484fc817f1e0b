#!/bin/sh
# The tests that need no server: of those that run on each store the half on
# SQLite. The others are left out by name, and make test has them all.
set -eu
cd "$(dirname "$0")/.."
files='storage/postgres_test.go storage/shards_test.go hub/postgres_test.go hub/processes_test.go hub/together_test.go
	hub/peers/transport_test.go hub/rabbit/events_test.go hub/rabbit/faults_test.go cmd/hookline/amqp_test.go cmd/hookline/chaos_test.go'
servers=$(sed -n 's/^func \(Test[A-Za-z]*\)(.*/^\1$/p' $files hub/hubtest/*/*_test.go | paste -sd '|' -)
# The last pattern must be last: Go takes the first that matches, if only in part.
exec "${GO:-go}" test -short -skip "$servers|Postgres|Processes|Broker|Dump|DropsDays|NextConsumer|/^postgres\$" ./...
