#!/bin/sh
# Speed of the hub beside a plain loop of posts, on this machine, about two minutes.
# Arguments go to `hookline bench`: see bin/hookline bench --help.
set -eu
cd "$(dirname "$0")/.."
exec bin/hookline bench "$@"
