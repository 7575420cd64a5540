#!/bin/sh
# A drill by mail to as many people as a large group has, the whole way: frozen and
# approved in the ledger, given to a real mail server on this machine by a sender
# that is stopped forty times at random and begun again, and then the pages to
# which the links lead are really visited: three of four people follow theirs, one
# of six types into the form, one of five reports. Prints how many, and how long
# each step took; it fails if somebody has two mails, or if a visit or report is
# not counted once. Sender, mail server, pages and visitors share this machine.
#
#   PEOPLE=50000 bench/drill.sh
set -eu
cd "$(dirname "$0")/.."
export SEKISHO_BENCH_PEOPLE="${PEOPLE:-50000}"
exec go test -run '^$' -bench '^BenchmarkDrill$' -benchtime 1x -timeout 1h ./console
