// Package drill plays real cases through the real doors. A drill has a ledger
// of its own, marked as one; its people are invented, its connections,
// statements and files are not. Its actors keep the truth apart from
// everything that sekisho sees, and the two are compared only at the end.
package drill
