#!/bin/sh
# Every fuzz test there is, FUZZTIME each (20s).
set -eu
cd "$(dirname "$0")/.."
grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]+' . | sed 's/^\(.*\)\/[^/]*:[0-9]*:func \(.*\)$/\1 \2/' | sort | while read -r folder name; do
	echo "== $folder $name"
	"${GO:-go}" test -run='^$' -fuzz="^$name\$" -fuzztime="${FUZZTIME:-20s}" "$folder" </dev/null
done
