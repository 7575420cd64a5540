// Package duty is the register of duties: what a policy promises, as versioned
// data, and what has become of it, computed from entries.
//
// Each noun's file folds its own entries into credits (Book.credit), which say
// that a unit did something, when, and by which entry. Everything else is
// derived when it is asked for, with the time as an argument: windows,
// populations, obligations, figures, reminders. What is not known is UNKNOWN,
// and never counts as met.
package duty
