// Package sekisho is the words of the checkpoint: every kind of entry that a
// ledger may hold, and the bytes that stand for it. It imports nothing of the
// house, so that an outsider can read a ledger with this package alone.
//
// An entry, once written, keeps its meaning and its bytes for ever. A changed
// idea gets a new kind; a kind's number is never used again. The golden files
// in testdata hold the bytes of one entry of every kind.
//
// No entry holds a person. Customers, members of staff, and every text that a
// client can choose (application names, statement texts, purposes) are
// ordinals, which only the vault can turn back into a key.
package sekisho
