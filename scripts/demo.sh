#!/bin/sh
# A hub, a receiver and a simulated contact centre on loopback, in a folder that
# is gone afterwards. Half an hour of the centre, and its closing, take a minute.
set -eu
cd "$(dirname "$0")/.."
command -v curl >/dev/null || { echo "make demo needs curl" >&2; exit 1; }

dir=$(mktemp -d)
hub= sink=
stop() {
	for pid in $hub $sink; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	hub= sink=
}
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# await prints what the pattern finds in a file, as soon as it is there.
await() {
	n=0
	until found=$(sed -n "$2" "$1" | head -n 1) && [ -n "$found" ]; do
		n=$((n + 1))
		[ $n -lt 100 ] || { echo "make demo: it does not start:" >&2; cat "$dir"/*.log >&2; exit 1; }
		sleep 0.1
	done
	echo "$found"
}

for name in $(env | sed -n 's/^\(HOOKLINE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done
key=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')

bin/hookline serve --addr 127.0.0.1:0 --data "$dir/data" --allow-networks loopback --log json --sign-in-link >"$dir/hub.out" 2>"$dir/hub.log" &
hub=$!
bin/hookline sink --addr 127.0.0.1:0 --app-key "$key" 2>"$dir/sink.log" &
sink=$!
HOOKLINE_URL=http://$(await "$dir/hub.log" 's/.*"msg":"serving","addr":"\([^"]*\)".*/\1/p')
HOOKLINE_KEY=$(await "$dir/data/first-keys" 's/.*"ownerKey": "\([^"]*\)".*/\1/p')
export HOOKLINE_URL HOOKLINE_KEY
receiver=$(await "$dir/sink.log" 's/^sink: listening on //p')

# One receiver takes everything; the other fails a fifth of the pushes of
# records, which are then tried again.
retry='{"cdr": {"schedule": ["1s", "2s", "4s", "8s", "8s"]}}'
bin/hookline subscription create "$receiver/" --name all --app-key "$key" --json >/dev/null
bin/hookline subscription create "$receiver/?status=503&rate=0.2&seed=1" --name shaky --events 'cdr.*' --app-key "$key" --retry "$retry" --json >/dev/null

sed -n 's/^  http/console, signed in for as long as this runs: http/p' "$dir/hub.out"
echo "hub $HOOKLINE_URL, receiver $receiver, data in $dir; each line is a signed push"
bin/hookline simulate --url "$HOOKLINE_URL" --agents 12 --duration 30m --speed 60 --batch 20 2>"$dir/simulate.log"

n=0
until curl -fsS -H "Authorization: Bearer $HOOKLINE_KEY" "$HOOKLINE_URL/v1/deliveries?state=pending&limit=1" | grep -q '"data":\[\]'; do
	n=$((n + 1))
	[ $n -lt 60 ] || break # shown as pending below
	sleep 0.5
done
metrics=$(curl -fsS "$HOOKLINE_URL/metrics")
stop # the sink prints its counts as it ends

echo
echo "simulate: $(cat "$dir/simulate.log")"
echo "$metrics" | sed -n 's/^\(hookline_delivery_attempts_total\|hookline_deliveries_ended_total\)/hub:      \1/p'
sed -n 's/^sink: {/sink:     {/p' "$dir/sink.log"
