package gate

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
)

// speaking adds programs that speak for people: web, of the role staff, and
// seen, of an observed role.
func speaking(o *options) {
	verifier := o.gate.Principals[0].Verifier
	o.gate.Principals = append(o.gate.Principals,
		Principal{Name: "web", Role: "staff", Verifier: verifier, SpeaksFor: SpeaksFor{User: true, Terminal: true}},
		Principal{Name: "mtls", Role: "staff", Verifier: verifier, SpeaksFor: SpeaksFor{User: true, Terminal: true, Verified: true}},
		Principal{Name: "half", Role: "staff", Verifier: verifier, SpeaksFor: SpeaksFor{User: true}},
		Principal{Name: "seen", Role: "observed", Verifier: verifier, SpeaksFor: SpeaksFor{User: true, Terminal: true}})
}

// behind says of each access or refusal, in the order of the ledger, who was
// behind it: "who@where for what", with "?" for what was not stated.
func (h *house) behind() []string { return h.behindIn(false) }

// behindIn gives them in the order in which they were sent, not recorded: a
// lookup is recorded while the server works at what came before it.
func (h *house) behindIn(sent bool) (list []string) {
	h.t.Helper()
	type key struct{ session, number uint64 }
	by, speaks, told := map[key]*sekisho.OnBehalf{}, map[uint64]bool{}, map[key]bool{}
	type said struct {
		key
		text string
	}
	var texts []said
	tell := func(session, number uint64, purpose uint32) {
		k := key{session, number}
		if told[k] {
			return
		}
		told[k] = true
		text := "itself"
		if speaks[session] {
			text = "?@?"
		}
		if b := by[k]; b != nil {
			who, _ := h.vault.Space("staff").Key(b.Principal)
			if who == "" {
				who = "?"
			}
			where := b.Endpoint
			if where == "" {
				where = "?"
			}
			if b.Verified {
				where += "!"
			}
			text = fmt.Sprintf("%s@%s %v", who, where, b.Source)
		}
		if what, _ := h.vault.Space("purpose").Key(purpose); what != "" && what != "enquiry" {
			text += " for " + what
		}
		texts = append(texts, said{k, text})
	}
	// What was handed over and not waited for is in the ledger before this is.
	if _, err := h.ledger.Append(context.Background(), &sekisho.SignedIn{}); err != nil {
		h.t.Fatal(err)
	}
	back := map[key]bool{} // foretold, and taken back
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.AccessClosed); ok && b.Released == 0 {
			back[key{b.Session, b.Number}] = true
		}
	}
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.OnBehalf:
			if b.Number == 0 {
				speaks[b.Session] = true
			} else {
				by[key{b.Session, b.Number}] = b
			}
		case *sekisho.Access:
			if !back[key{b.Session, b.Number}] {
				tell(b.Session, b.Number, b.Purpose)
			}
		case *sekisho.Refused:
			tell(b.Session, b.Number, 0)
		}
	}
	if sent {
		slices.SortStableFunc(texts, func(a, b said) int { return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.number, b.number)) })
	}
	for _, t := range texts {
		list = append(list, t.text)
	}
	return list
}

const one = "select name from crm.member where member_no=1001"

