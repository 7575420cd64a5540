// Package house opens what stands on the lower floors, wires it together, and
// serves it: the ledger and the vault, the views that are folded from them, and
// the doors. `sekisho up` runs a house, and a drill runs one with a clock of
// its own.
package house
