#!/bin/sh
# Everything: vet, build, every test with the race detector. A skipped test
# looks like a passed one, so it fails the run. Bounded: TEST_SECONDS in all; it
# takes 1,100 to 1,300 on two cores.
set -u
cd "$(dirname "$0")/.." || exit 1
GO=${GO:-go}
TEST_SECONDS=${TEST_SECONDS:-3000}
began=$(date +%s)

die() { echo "make test: $*" >&2; exit 1; }

# need a command, from a Debian package when it is missing and we may install it.
need() {
	command -v "$1" >/dev/null && return
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "make test: installing $2 for $1"
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$2"; } >/dev/null 2>&1
	fi
	command -v "$1" >/dev/null || die "$1 is missing ($3): install $2"
}

has_postgres() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; }
has_rabbitmq() { [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; }

# server PACKAGE: install it, without the service that it would start.
server() {
	echo "make test: installing $1"
	policy=/usr/sbin/policy-rc.d
	if [ -e $policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy; fi
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$1"; } >/dev/null 2>&1
	[ -z "$policy" ] || rm -f $policy
}

# PostgreSQL and RabbitMQ: found, installed, or the whole run goes into a
# container that may install them.
if ! has_postgres || ! has_rabbitmq; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		has_postgres || server postgresql
		has_postgres || die "postgresql could not be installed: apt-get install postgresql says why"
		has_rabbitmq || server rabbitmq-server
		has_rabbitmq || die "rabbitmq-server could not be installed: apt-get install rabbitmq-server says why"
	elif docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
		echo "make test: PostgreSQL or RabbitMQ is not installed here: running in a container"
		exec docker compose -f scripts/test.compose.yml run --rm --quiet-pull -e TEST_SECONDS test
	else
		die "PostgreSQL's or RabbitMQ's server programs are missing: install postgresql and rabbitmq-server, or run as root, or start Docker with Compose"
	fi
fi

command -v "$GO" >/dev/null || die "go is missing: https://go.dev/dl"
need gcc gcc "the race detector needs cgo"
need openssl openssl "signing is tested against it"
need node nodejs "sealed bodies and vendors' samples are tested against it"
need npm npm "a vendor's sample uses axios"
need python3 python3 "a vendor's sample is in Python"
need curl curl "a vendor's sample uses it"
need php php-cli "a receiver of the guide is in PHP"
if ! php -m | grep -qx pdo_sqlite; then
	[ "$(id -u)" != 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends php-sqlite3 >/dev/null 2>&1
	php -m | grep -qx pdo_sqlite || die "PHP's pdo_sqlite is missing (a receiver of the guide stores in it): install php-sqlite3"
fi
need chromium chromium "a page of a customer is shown in it"

# What the developer's shell sets for a hub must not reach the hubs of tests.
for name in $(env | sed -n 's/^\(HOOKLINE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done

# Compiling is a large part of the run where nothing is cached. So all but the
# tests is built in one way, which is that of make build: another would compile
# every library once more.
plain() { CGO_ENABLED=0 "$GO" "$@"; }
plain vet -trimpath ./... || die "go vet"
plain build -trimpath -o bin/hookline ./cmd/hookline || die "go build"

# Races are looked for in everything but SQLite's own code, which is C turned into
# Go: it works on memory that no other code touches, and is several times slower
# with the race detector. Its driver, which our code meets, is watched like the rest.
# A process that ends waits 0.1 s for races to be reported, instead of 1 s: many do.
# With -trimpath a clone in another folder finds what was compiled.
# Three packages run at a time on two cores, as tests wait about as long as they compute.
race_test() {
	GORACE=atexit_sleep_ms=100 CGO_ENABLED=1 timeout -k 10 $((TEST_SECONDS - $(date +%s) + began)) "$GO" test -race -vet=off -trimpath \
		-gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false \
		-p=3 -count=1 -timeout=25m -json "$@" 2>&1 3>&- 4>&-
}

tmp=$(mktemp -d) || die "no temporary folder"
log=$tmp/log
trap 'exec 3>&- 4>&-; wait; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# The tables of a store are made once for all packages, and copied then.
export HUBTEST_TABLES="$tmp/tables"
mkdir "$HUBTEST_TABLES" || die "no folder for tables"

# One PostgreSQL for all packages, on a free port. It ends with its standard input.
plain build -trimpath -o "$tmp/pgserve" ./hub/hubtest/pgtest/pgserve || die "go build"
mkfifo "$tmp/hold" || die "no fifo"
"$tmp/pgserve" <"$tmp/hold" >"$tmp/url" 2>"$tmp/pg.err" &
exec 3>"$tmp/hold"
for _ in $(seq 600); do [ -s "$tmp/url" ] || [ -s "$tmp/pg.err" ] && break; sleep 0.1; done
HUBTEST_POSTGRES=$(cat "$tmp/url")
[ -n "$HUBTEST_POSTGRES" ] || die "PostgreSQL does not start: $(cat "$tmp/pg.err")"
export HUBTEST_POSTGRES

# And one RabbitMQ, likewise.
plain build -trimpath -o "$tmp/rabbitserve" ./hub/hubtest/rabbittest/rabbitserve || die "go build"
mkfifo "$tmp/hold2" || die "no fifo"
"$tmp/rabbitserve" <"$tmp/hold2" >"$tmp/rabbit" 2>"$tmp/rabbit.err" 3>&- &
exec 4>"$tmp/hold2"
for _ in $(seq 1000); do [ -s "$tmp/rabbit" ] || [ -s "$tmp/rabbit.err" ] && break; sleep 0.1; done
HUBTEST_RABBITMQ=$(cat "$tmp/rabbit")
[ -n "$HUBTEST_RABBITMQ" ] || die "RabbitMQ does not start: $(cat "$tmp/rabbit.err")"
export HUBTEST_RABBITMQ

# Packages that take long begin first, so that none of them is alone at the end.
long="./hub ./hub/rabbit ./storage ./cmd/hookline ./hub/report/recount ./hub/dialect/sobot ./storage/folds"

# The API's own tests, and those of pushes, run once more with the store on PostgreSQL.
# They begin when the first package runs: what they consist of is compiled by then.
on_postgres() {
	until grep -qE '"Action":"run"|^exit ' "$log" 2>/dev/null; do sleep 1; done
	export HUBTEST_STORE=postgres
	for what in "./hub/api" "./hub -run=Receivers|Documented|OperationalEvents$|Supersede|Expires|RetryAfter|Gone|SameID|ToItself"; do
		race_test $what |
			sed 's|"\(Package\)":"\([^"]*\)"|"\1":"\2 on PostgreSQL"|'
	done
}

# The whole run as JSON goes to a file; a line per package is shown as it ends.
{
	{
		race_test $long ./...
		echo "exit $?"
	} &
	on_postgres >"$tmp/postgres"
	wait
	cat "$tmp/postgres"
} | tee "$log" | awk '
	/"Action":"output"/ && !/"Test":/ && /"Output":"(ok  |FAIL|---|panic)/ {
		sub(/.*"Output":"/, ""); sub(/\\n"}$/, ""); gsub(/\\t/, " "); print; fflush()
	}'

code=$(sed -n 's/^exit //p' "$log")

# The output of what failed, then the sums.
awk -v seconds=$(($(date +%s) - began)) -v code="$code" '
	function field(name,   s) {
		if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
		s = substr($0, RSTART, RLENGTH); sub(/^"[^"]*":"/, "", s); sub(/"$/, "", s)
		return s
	}
	function text(s) {
		sub(/.*"Output":"/, "", s); sub(/"}$/, "", s)
		gsub(/\\\\/, "\001", s); gsub(/\\n/, "\n", s); gsub(/\\t/, "\t", s); gsub(/\\"/, "\"", s)
		gsub(/\\u003c/, "<", s); gsub(/\\u003e/, ">", s); gsub(/\\u0026/, "\\&", s); gsub("\001", "\\", s)
		return s
	}
	!/^\{/ { if (!/^exit /) other = other $0 "\n"; next }
	{ action = field("Action"); id = field("Package") " " field("Test"); if (!field("Package")) id = field("ImportPath") }
	action == "output" || action == "build-output" { out[id] = out[id] text($0) }
	action == "fail" && field("Test") { fails++ }
	action == "pass" { if (field("Test")) passed++; else packages++; delete out[id] }
	action == "skip" { if (field("Test")) { skipped++; skips = skips "  " id "\n" } delete out[id] }
	END {
		for (id in out) printf "\n=== %s\n%s", id, out[id] # what failed, and what never ended
		printf "%s", other
		if (skipped) printf "\nskipped, which counts as failed:\n%s", skips
		ok = code == 0 && !skipped && !fails
		if (code == 124 || code == 137) print "\nthe tests took longer than they may"
		printf "\ntests: %d passed, %d failed, %d skipped\n", passed, fails, skipped
		printf "\nmake test: %s: %d packages, %d tests passed, %d failed, %d skipped, %d s\n", ok ? "ok" : "FAILED", packages, passed, fails, skipped, seconds
		exit !ok
	}' "$log"