func TestOnBehalf(t *testing.T) {
	h := newHouse(t, speaking)
	for _, c := range []struct {
		name, user, script string
		want               []string
	}{
		{"nobody", "sato", "Q " + one, []string{"itself"}},
		{"a program that says nothing", "web", "Q " + one, []string{"?@?"}},
		{"SET lasts", "web", "Q set sekisho.\"user\" = 'alice'; set sekisho.terminal = 'pc-1'\nQ " + one + "\nQ " + one, []string{"alice@pc-1 session", "alice@pc-1 session"}},
		{"SET LOCAL ends with the transaction", "web", "Q begin\nQ set local sekisho.\"user\" = 'alice'\nQ set local sekisho.terminal = 'pc-1'\nQ " + one + "\nQ commit\nQ " + one, []string{"alice@pc-1 transaction", "?@?"}},
		{"in one text", "web", "Q begin; set local sekisho.\"user\" = 'alice'; " + one + "; set local sekisho.\"user\" = 'bob'; " + one + "; commit; " + one, []string{"alice@? transaction", "bob@? transaction", "?@?"}},
		{"RESET, RESET ALL, DISCARD ALL", "web", "Q set sekisho.\"user\" = 'alice'\nQ reset sekisho.\"user\"\nQ " + one + "\nQ set sekisho.\"user\" = 'bob'\nQ reset all\nQ " + one + "\nQ set sekisho.\"user\" = 'carol'\nQ discard all\nQ " + one, []string{"?@?", "?@?", "?@?"}},
		{"set_config by parameters", "web", "Q begin\nP \"\" select set_config('sekisho.user', $1, true), set_config('sekisho.terminal', $2::text, true)\nB \"\" \"\" 太郎,pc-1 -\nE \"\" 0\nS\nQ " + one + "\nQ rollback\nQ " + one, []string{"太郎@pc-1 transaction", "?@?"}},
		{"within one cycle", "web", "P a select set_config('sekisho.user', $1, true)\nP b " + one + "\nB \"\" a alice -\nE \"\" 0\nB \"\" b - -\nE \"\" 0\nS\nB \"\" b - -\nE \"\" 0\nS", []string{"alice@? transaction", "?@?"}},
		{"a tag", "web", "Q " + one + " /*user='alice',terminal='pc%2D1'*/;\nQ " + one, []string{"alice@pc-1 statement", "?@?"}},
		{"a tag of a purpose", "sato", "Q " + one + " /*purpose='billing'*/\nQ " + one + " /*route='x'*/", []string{"itself for billing", "itself"}},
		{"a purpose for a transaction", "sato", "Q begin\nQ set local sekisho.purpose = 'billing'\nQ " + one + "\nQ commit\nQ " + one, []string{"itself for billing", "itself"}},
		{"a tag is a unit", "web", "Q set sekisho.\"user\" = 'alice'; set sekisho.terminal = 'pc-1'\nQ " + one + " /*user='bob'*/", []string{"bob@? statement"}},
		{"a prepared tag", "web", "P s " + one + " /*user='alice'*/\nB \"\" s - -\nE \"\" 0\nS", []string{"alice@? statement"}},
		{"damaged tags", "web", "Q set sekisho.\"user\" = 'alice'\nQ " + one + " /*user='bob*/\nQ " + one + " /*user='bob',user='carol'*/", []string{"?@?", "?@?"}},
		{"a comment in a string, or nested, or of a line, is no tag", "web", "Q select name || '/*user=''bob''*/' from crm.member where member_no=1001\nQ " + one + " /* /*user='bob'*/ */\nQ " + one + " --/*user='bob'*/", []string{"?@?", "?@?", "?@?"}},
		{"a tag that is not the end", "web", "Q " + one + " /*user='bob'*/ and true\nQ " + one + " /*user='bob'*/ /*user='alice'*/", []string{"?@?", "alice@? statement"}},
		{"the terminal proved by the program", "mtls", "Q set sekisho.terminal = 'pc-1'\nQ " + one, []string{"?@pc-1! session"}},
		{"a savepoint", "web", "Q begin; set local sekisho.\"user\" = 'alice'; savepoint a; set local sekisho.\"user\" = 'bob'\nQ " + one + "\nQ rollback to a\nQ " + one + "\nQ release a\nQ " + one + "\nQ commit", []string{"bob@? transaction", "alice@? transaction", "alice@? transaction"}},
		{"what is refused", "web", "Q set sekisho.\"user\" = 'alice'\nQ select name from crm.everybody limit 0 offset random()", []string{"alice@? session"}},
		{"any-row, before it runs", "seen", "Q set sekisho.\"user\" = 'alice'; select count(*) from crm.member\nQ set sekisho.\"user\" = 'bob'\nQ select count(*) from crm.member", []string{"alice@? session", "bob@? session"}},
	} {
		before := len(h.behind())
		c2 := h.raw(c.user)
		out := c2.run(c.script)
		c2.conn.Close()
		if got := h.behind()[before:]; !slices.Equal(got, c.want) {
			t.Errorf("%s: the ledger says %q, want %q\n%s", c.name, got, c.want, out)
		}
	}
}

