#!/bin/sh
# Speed of the hub beside a plain loop of posts, on this machine: on the embedded
# store and, where their programs are installed, on a private PostgreSQL with one
# and two hubs, without and with RabbitMQ; then how fast events come in by
# RabbitMQ. Arguments, if any, go to `hookline bench` instead.
set -eu
cd "$(dirname "$0")/.."
if [ $# != 0 ]; then
	exec bin/hookline bench "$@"
fi
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
	echo "make bench: PostgreSQL is not installed: the embedded store only" >&2
	exec bin/hookline bench
fi
if ! [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
	echo "make bench: RabbitMQ is not installed: without it" >&2
	exec bin/hookline bench --store embedded,postgres --processes 1,2
fi
bin/hookline bench --store embedded,postgres,rabbitmq --processes 1,2
exec "${GO:-go}" test ./hub/rabbit -run none -bench Feed -benchtime 50000x
