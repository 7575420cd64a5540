package gate

import (
	"slices"
	"strings"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

// What a session has said of itself by SET: for what, for whom, from where. The
// server keeps the same settings and does nothing with them; what it does to
// them at the end of a transaction, at a savepoint and at RESET is done here
// too, in the same order.

const (
	forWhat = iota
	forWhom
	fromWhere
	settings
)

var settingNames = [settings]string{catalog.Own + "purpose", catalog.Own + "user", catalog.Own + "terminal"}

// value is what a setting holds. The empty text is nothing said.
type value struct {
	text   string
	source sekisho.Source
}

// stating is the settings of one session: values, and what a transaction would
// take back. It follows guc.c of the server: push_old_value and AtEOXact_GUC.
type stating struct {
	reset  [settings]value // as stated while connecting: what RESET goes back to
	now    [settings]value
	saved  [settings][]saved
	points []string // the savepoints, outermost first; one of them is a level above 1
	block  bool     // BEGIN has come
	failed bool     // an error has come in the block
}

// saved is what a setting was before a level of the transaction changed it.
type saved struct {
	level  int
	how    saving
	prior  value
	masked value // of setThenLocal: what SET left, under the SET LOCAL
}

type saving byte

const (
	bySet        saving = iota // SET: stays at COMMIT
	byLocal                    // SET LOCAL: goes at COMMIT
	setThenLocal               // SET, then SET LOCAL
)

func (v *stating) level() int { return 1 + len(v.points) }

// clone is a copy that shares nothing.
func (v *stating) clone() stating {
	c := *v
	c.points = slices.Clone(v.points)
	for i := range c.saved {
		c.saved[i] = slices.Clone(v.saved[i])
	}
	return c
}

// An effect is what one statement does to the settings, or to the transaction.
type effect struct {
	set     []assignment
	all     bool   // every setting goes back
	command string // of a transaction; "" for none
	point   string
	chain   bool
	may     bool // it may end a transaction, unseen: DISCARD ALL, VACUUM and CALL commit by themselves
}

type assignment struct {
	setting int
	text    string
	param   int // the text is that parameter's value
	local   bool
	reset   bool
}

// effectOf reads a statement. ok is false for one that names the settings in a
// way of which it is not certain what it does.
func effectOf(st *stmt.Statement) (c *effect, ok bool) {
	c = &effect{}
	for _, set := range st.Settings {
		name := strings.ToLower(set.Name)
		if !strings.HasPrefix(name, catalog.Own) {
			continue
		}
		at := slices.Index(settingNames[:], name)
		switch {
		case at < 0 || !st.Certain || set.Durable:
			return nil, false
		case set.Default:
			c.set = append(c.set, assignment{setting: at, local: set.Local, reset: true})
		case set.Param > 0:
			c.set = append(c.set, assignment{setting: at, local: set.Local, param: set.Param})
		case !set.Known || len(set.Values) != 1:
			return nil, false
		default:
			c.set = append(c.set, assignment{setting: at, local: set.Local, text: set.Values[0]})
		}
	}
	for inner := st.Inner; inner != nil; inner = inner.Inner {
		for _, set := range inner.Settings {
			if strings.HasPrefix(set.Name, catalog.Own) {
				return nil, false // EXPLAIN, PREPARE and the like of set_config
			}
		}
	}
	switch st.Kind {
	case stmt.Transaction:
		c.command, c.point, c.chain = st.Object, st.Savepoint, st.Chain
	case stmt.Discard:
		c.all, c.may = st.All, st.All
	case stmt.Set:
		c.all = st.All
	case stmt.Do, stmt.Call, stmt.Maintain:
		c.may = true
	}
	if len(c.set) == 0 && !c.all && c.command == "" && !c.may {
		return nil, true
	}
	return c, true
}

// says: it states something, and does not only end what was stated.
func (c *effect) says(setting int) bool {
	return c != nil && slices.ContainsFunc(c.set, func(a assignment) bool { return a.setting == setting })
}

// do applies a statement that has succeeded. values are those of the parameters.
func (v *stating) do(c *effect, values [][]byte) {
	if c == nil {
		return
	}
	for _, a := range c.set {
		to := value{a.text, sekisho.SourceSession}
		switch {
		case a.reset:
			to = v.reset[a.setting]
		case a.param > 0 && a.param <= len(values):
			to.text = string(values[a.param-1])
		}
		if a.local && !a.reset {
			to.source = sekisho.SourceLocal
		}
		v.set(a.setting, to, a.local)
	}
	if c.all {
		for i := range v.now {
			v.set(i, v.reset[i], false)
		}
	}
	if c.may && !v.block {
		v.over(true)
	}
	switch c.command {
	case "begin", "start":
		v.block = true
	case "commit", "prepare", "rollback":
		v.over(c.command != "rollback" && !v.failed)
		v.block, v.failed = c.chain, false
	case "savepoint":
		v.points = append(v.points, c.point)
	case "release", "rollback_to":
		at := len(v.points) - 1
		for at >= 0 && v.points[at] != c.point {
			at--
		}
		if at < 0 {
			return // the server has said that there is none
		}
		for l := v.level(); l >= at+2; l-- {
			v.leave(l, c.command == "release")
		}
		v.points = v.points[:at]
		if c.command == "rollback_to" {
			v.points, v.failed = v.points[:at+1], false // it is there again
		}
	}
}

// set gives a setting a value, and remembers the one before if a transaction
// could go back to it.
func (v *stating) set(i int, to value, local bool) {
	stack := v.saved[i]
	if n := len(stack); n > 0 && stack[n-1].level >= v.level() {
		top := &stack[n-1]
		switch {
		case !local:
			top.how, top.masked = bySet, value{}
		case top.how == bySet:
			top.how, top.masked = setThenLocal, v.now[i]
		}
	} else {
		how := bySet
		if local {
			how = byLocal
		}
		v.saved[i] = append(stack, saved{level: v.level(), how: how, prior: v.now[i]})
	}
	v.now[i] = to
}

// leave ends one level of the transaction.
func (v *stating) leave(level int, commit bool) {
	for i := range v.saved {
		stack := v.saved[i]
		for n := len(stack); n > 0 && stack[n-1].level >= level; n = len(stack) {
			top := stack[n-1]
			switch {
			case !commit:
				v.now[i] = top.prior
			case level == 1 && top.how == byLocal:
				v.now[i] = top.prior
			case level == 1 && top.how == setThenLocal:
				v.now[i] = top.masked
			case level > 1 && (n == 1 || stack[n-2].level < top.level-1):
				stack[n-1].level--
				continue // it is the outer level's now
			case level > 1:
				stack[n-2].take(top)
			}
			stack = stack[:n-1]
		}
		v.saved[i] = stack
	}
}

// take merges what an inner level changed into what the outer one did.
func (s *saved) take(inner saved) {
	switch {
	case inner.how == bySet:
		s.how, s.masked = bySet, value{}
	case inner.how == byLocal && s.how == bySet:
		s.how, s.masked = setThenLocal, inner.prior
	case inner.how == setThenLocal:
		s.how, s.masked = setThenLocal, inner.masked
	}
}

// over ends the whole transaction.
func (v *stating) over(commit bool) {
	for l := v.level(); l >= 1; l-- {
		v.leave(l, commit)
	}
	v.points = v.points[:0]
}

// fail is an error of the server's: what the innermost level has changed is
// taken back, and a block waits for its end.
func (v *stating) fail() {
	if !v.block {
		v.over(false)
		return
	}
	if v.failed {
		return
	}
	v.leave(v.level(), false)
	v.failed = true
}

// ready is what a ReadyForQuery says of the transaction.
// changed: something is other than before.
func (v *stating) ready(status byte) (changed bool) {
	block, failed := status != 'I', status == 'E'
	changed = v.block != block || v.failed != failed
	if v.block = block; !block {
		for i := range v.saved {
			changed = changed || len(v.saved[i]) > 0
		}
		v.over(!v.failed) // of a COMMIT that failed nothing stays
	}
	v.failed = failed
	return changed
}
