#!/bin/sh
# Speed of the hub beside a plain loop of posts, on this machine: on the embedded
# store and, where its programs are installed, on a private PostgreSQL with one
# and two hubs. Arguments, if any, go to `hookline bench` instead.
set -eu
cd "$(dirname "$0")/.."
if [ $# = 0 ]; then
	if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then
		set -- --store embedded,postgres --processes 1,2
	else
		echo "make bench: PostgreSQL is not installed: the embedded store only" >&2
	fi
fi
exec bin/hookline bench "$@"
