#!/bin/sh
# As many people as JTB had to write to, the whole way: a store of them in a real
# PostgreSQL, the roster read from it, all copied out through the gate, an
# incident, its list frozen and approved, addresses read by the house's own login
# as mail goes out, letters given to a real mail server on this machine. Prints how
# long each step took and how much memory the process has, which must not grow
# while letters go out; in the end letters a second. The mail server and the
# sender share one process and this machine. As root or not; needs postgresql and
# some 10 GB of disk.
#
#   PEOPLE=7930000 SENDING=3m bench/mailing.sh
set -eu
cd "$(dirname "$0")/.."
export SEKISHO_BENCH_PEOPLE="${PEOPLE:-7930000}" SEKISHO_BENCH_SENDING="${SENDING:-3m}"
exec go test -run '^$' -bench '^BenchmarkMailing$' -benchtime 1x -timeout 2h ./house