// Who may not speak for others is told so, and what cannot be read is not
// taken.
func TestOnBehalfRefused(t *testing.T) {
	h := newHouse(t, speaking)
	for _, c := range []struct{ user, script, want string }{
		{"sato", "Q set sekisho.\"user\" = 'alice'", "may not state sekisho.user"},
		{"sato", "Q select set_config('sekisho.terminal', 'pc-1', false)", "may not state sekisho.terminal"},
		{"sato", "P \"\" select set_config('sekisho.user', $1, false)\nB \"\" \"\" alice -\nE \"\" 0\nS", "may not state sekisho.user"},
		{"sato", "Q " + one + " /*user='alice'*/", "may not state sekisho.user"},
		{"sato", "Q " + one + " /*purpose='espionage'*/", "knows no such purpose"},
		{"sato", "Q set local sekisho.purpose = 'espionage'", "knows no such purpose"},
		{"half", "Q set sekisho.terminal = 'pc-1'", "may not state sekisho.terminal"},
		{"web", "Q set sekisho.terminal = 'unverified@10.0.0.1'", "sekisho.terminal cannot be taken"},
		{"web", "Q set sekisho.terminal = 'console@10.0.0.1'", "sekisho.terminal cannot be taken"},
		{"web", "Q set sekisho.\"user\" = e'a\\u202eb'", "sekisho.user cannot be taken"},
		{"web", "Q set sekisho.users = 'alice'", "cannot tell what this makes"},
		{"web", "Q select set_config('sekisho.user', name, false) from crm.member", "cannot tell what this makes"},
		{"web", "Q select set_config('sekisho.user', 'bob', false) where false", "cannot tell what this makes"},
		{"web", "Q prepare p as select set_config('sekisho.user', 'bob', false)", "cannot tell what this makes"},
		{"web", "Q explain analyze select set_config('sekisho.user', 'bob', false)", "cannot tell what this makes"},
		{"web", "Q set sekisho.purpose = 'billing'; " + one + "; set sekisho.purpose = 'enquiry'; " + one, "must have one purpose"},
	} {
		r := h.raw(c.user)
		if out := r.run(c.script); !strings.Contains(out, c.want) {
			t.Errorf("%s: %s\n%s", c.user, c.script, out)
		}
		r.conn.Close()
	}
	if out := h.raw("sato").run("Q select code from crm.airport where code='HND' /*user='alice'*/"); !strings.Contains(out, "HND") {
		t.Errorf("a comment on nothing protected: %s", out)
	}
	if out := h.psql("watched", one+" /*user='alice'*/"); out != "name1\n" {
		t.Errorf("observed: %s", out)
	}
	if _, err := pgx.Connect(context.Background(), h.dsn("sato", "options='-c sekisho.user=alice'")); err == nil || !strings.Contains(err.Error(), "may not state") {
		t.Errorf("while connecting: %v", err)
	}
	conn := h.connect("web", "options='-c sekisho.user=alice -c sekisho.terminal=pc-9'")
	conn.Exec(context.Background(), "set sekisho.\"user\" = 'bob'")
	conn.Exec(context.Background(), "reset all")
	if _, err := conn.Exec(context.Background(), one); err != nil {
		t.Error(err)
	}
	if got := h.behind(); got[len(got)-1] != "alice@pc-9 connection" {
		t.Errorf("by the connection's options: %q", got[len(got)-1])
	}
}

// Whatever a session does to its settings and transactions, the ledger says of
// each read what the server itself holds at that moment.
func TestOnBehalfIsWhatTheServerHolds(t *testing.T) {
	h := newHouse(t, speaking)
	rng := rand.New(rand.NewPCG(11, uint64(time.Now().UnixNano())))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	const read = "select coalesce(current_setting('sekisho.user', true), ''), coalesce(current_setting('sekisho.terminal', true), ''), member_no from crm.member where member_no=1001"
	step := func() string {
		bare := pick("user", "user", "terminal")
		name := strconv.Quote(bare)
		switch rng.IntN(22) {
		case 0, 1, 2:
			return fmt.Sprintf("set %ssekisho.%s = '%s'", pick("", "local ", "session "), name, pick("a", "b", "c", "d", ""))
		case 3, 4:
			return fmt.Sprintf("set local sekisho.%s = '%s'", name, pick("e", "f", "g"))
		case 5:
			return fmt.Sprintf("select set_config('sekisho.%s', '%s', %s)", bare, pick("h", "i", ""), pick("true", "false"))
		case 6:
			return pick("reset sekisho."+name, "set sekisho."+name+" to default", "set local sekisho."+name+" to default", "reset all", "discard all")
		case 7, 8:
			return "begin"
		case 9:
			return pick("commit", "commit and chain", "end", "prepare transaction 'x'")
		case 10:
			return pick("rollback", "rollback and chain", "abort")
		case 11, 12:
			return "savepoint " + pick("p", "q")
		case 13:
			return "release " + pick("p", "q")
		case 14, 15:
			return "rollback to " + pick("p", "q")
		case 16:
			return "select 1/0"
		}
		return read
	}
	truth := regexp.MustCompile(`(?m)^D "(.*)" "(.*)" "1001"$`)
	reads := 0
	for range 40 {
		var script strings.Builder
		var all []string
		for range 12 {
			switch rng.IntN(3) {
			case 0: // simple, one or several in a text
				text := step()
				for range rng.IntN(3) {
					text += "; " + step()
				}
				all = append(all, "Q "+text)
			default: // extended, one or several in a cycle
				for range 1 + rng.IntN(3) {
					all = append(all, `P "" `+step(), `B "" "" - -`, `E "" `+pick("0", "0", "1"))
				}
				all = append(all, "S")
			}
		}
		script.WriteString(strings.Join(append(all, "Q rollback", "Q "+read), "\n"))
		before := len(h.behindIn(true))
		c := h.raw("web")
		out := c.run(script.String())
		c.conn.Close()
		var want []string
		for _, m := range truth.FindAllStringSubmatch(out, -1) {
			want = append(want, m[1]+"@"+m[2])
		}
		var got []string
		for _, b := range h.behindIn(true)[before:] {
			who, _, _ := strings.Cut(b, " ")
			got = append(got, strings.ReplaceAll(who, "?", ""))
		}
		if reads += len(want); !slices.Equal(got, want) {
			t.Fatalf("the ledger says\n%q, the server held\n%q\n%s\n%s", got, want, script.String(), out)
		}
	}
	if reads < 100 {
		t.Errorf("only %d reads", reads)
	}
}

