// Package directory is who works in the group, where, and since when: a view
// that answers for any day of the past as well as for today. It holds
// ordinals; names and addresses are in the vault (see Attributes).
//
// Every change has a day from which it holds, apart from the moment at which it
// was recorded. A reorganisation is another change: what held before it stays
// what it was, and what nobody knew at a moment can be left out again
// (Book.Known).
package directory
