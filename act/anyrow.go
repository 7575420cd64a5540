package act

import "sekisho"

// AgainstAnyRow is what of a decision keeps a statement from running that could be
// about anybody, of which this verb is asked: nobody counts its customers, and
// nothing of it is rewritten. Allow: nothing does. What a second person has to
// agree to is put off for reading, until one has agreed to everybody.
func (d *Decision) AgainstAnyRow(verb sekisho.Verb) Effect {
	switch reads := verb == sekisho.Read; {
	case d.Effect == Refuse:
		return Refuse
	case !reads && d.Second:
		return Ask
	case reads && d.Masks != (Masks{}):
		return Mask
	case reads && (d.RowCap != 0 || len(d.Budgets) > 0):
		return Cap
	}
	return Allow
}
