package duty

import (
	"cmp"
	"slices"

	"sekisho"
)

// A TrainingCount is how far some people have come with a plan. Everybody who
// was assigned and is still of the group is in exactly one of its figures, but
// Left, who are in none.
type TrainingCount struct {
	Unit       uint32 `json:"-"`
	Executives bool   `json:"executives,omitempty"`
	Done       int    `json:"done"`    // in time
	Late       int    `json:"late"`    // completed, after the due date
	Unknown    int    `json:"unknown"` // declared, and nobody has countersigned
	Begun      int    `json:"begun"`
	Open       int    `json:"open"`
	Failed     int    `json:"failed"`
	Missed     int    `json:"missed"`
	Excused    int    `json:"excused"` // not in the denominator
	Away       int    `json:"away"`    // on leave; counted in one of the others as well
	Left       int    `json:"left"`    // no longer of the group; not in the denominator
}

func (c *TrainingCount) add(state EnrolmentState) {
	switch state {
	case EnrolDone:
		c.Done++
	case EnrolLate:
		c.Late++
	case EnrolUnknown:
		c.Unknown++
	case EnrolBegun:
		c.Begun++
	case EnrolOpen:
		c.Open++
	case EnrolFailed:
		c.Failed++
	case EnrolMissed:
		c.Missed++
	case EnrolExcused:
		c.Excused++
	}
}

// Numerator are those who have completed, in time or late.
func (c *TrainingCount) Numerator() int { return c.Done + c.Late }

// Denominator are all who are to.
func (c *TrainingCount) Denominator() int {
	return c.Done + c.Late + c.Unknown + c.Begun + c.Open + c.Failed + c.Missed
}

// A TrainingProgress is a plan's figures.
type TrainingProgress struct {
	Plan        *Plan
	Course      *sekisho.CourseRead
	All         TrainingCount
	Executives  TrainingCount
	Companies   []TrainingCount // by unit: the company of the main posting; unit 0 is nowhere
	Departments []TrainingCount
	Leaderless  int    // overdue, and nobody leads their department
	Through     uint64 // every entry up to this one was considered
}

// Progress counts a plan's people at present, by where they are now. nil: there
// is no such plan.
func (s *School) Progress(number uint64) *TrainingProgress {
	now := s.now()
	var out *TrainingProgress
	company, department := nearest(s.People, "company", now), nearest(s.People, "department", now)
	companies, departments := map[uint32]*TrainingCount{}, map[uint32]*TrainingCount{}
	of := func(m map[uint32]*TrainingCount, unit uint32) *TrainingCount {
		if m[unit] == nil {
			m[unit] = &TrainingCount{Unit: unit}
		}
		return m[unit]
	}
	heads := s.heads(now)
	through := s.Views.Applied()
	s.Views.Read(func() {
		p := s.Training.Plan(number)
		if p == nil {
			return
		}
		out = &TrainingProgress{Plan: p, Course: s.Training.CourseOf(p), Through: through}
		s.Training.Shares(p, now, func(sh Share) {
			who := s.People.Person(sh.Person, now)
			if who == nil || who.Left != 0 && who.Left <= now {
				out.All.Left++
				return
			}
			unit := who.Main(now).Unit
			into := []*TrainingCount{&out.All, of(companies, company(unit)), of(departments, department(unit))}
			if who.Executive {
				into = append(into, &out.Executives)
			}
			for _, c := range into {
				c.add(sh.State)
				if who.Leave {
					c.Away++
				}
			}
			if sh.State == EnrolMissed && heads.of(unit, sh.Person) == 0 {
				out.Leaderless++
			}
		})
	})
	if out == nil {
		return nil
	}
	out.Executives.Executives = true
	for from, to := range map[*map[uint32]*TrainingCount]*[]TrainingCount{&companies: &out.Companies, &departments: &out.Departments} {
		for _, c := range *from {
			*to = append(*to, *c)
		}
		slices.SortFunc(*to, func(a, b TrainingCount) int { return cmp.Compare(a.Unit, b.Unit) })
	}
	return out
}

// Behind are people of a plan in one of some states, by ordinal: whom a figure
// is made of.
func (s *School) Behind(number uint64, unit uint32, executives bool, states []EnrolmentState, most int) (list []Share, all int) {
	now := s.now()
	within := map[uint32]bool{}
	if unit != 0 {
		within = s.People.Within(unit, now)
	}
	s.Views.Read(func() {
		p := s.Training.Plan(number)
		if p == nil {
			return
		}
		s.Training.Shares(p, now, func(sh Share) {
			who := s.People.Person(sh.Person, now)
			if who == nil || who.Left != 0 && who.Left <= now || !slices.Contains(states, sh.State) || executives && !who.Executive || unit != 0 && !within[who.Main(now).Unit] {
				return
			}
			if all++; len(list) < most {
				list = append(list, sh)
			}
		})
	})
	slices.SortFunc(list, func(a, b Share) int { return cmp.Compare(a.Person, b.Person) })
	return list, all
}
