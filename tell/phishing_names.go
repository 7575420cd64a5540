package tell

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sekisho"
)

// Who was who is opened by two people for a reason, for some named people of one
// campaign, for a day. Each look stands in the ledger before it is given. After
// the months that the config says the key is destroyed, and figures alone stay.

const (
	namedLasts = 24 * time.Hour
	mostNamed  = 20 // people in a request
)

// AskNames asks to see what some people of a campaign did. It waits for another
// person on return.
func (l *Lures) AskNames(ctx context.Context, number uint64, staff []uint32, reason string, by uint32) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.Campaign(number); err != nil {
		return 0, err
	}
	slices.Sort(staff)
	staff = slices.Compact(staff)
	if len(staff) == 0 || len(staff) > mostNamed {
		return 0, wrong("names_many", mostNamed)
	}
	unknown, gone := false, false
	l.Views.Read(func() {
		c := l.Seen.find(number)
		gone = l.join(c) == nil
		unknown = slices.ContainsFunc(staff, func(o uint32) bool { return c.placeOf(o) < 0 })
	})
	switch {
	case gone:
		return 0, wrong("names_forgotten")
	case unknown:
		return 0, wrong("names_unknown")
	}
	said, err := l.said(reason)
	if err != nil {
		return 0, err
	}
	if said == 0 {
		return 0, wrong("reason")
	}
	return l.append(ctx, &sekisho.LureNamed{Campaign: number, Action: "asked", Staff: staff, Reason: said, By: by})
}

// naming finds a request.
func (l *Lures) naming(number, request uint64) (n Naming, err error) {
	var list []Naming
	l.Views.Read(func() { list = l.Seen.Namings(number) })
	i := slices.IndexFunc(list, func(n Naming) bool { return n.Number == request })
	if i < 0 {
		return n, wrong("names")
	}
	return list[i], nil
}

// DecideNames answers a request. Nobody answers their own, or one that is about
// themselves.
func (l *Lures) DecideNames(ctx context.Context, number, request uint64, action, reason string, by uint32, same func(a, b uint32) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.naming(number, request)
	if err != nil {
		return err
	}
	b := &sekisho.LureNamed{Campaign: number, Action: action, Request: request, By: by}
	if b.Reason, err = l.said(reason); err != nil {
		return err
	}
	own := same(by, n.Asked.By)
	switch {
	case n.Decided != nil:
		return wrong("names_decided")
	case action == "withdrawn":
		if !own {
			return wrong("not_own")
		}
	case action != "approved" && action != "rejected":
		return wrong("action")
	case own || slices.ContainsFunc(n.Asked.Staff, func(o uint32) bool { return same(by, o) }):
		return wrong("own")
	}
	if action == "approved" {
		b.Until = sekisho.At(l.Now().Add(namedLasts))
	}
	_, err = l.append(ctx, b)
	return err
}

// Named gives what the people of an approved request did. That somebody looks is
// durable before anything is given. Only the two who opened it may look.
func (l *Lures) Named(ctx context.Context, number, request uint64, by uint32, same func(a, b uint32) bool) ([]Part, error) {
	n, err := l.naming(number, request)
	if err != nil {
		return nil, err
	}
	if n.State(sekisho.At(l.Now())) != "approved" {
		return nil, wrong("names_state")
	}
	if !same(by, n.Asked.By) && !same(by, n.Decided.By) {
		return nil, wrong("own_names")
	}
	if _, err := l.append(ctx, &sekisho.LureNamed{Campaign: number, Action: "shown", Request: request, By: by}); err != nil {
		return nil, err
	}
	return l.parts(number, n.Asked.Staff), nil
}

// figureNames are those of a LureSummed, in their order.
func figureNames() (list []string) {
	list = []string{"people", "mailed", "unclear", "unsent", "reported", "reported_first", "first_report", "median_report"}
	for _, c := range Classes() {
		list = append(list, "fell/"+c.String())
	}
	for _, d := range DeedCodes() {
		for _, c := range Classes() {
			list = append(list, d+"/"+c.String())
		}
	}
	return list
}

