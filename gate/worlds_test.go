package gate

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho"
)

// Two worlds: the same gate in front of the same database, but for one
// customer's record. What a client reads in one world and not in the other, it
// has learnt of that customer. So whatever the script, the ledger must name the
// customer, or say that it could be anybody, wherever the answers differ: rows
// and their number, tags, codes of errors, positions, whether anything comes.
// And whatever differs in the tables before and after a script, the ledger must
// say of whom.

// theOne is the customer whose record is another one in the second world.
const theOne = "1042"

// worlds are both. other is what the owner does in the second one.
func worlds(t *testing.T, other string, opts ...option) (both [2]*house) {
	t.Helper()
	for i, more := range []string{sameRecord, other} {
		both[i] = newWritingHouse(t, worldly+more, append([]option{worldlyCatalog}, opts...)...)
	}
	return both
}

// A play is a script of several people: messages as a raw client takes them,
// and
//
//	@b watched     from here on another connection, b, of this principal
//	--             wait for the answers before the next message is sent
type play struct {
	h    *house
	raws map[string]*raw
}

// temporarySchema is one of the server's names for it, which differ from session to session.
var temporarySchema = regexp.MustCompile(`pg_temp_\d+`)

// run plays a script, and gives all that its people read. They are all there
// again for the next one, with nothing left of it.
func (p *play) run(script string) string {
	p.h.t.Helper()
	if p.raws == nil {
		p.raws = map[string]*raw{}
	}
	var out, batch strings.Builder
	who, user := "a", "sato"
	flush := func() {
		if batch.Len() == 0 {
			return
		}
		if p.raws[who] == nil {
			p.raws[who] = p.h.raw(user)
		}
		got := p.raws[who].answers(batch.String())
		if out.WriteString(got); strings.HasSuffix(got, theEnd) {
			p.raws[who].conn.Close()
			delete(p.raws, who)
		}
		batch.Reset()
	}
	for line := range strings.Lines(script) {
		line = strings.TrimLeft(strings.TrimRight(line, "\n"), "\t")
		switch {
		case line == "--":
			flush()
		case strings.HasPrefix(line, "@"):
			flush()
			who, user, _ = strings.Cut(line[1:], " ")
		default:
			batch.WriteString(line + "\n")
		}
	}
	flush()
	for who, r := range p.raws {
		if strings.HasSuffix(r.answers("Q rollback\nQ discard all"), theEnd) {
			r.conn.Close()
			delete(p.raws, who)
		}
	}
	return temporarySchema.ReplaceAllString(out.String(), "pg_temp")
}

// theEnd stands where the gate ended the connection.
const theEnd = "the connection ends\n"

// answers sends messages, and gives the replies up to that of an empty query,
// which is answered whatever became of the transaction.
func (r *raw) answers(script string) string {
	r.t.Helper()
	go r.send(append(messages(script), messages("S\nQ ")...))
	var out strings.Builder
	for last := false; ; {
		typ, body, ok := r.receive()
		if !ok {
			return out.String() + theEnd
		}
		// PostgreSQL 18 forgets the state of a transaction that an Execute began, a
		// Query went on with, and a Sync ended: what comes next is this error, also
		// without a gate.
		last = last || typ == 'I' || typ == 'E' && strings.Contains(string(body), "RStartTransactionCommand")
		if last && typ == 'Z' {
			return out.String()
		}
		out.WriteString(printMessage(typ, body) + "\n")
	}
}

