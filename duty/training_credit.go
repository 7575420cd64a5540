package duty

import "sekisho"

// trainingCredits is what the book keeps to make evidence of completions: those
// that wait for a second person.
type trainingCredits struct {
	declared map[uint64]*sekisho.TrainingCompleted
}

// apply credits a completion to the person, as of the day on which the course
// was completed, and takes it back if somebody withdraws it.
func (t *trainingCredits) apply(b *Book, e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.TrainingCompleted:
		c := trainingCredit(e.ID.Seq, int64(e.Time), x)
		if x.Source == "declared" {
			c.State = Declared
			if t.declared == nil {
				t.declared = map[uint64]*sekisho.TrainingCompleted{}
			}
			t.declared[e.ID.Seq] = x
		}
		b.credit(c)
	case *sekisho.TrainingJudged:
		for _, seq := range x.Completions {
			was := t.declared[seq]
			switch {
			case x.Action == "withdrawn":
				b.withdraw(seq)
				delete(t.declared, seq)
			case x.Action == "countersigned" && was != nil && x.By != was.By && x.By != was.Person:
				b.withdraw(seq)
				b.credit(trainingCredit(seq, int64(e.Time), was))
				delete(t.declared, seq)
			}
		}
	}
}

func trainingCredit(seq uint64, recorded int64, x *sekisho.TrainingCompleted) Credit {
	return Credit{Seq: seq, Kind: "training_completion", Unit: Unit{"staff", x.Person}, From: int64(x.When), Recorded: recorded, Item: x.Course, Value: int64(x.Score)}
}