// figureOf is where a figure stands. Times are kept as seconds and one more, so
// that 0 is none.
func counts(people int, f Figures) (list []uint64) {
	for _, n := range []int64{int64(people), int64(f.Mailed), int64(f.Unclear), int64(f.Unsent), int64(f.Reported), int64(f.ReportedFirst), f.FirstReport + 1, f.MedianReport + 1} {
		list = append(list, uint64(n))
	}
	for _, c := range Classes() {
		list = append(list, uint64(f.Fell[c.String()]))
	}
	for _, d := range DeedCodes() {
		for _, c := range Classes() {
			list = append(list, uint64(f.Did[d][c.String()]))
		}
	}
	return list
}

func uncounted(b *sekisho.LureSummed) (people int, f Figures) {
	by := map[string]int{}
	for i, name := range b.Figures {
		if i < len(b.Counts) {
			by[name] = int(b.Counts[i])
		}
	}
	f = Figures{Mailed: by["mailed"], Unclear: by["unclear"], Unsent: by["unsent"], Reported: by["reported"], ReportedFirst: by["reported_first"],
		FirstReport: int64(by["first_report"]) - 1, MedianReport: int64(by["median_report"]) - 1, Fell: map[string]int{}, Did: map[string]map[string]int{}}
	for _, c := range Classes() {
		if n := by["fell/"+c.String()]; n > 0 {
			f.Fell[c.String()] = n
		}
	}
	for _, d := range DeedCodes() {
		f.Did[d] = map[string]int{}
		for _, c := range Classes() {
			if n := by[d+"/"+c.String()]; n > 0 {
				f.Did[d][c.String()] = n
			}
		}
	}
	return by["people"], f
}

// remember fills a result with what was summed up.
func (l *Lures) remember(r *Result, list []*sekisho.LureSummed) {
	for _, b := range list {
		people, f := uncounted(b)
		switch {
		case b.Unit != 0:
			r.Departments = append(r.Departments, Group{Unit: b.Unit, People: people, Figures: f})
		case b.Level == "":
			r.Whole = f
		case b.Level == "others":
			r.Departments = append(r.Departments, Group{Key: b.Level, People: people, Figures: f})
		case b.Level == "executives":
			r.Executives = &Group{Key: b.Level, People: people, Figures: f}
		default:
			r.Levels = append(r.Levels, Group{Key: b.Level, People: people, Figures: f})
		}
	}
}

// Forget sums up the campaigns that are older than is kept, so that nobody is
// joined to a pseudonym of theirs any more, and destroys their keys, where the
// vault can. It gives how many. The sums are durable before a key goes; after a crash
// between the two it is done again, from the same figures.
func (l *Lures) Forget(ctx context.Context) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := sekisho.At(l.Now().AddDate(0, -l.Config.Keep, 0))
	type old struct {
		number uint64
		key    uint32
		forgot bool
	}
	var list []old
	l.Views.Read(func() {
		for _, c := range l.Seen.campaigns {
			if c.ready && c.asked.Until < limit {
				list = append(list, old{c.number, c.asked.Key, c.forgot})
			}
		}
	})
	for _, o := range list {
		if !o.forgot {
			r, err := l.Result(o.number)
			if err != nil {
				return n, err
			}
			bodies := []sekisho.Body{summed(o.number, Group{People: int(r.Asked.People), Figures: r.Whole})}
			groups := slices.Concat(r.Levels, r.Departments)
			if r.Executives != nil {
				groups = append(groups, *r.Executives)
			}
			for _, g := range groups {
				bodies = append(bodies, summed(o.number, g))
			}
			if _, err := l.append(ctx, append(bodies, &sekisho.LureForgotten{Campaign: o.number})...); err != nil {
				return n, err
			}
			n++
		}
		if _, there := l.Vault.Space("lure_key").Key(o.key); !there || l.Destroy == nil {
			continue
		}
		if err := l.Destroy("lure_key", o.key); err != nil {
			return n, fmt.Errorf("destroying the key of campaign %d: %w", o.number, err)
		}
		l.joins.mu.Lock()
		delete(l.joins.kept, o.number)
		l.joins.mu.Unlock()
	}
	return n, nil
}

func summed(number uint64, g Group) *sekisho.LureSummed {
	return &sekisho.LureSummed{Campaign: number, Unit: g.Unit, Level: g.Key, Figures: figureNames(), Counts: counts(g.People, g.Figures)}
}
