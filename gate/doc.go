// Package gate is the PostgreSQL door: it authenticates the client, decides
// what its statements may do, records whose data an answer holds, and only
// then releases the answer.
//
// A session is two strands (strand.go), each on a goroutine or in the loop
// (loop.go). The client side (client.go) reads messages from
// the client, judges each statement and sends it upstream, rewritten where a
// hidden key is needed. The server side (server.go) reads the replies, matches
// each with the message that caused it (want.go), takes the keys out of the
// rows (rows.go), and hands chunks of output to the outbox (outbox.go), which
// lets a chunk go to the client only when the ledger has said that the entry
// naming its customers is durable.
//
// Where the gate turns something away it makes the server fail as well: the
// statement that goes upstream in its place is one that the server must
// reject, and the gate puts its own reason into the server's error. So the
// server's transaction, the pipeline and the client always agree on what
// happened.
package gate