// Through a pooler that gives a connection away at each end of a transaction,
// each statement is still attributed to whom it was made for.
func TestOnBehalfThroughAPooler(t *testing.T) {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("no pgbouncer")
	}
	h := newHouse(t, speaking)
	host, port, _ := net.SplitHostPort(h.addr)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, own, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	conf := fmt.Sprintf("[databases]\n%s = host=%s port=%s user=web password='open sesame'\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%s\nauth_type=any\npool_mode=transaction\ndefault_pool_size=2\nmax_client_conn=50\nunix_socket_dir=\nserver_reset_query=DISCARD ALL\n", h.dbname, host, port, own)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-q", file)
	if os.Getuid() == 0 {
		cmd = exec.Command(bin, "-q", "-u", "nobody", file)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	dsn := fmt.Sprintf("host=127.0.0.1 port=%s user=anybody dbname=%s sslmode=disable default_query_exec_mode=simple_protocol", own, h.dbname)
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	var conn *pgx.Conn
	for conn == nil {
		if conn, err = pgx.Connect(ctx, dsn); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	conn.Close(ctx)
	failed := make(chan error, 10)
	for i := range 10 { // ten people, two connections to the gate
		go func() {
			failed <- func() error {
				conn, err := pgx.Connect(ctx, dsn)
				if err != nil {
					return err
				}
				defer conn.Close(ctx)
				for n := range 8 {
					tx, err := conn.Begin(ctx)
					if err != nil {
						return err
					}
					if n%2 == 0 {
						if _, err := tx.Exec(ctx, "select set_config('sekisho.user', $1, true), set_config('sekisho.terminal', $2, true)", fmt.Sprintf("user%d", i), fmt.Sprintf("pc-%d", i)); err != nil {
							return err
						}
					}
					text := fmt.Sprintf("select name from crm.member where member_no=%d", 1001+i)
					if n%4 == 1 {
						text += fmt.Sprintf(" /*terminal='pc-%d',user='user%d'*/", i, i)
					}
					if _, err := tx.Exec(ctx, text); err != nil {
						return err
					}
					if err := tx.Commit(ctx); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range 10 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	accounts, behind := h.accounts(), h.behind()
	counts := map[string]int{}
	for i, a := range accounts {
		who, _, _ := strings.Cut(behind[i], " ")
		if who != "?@?" && who != fmt.Sprintf("user%s@pc-%s", digits(a.keys[0]), digits(a.keys[0])) {
			t.Errorf("%s read %s", who, a.keys[0])
		}
		counts[who]++
	}
	if len(accounts) != 80 || counts["?@?"] != 20 || counts["user3@pc-3"] != 6 {
		t.Errorf("%d accesses: %v", len(accounts), counts)
	}
}

// digits is the number of the person who reads the member 1001, 1002, …
func digits(key string) string {
	n, _ := strconv.Atoi(key)
	return strconv.Itoa(n - 1001)
}

// Texts that differ only in their tags share a plan.
func TestTagsShareAPlan(t *testing.T) {
	h := newHouse(t, speaking)
	conn := h.connect("web", "default_query_exec_mode=exec")
	for i := range 50 {
		if _, err := conn.Exec(context.Background(), fmt.Sprintf("select name from crm.member where member_no=%d /*traceparent='00-%032x-01',user='u%d'*/", 1001+i, i, i)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(context.Background(), fmt.Sprintf("with x as (select 1) select code from crm.airport, x /*traceparent='00-%032x-01'*/", i)); err != nil {
			t.Fatal(err)
		}
	}
	h.gate.plans.mu.RLock()
	defer h.gate.plans.mu.RUnlock()
	if n := len(h.gate.plans.now); n > 4 {
		t.Errorf("%d plans for two statements", n)
	}
}