// stands is a digest of each customer's records, as owner reads them.
func stands(t *testing.T, owner *pgx.Conn, tables map[string]string) map[string]string {
	t.Helper()
	var parts []string
	for table, key := range tables {
		parts = append(parts, fmt.Sprintf("select '%[1]s ' || coalesce(%[2]s::text, 'nobody'), md5(string_agg(t::text, '|' order by t::text)) from %[1]s t group by 1", table, key))
	}
	all := map[string]string{}
	if len(parts) == 0 {
		return all
	}
	rows, err := owner.Query(context.Background(), strings.Join(parts, " union all "), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	var who, digest string
	if _, err := pgx.ForEachRow(rows, []any{&who, &digest}, func() error { all[who] = digest; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// owner is a connection of the database's owner, behind the gate's back.
func (h *house) owner() *pgx.Conn {
	h.t.Helper()
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf("host=%s port=%d user=%s dbname=%s", cluster.SocketDir(), cluster.Port(), cluster.Superuser(), h.dbname))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// A saidOf is what the ledger says of a script: who was read or written, and
// whether it could be anybody, or was all.
type saidOf struct {
	read, wrote      map[string]bool
	anyOne, anyWrite bool
	text             []string
}

// A listener hears what the ledger says, as it becomes durable.
type listener struct {
	*fold
	next func() (sekisho.Entry, error, bool)
}

func (h *house) listens() *listener {
	next, stop := iter.Pull2(h.ledger.Follow(context.Background(), 1))
	h.t.Cleanup(stop)
	return &listener{h.folds(), next}
}

// since is what is said by now, without what was said before the last time.
func (l *listener) since() saidOf {
	h := l.h
	h.t.Helper()
	before := len(l.all)
	for l.last < h.ledger.Last() {
		e, err, ok := l.next()
		if err != nil || !ok {
			h.t.Fatalf("the ledger ends at %d: %v", l.last, err)
		}
		l.take(e)
	}
	s := saidOf{read: map[string]bool{}, wrote: map[string]bool{}}
	for _, a := range l.all[before:] {
		writes := a.verb == sekisho.Insert || a.verb == sekisho.Update || a.verb == sekisho.Delete || a.verb == sekisho.Other
		all := a.class == sekisho.AnyRow || a.class == sekisho.Contributed && a.reach > 0
		s.anyOne, s.anyWrite = s.anyOne || all, s.anyWrite || all && writes
		for _, key := range a.keys {
			s.read[key] = true
			s.wrote[key] = s.wrote[key] || writes
		}
		s.text = append(s.text, fmt.Sprintf("%v %v %s: %.100s", a.verb, a.class, a.tables, strings.Join(a.keys, " ")))
	}
	return s
}

// A variant is one try: its name and its script.
type variant struct{ name, script string }

// variants are those of a file, each behind a line "== name".
func variants(t *testing.T, file string) (list []variant) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "worlds", file))
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq("\n"+string(b), "\n== ") {
		if name, script, ok := strings.Cut(part, "\n"); ok && name != "" {
			list = append(list, variant{name, script})
		}
	}
	return list
}

// compare plays variants in both worlds, and says where the ledger is silent.
// tables are those whose records are compared before and after, with the column
// of the key.
func compare(t *testing.T, both [2]*house, tables map[string]string, list []variant) {
	t.Helper()
	var was [2]map[string]string
	var plays [2]*play
	var owners [2]*pgx.Conn
	var ledgers [2]*listener
	for i, h := range both {
		plays[i], owners[i], ledgers[i] = &play{h: h}, h.owner(), h.listens()
		ledgers[i].since() // what was said before
		was[i] = stands(t, owners[i], tables)
	}
	differ := 0
	for _, v := range list {
		var out [2]string
		var said [2]saidOf
		for i := range both {
			out[i] = plays[i].run(v.script)
			said[i] = ledgers[i].since()
			is := stands(t, owners[i], tables)
			var unsaid []string
			for _, who := range slices.Sorted(maps.Keys(either(is, was[i]))) {
				_, key, _ := strings.Cut(who, " ")
				if is[who] != was[i][who] && !said[i].wrote[key] && !said[i].anyWrite {
					unsaid = append(unsaid, who)
				}
			}
			if len(unsaid) > 0 {
				t.Errorf("%s: the records of %.200s were changed, and the ledger says %v\n%.1500s", v.name, strings.Join(unsaid, ", "), said[i].text, out[i])
			}
			was[i] = is
		}
		if out[0] == out[1] {
			continue
		}
		differ++
		if !slices.ContainsFunc(said[:], func(s saidOf) bool { return s.read[theOne] || s.anyOne }) {
			t.Errorf("%s: the answers differ, and the ledger says %v and %v:\n%.3000s\n--- the other:\n%.3000s", v.name, said[0].text, said[1].text, out[0], out[1])
		}
	}
	t.Logf("%d variants; the answers of %d differ, and their customer is named", len(list), differ)
}

func either(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
