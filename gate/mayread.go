package gate

import (
	"maps"
	"slices"
	"time"

	"sekisho"
	"sekisho/act"
)

// Readers answers, for a moment, from which terminals the policy lets whom read
// protected data. It is asked for many terminals in a row, by one goroutine.
type Readers struct {
	g      *Gate
	policy *act.Policy
	roles  []string
	posts  map[string][]Principal // by role: one for each post and company
	asked  []*askedTable
	now    time.Time
	known  map[readersKey]bool
}

type askedTable struct {
	name string
	cats []sekisho.Categories
	memo act.Memo
}

// readersKey is all of a terminal that the answer rests on.
type readersKey struct {
	role     string
	endpoint string // empty where no rule looks at it
	verified bool
	posture  act.Posture
}

// Readers begins such a question.
func (g *Gate) Readers() *Readers {
	r := &Readers{g: g, policy: g.rules.policy.Load(), roles: slices.Sorted(maps.Keys(g.conf.Roles)), posts: map[string][]Principal{}, now: g.conf.Now(), known: map[readersKey]bool{}}
	seen := map[[3]string]bool{}
	for _, p := range g.conf.Principals {
		if k := [3]string{p.Role, p.Post, p.Company}; !seen[k] {
			seen[k] = true
			r.posts[p.Role] = append(r.posts[p.Role], p)
		}
	}
	for _, t := range g.catalog.Tables {
		one := &askedTable{name: t.Name, cats: []sekisho.Categories{0}}
		for _, name := range t.Columns {
			if c, err := sekisho.ParseCategory(name); err == nil && !slices.Contains(one.cats, c) {
				one.cats = append(one.cats, c)
			}
		}
		r.asked = append(r.asked, one)
	}
	return r
}

// From gives the roles that may read something protected from a terminal, at
// some hour of the week, for some purpose: what a policy allows only sometimes
// is allowed. Without a policy, and in observe mode, it is all of them.
func (r *Readers) From(endpoint string, verified bool) (may []string) {
	for _, name := range r.roles {
		role := r.g.conf.Roles[name]
		if r.policy == nil || role.observes() || r.allowed(name, &role, endpoint, verified) {
			may = append(may, name)
		}
	}
	return may
}

func (r *Readers) allowed(name string, role *Role, endpoint string, verified bool) (may bool) {
	q := act.Request{Role: name, Endpoint: endpoint, Verified: verified, Posture: act.PostureGood, Verb: sekisho.Read, Rows: 1}
	if by := r.g.rules.postures.Load(); by != nil {
		q.Posture = (*by)[endpoint]
	}
	k := readersKey{name, endpoint, verified, q.Posture}
	if other := q; endpoint != "" {
		if other.Endpoint = endpoint + "'"; r.policy.Key(&other) == r.policy.Key(&q) {
			k.endpoint = ""
		}
	}
	if known, ok := r.known[k]; ok {
		return known
	}
	defer func() { r.known[k] = may }()
	purposes := role.Purposes
	if len(purposes) == 0 {
		purposes = []string{""}
	}
	for hour := 0; hour < 7*24; hour++ {
		q.Time = sekisho.At(r.now.Add(time.Duration(hour) * time.Hour))
		for _, who := range r.posts[name] {
			q.Principal, q.Post, q.Company = who.Name, who.Post, who.Company
			for _, q.Purpose = range purposes {
				for _, q.Place = range []act.Place{act.Office, act.Remote} {
					for _, t := range r.asked {
						q.Tables = []string{t.name}
						for _, q.Categories = range t.cats {
							if t.memo.Decide(r.policy, &q).Effect != act.Refuse {
								return true
							}
						}
					}
				}
			}
		}
	}
	return false
}
