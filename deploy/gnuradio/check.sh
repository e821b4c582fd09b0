#!/bin/sh
# Runs the flow graph against an air, without a window. Needs GNU Radio 3.10 and a release build; from the root of the repository:
#     deploy/gnuradio/check.sh        # PYTHON=/usr/bin/python3 where another one comes first
set -eu
target/release/semcast air --config deploy/gnuradio/air.toml --transmit-addr 127.0.0.1:0 --receive-addr 127.0.0.1:0 &
air=$!
trap 'kill "$air"' EXIT
"${PYTHON:-python3}" deploy/gnuradio/air_loop.py --check
