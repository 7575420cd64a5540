// Package act says who may do what with customers' data: a policy is read once,
// and then asked about each kind of statement.
//
// A policy is a set of Cedar policies. Its words are in policy.cedarschema,
// which any Cedar tool reads: a principal (with its role, company and post)
// wants to read, insert, update, delete or export the data of one category; the
// context says from where, when, what for and over which tables. A statement
// over several categories is one question for each, and the strictest of the
// answers holds. So a rule speaks of one thing, as a person would.
//
// Cedar answers allow or deny; sekisho also masks, cuts, and asks for a second
// person. These are remedies, written as annotations of a forbid:
//
//	@mask("partial")
//	forbid (principal, action == Action::"read", resource == Category::"travel_document")
//	unless { context.purpose == Purpose::"travel_document_check" };
//
// reads: forbidden as it is; masked, not. A forbid without a remedy is final. A
// remedy stands on a forbid and not on a permit for three reasons. What Cedar
// allows is exactly what sekisho allows without conditions, so that a Cedar
// analysis of "who reads passports in plain?" holds here too, and a program that
// does not know the annotations refuses too much, never too little. One more
// forbid can only narrow a decision and one more permit can only widen it, in
// whatever order and file they stand. And two rules that both want something do
// not compete: all remedies of all forbids that match are due, and of two of a
// kind the stricter.
//
// What no permit covers is refused, and so is what a policy cannot be evaluated
// for. Whether a refusal is carried out or only recorded is the gate's mode, not
// a matter of policy.
package act
