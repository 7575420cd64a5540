// Package sensor takes in what others saw: the connections that a network
// sensor logged, security events that other machines reported, mail, the files
// that somebody recovered or captured; and what other systems say of the people
// who work here.
//
// What it reads was written by strangers, and parts of it by an attacker. So
// every input is streamed with a limit on each line, nothing that does not
// parse is guessed at, and whatever was left out is counted with its reason and
// its line number: a number that rests on a log must say what the log could
// have hidden. No value of a line ever gets into an error or a report.
//
// Connections (Zeek's conn.log) become Egress bodies; ReadConn and ImportConn
// read what is complete, Follow a log that is still being written. Reading the
// same connection twice would double the bytes that left, so all three can be
// given a Seen, which knows what the ledger already holds. Bindings says which
// endpoint an address was at that time.
//
// Events (in the JSON of OCSF) become Observation bodies.
//
// Files (MatchFile) are compared with the roster record by record: a row counts
// as a customer's only if it says so twice.
package sensor
