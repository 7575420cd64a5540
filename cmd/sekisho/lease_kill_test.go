package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/console"
	"sekisho/demo"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
)

// The budgets of the test: each person's, and everybody's together, which ends
// before all people's have.
const (
	personLimit = 60
	perLife     = 54 // of everybody's
)

// lives is how often something is killed: SEKISHO_TEST_KILLS says how often in a
// long run.
func lives(t *testing.T) int {
	if n := os.Getenv("SEKISHO_TEST_KILLS"); n != "" {
		lives, err := strconv.Atoi(n)
		if err != nil || lives < 4 || lives > 25 {
			t.Fatalf("SEKISHO_TEST_KILLS=%s: give a number from 4 to 25", n)
		}
		return lives
	}
	return 8
}

// Two houses in front of one database share two budgets, each a process that is
// killed (SIGKILL) while clients read at both: no more customers than the limit
// leave them together, whatever the moment, none leaves without an entry in the
// ledger of the house that let it out, and no room is lost.
func TestGatesThatShareABudgetAreKilled(t *testing.T) {
	lives := lives(t)
	two := twoHouses(t, lives)
	rng := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano())))
	for life := range lives {
		person := personName(life)
		ctx, stop := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range 6 {
			seed := rng.Uint64()
			clients.Go(func() { two.reads(ctx, i%2, person, seed) })
		}
		dies := []int{life % 2}
		if life%4 == 3 {
			dies = []int{0, 1}
		}
		two.waitForRows(person, 1+rng.IntN(personLimit/3))
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond) // not a wait: the moment is to be any
		for _, i := range dies {
			two.kill(i)
		}
		for _, i := range dies {
			two.begin(i)
		}
		two.waitForAnswer(person, dies)
		stop()
		clients.Wait()
	}

	// All of both budgets can be used, whatever became of the shares meanwhile.
	all := uint64(lives * perLife)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 2 * lives {
		seed := rng.Uint64()
		clients.Go(func() { two.reads(ctx, i%2, personName(i/2), seed) })
	}
	two.until("all of everybody's budget is used", func() bool { return two.used(0)+two.used(1) == all })
	stop()
	clients.Wait()
	two.houses[0].stop()
	two.houses[1].stop()
	two.check(all)
	t.Logf("%d times killed; %d rows received, %d statements refused", two.kills, len(two.receipts), two.refused)
}

func personName(life int) string { return fmt.Sprintf("person-%03d", life+1) }

// twoSites are two houses and what clients have had of them.
type twoSites struct {
	t        *testing.T
	houses   [2]*running
	login    login
	password string
	members  []int64
	people   map[string]int

	mu       sync.Mutex
	lives    [2]int // of each house; a life is an epoch of its ledger
	receipts []leaseReceipt
	rows     map[string]int // received by a person
	refused  int
	answered map[string]int // house, life and person → statements that ended
	kills    int
}

// A leaseReceipt is one row that a client has read.
type leaseReceipt struct {
	house, life int
	person      string
	member      string
}

// twoHouses sets two houses up as docs/budgets.md says, and starts them.
func twoHouses(t *testing.T, lives int) *twoSites {
	dir := t.TempDir()
	os.Chmod(dir, 0o711)
	d, cluster := store(t, dir)
	first := &running{t: t, dir: dir, cluster: cluster}
	var err error
	if first.login, err = d.config(cluster); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "sekisho.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`listen: 127.0.0.1:\d+`).ReplaceAllString(string(b), "listen: 127.0.0.1:0")
	text = regexp.MustCompile(`(?m)^ *ask_above: .*\n|^budgets:\n(  .*\n)+|^  policy:\n(    .*\n)+`).ReplaceAllString(text, "")
	verifier := regexp.MustCompile(`(?m)^ *verifier: (.*)$`).FindStringSubmatch(text)[1]
	people, numbers := "  principals:\n", map[string]int{}
	for life := range lives {
		numbers[personName(life)] = life
		people += fmt.Sprintf("    - {name: %s, role: call_centre, verifier: %q}\n", personName(life), strings.Trim(verifier, `"`))
	}
	text = strings.Replace(text, "  principals:\n", people, 1)
	text += fmt.Sprintf("\nbudgets:\n  - {name: person, customers: %d, within: 30d}\n  - {name: all, per: [all], customers: %d, within: 30d}\n", personLimit, lives*perLife)

	// The second one has a directory of its own, with what belongs to both in it.
	second := &running{t: t, dir: filepath.Join(dir, "second"), cluster: cluster, login: first.login}
	if err := os.Mkdir(second.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "certificates"} {
		if err := os.Symlink(filepath.Join(dir, name), filepath.Join(second.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	door := doorOfItsOwn(t)
	host, _, _ := net.SplitHostPort(door)
	first.link()
	first.run("ca", "init", "--ca", filepath.Join(dir, "ca"))
	first.run("ca", "issue", "gate-1", "--host", host, "--ca", filepath.Join(dir, "ca"), "--out", dir)
	first.run("ca", "issue", "gate-2", "--ca", filepath.Join(dir, "ca"), "--out", second.dir)
	for _, one := range []struct {
		r        *running
		number   int
		settings string
	}{
		{first, 1, "  listen: " + door + "\n  gates: [{number: 2, name: gate-2}]\n"},
		{second, 2, "  from: {address: " + door + ", name: gate-1, number: 1}\n"},
	} {
		own := strings.Replace(text, "\nnumber: 1\n", fmt.Sprintf("\nnumber: %d\n", one.number), 1)
		own += fmt.Sprintf("leases:\n%s  cert: gate-%d.crt\n  key: gate-%[2]d.key\n  ca: %s\n  every: 50ms\n", one.settings, one.number, filepath.Join(dir, "ca", "root.crt"))
		if err := os.WriteFile(filepath.Join(one.r.dir, "sekisho.yaml"), []byte(own), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	password, err := os.ReadFile(filepath.Join(dir, demoUser+".password"))
	if err != nil {
		t.Fatal(err)
	}
	two := &twoSites{t: t, login: first.login, houses: [2]*running{first, second}, password: strings.TrimSpace(string(password)), people: numbers, rows: map[string]int{}, answered: map[string]int{}}
	for i := range 2000 {
		two.members = append(two.members, demo.MemberNo(storeSeed, i))
	}
	slices.Sort(two.members)
	two.begin(0)
	two.begin(1)
	return two
}

// doorOfItsOwn is an address where nothing listens and no connection begins: a
// house that is started again finds it free.
func doorOfItsOwn(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.%d.%d.%d:7443", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no address of the loopback is free")
	return ""
}

// link gives the program its name in the house's directory.
func (r *running) link() {
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	os.Symlink(self, filepath.Join(r.dir, "sekisho"))
}

// run runs a command that must succeed.
func (r *running) run(args ...string) {
	r.t.Helper()
	if out, err := r.sekisho(args...); err != nil {
		r.t.Fatalf("sekisho %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (two *twoSites) begin(i int) {
	two.t.Helper()
	was := two.houses[i]
	next := &running{t: two.t, dir: was.dir, login: was.login, cluster: was.cluster}
	next.up()
	two.mu.Lock()
	defer two.mu.Unlock()
	two.houses[i] = next
	two.lives[i]++
}

func (two *twoSites) kill(i int) {
	two.t.Helper()
	r := two.houses[i]
	r.cmd.Process.Kill()
	r.cmd.Wait()
	two.mu.Lock()
	defer two.mu.Unlock()
	r.gate = ""
	two.kills++
}

// until waits for a condition.
func (two *twoSites) until(what string, done func() bool) {
	two.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			for i, r := range two.houses {
				out, _ := r.sekisho("budget", "--config", filepath.Join(r.dir, "sekisho.yaml"))
				two.t.Logf("house %d:\n%s\n%s", i+1, out, r.said.String())
			}
			two.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (two *twoSites) waitForRows(person string, n int) {
	two.t.Helper()
	two.until(fmt.Sprintf("%s has %d rows", person, n), func() bool {
		two.mu.Lock()
		defer two.mu.Unlock()
		return two.rows[person] >= n
	})
}

// waitForAnswer waits until those that were killed serve again.
func (two *twoSites) waitForAnswer(person string, houses []int) {
	two.t.Helper()
	two.until("who was killed answers again", func() bool {
		two.mu.Lock()
		defer two.mu.Unlock()
		return !slices.ContainsFunc(houses, func(i int) bool { return two.answered[fmt.Sprint(i, two.lives[i], person)] == 0 })
	})
}

// used is what counts of everybody's budget at a house.
func (two *twoSites) used(i int) (n uint64) {
	two.t.Helper()
	out, err := two.houses[i].sekisho("budget", "--json", "--config", filepath.Join(two.houses[i].dir, "sekisho.yaml"))
	if err != nil {
		two.t.Fatalf("sekisho budget: %v: %s", err, out)
	}
	var p console.BudgetsPage
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		two.t.Fatalf("sekisho budget: %v: %s", err, out)
	}
	for _, u := range p.Uses {
		if u.Budget == "all" {
			n += u.Used
		}
	}
	return n
}

// reads is a client that reads members at random at one house, and comes again
// when that has been killed, until ctx ends.
func (two *twoSites) reads(ctx context.Context, house int, person string, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for ctx.Err() == nil {
		two.mu.Lock()
		addr, life := two.houses[house].gate, two.lives[house]
		two.mu.Unlock()
		conn, err := two.connect(ctx, addr, person)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // it is dead, or not there yet
			continue
		}
		if !two.stillIn(house, life) { // the other house may have its port by now
			conn.Close(context.Background())
			continue
		}
		for ctx.Err() == nil {
			if err := two.read(ctx, conn, house, life, person, rng); err != nil {
				var said *pgconn.PgError
				if errors.As(err, &said) {
					two.t.Errorf("house %d refuses %s: %v", house+1, person, err)
				}
				break
			}
		}
		conn.Close(context.Background())
	}
}

// stillIn: a house is in that life still.
func (two *twoSites) stillIn(house, life int) bool {
	two.mu.Lock()
	defer two.mu.Unlock()
	return two.lives[house] == life && two.houses[house].gate != ""
}

func (two *twoSites) connect(ctx context.Context, addr, person string) (*pgconn.PgConn, error) {
	if addr == "" {
		return nil, errors.New("not there")
	}
	dsn := strings.Replace(two.login.dsn(addr), "user="+demoUser, "user="+person+" password="+two.password, 1)
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	return pgconn.Connect(ctx, dsn)
}

// read is one statement. What a budget refuses is no error.
func (two *twoSites) read(ctx context.Context, conn *pgconn.PgConn, house, life int, person string, rng *rand.Rand) error {
	// Nobody reads whom another person reads, so that everybody's budget counts
	// each of a person's customers; both houses read the same.
	own := len(two.members) / len(two.people)
	at := two.people[person]*own + rng.IntN(own-9)
	sql := fmt.Sprintf("select member_no, name_latin from crm.member where member_no >= %d order by member_no limit %d", two.members[at], 1+rng.IntN(9))
	if rng.IntN(2) == 0 {
		sql = fmt.Sprintf("select member_no, name_latin from crm.member where member_no = %d", two.members[at])
	}
	answer := conn.Exec(ctx, sql)
	for answer.NextResult() {
		for rows := answer.ResultReader(); rows.NextRow(); {
			two.mu.Lock()
			two.receipts = append(two.receipts, leaseReceipt{house, life, person, string(rows.Values()[0])})
			two.rows[person]++
			two.mu.Unlock()
		}
	}
	err := answer.Close()
	var said *pgconn.PgError
	two.mu.Lock()
	defer two.mu.Unlock()
	if errors.As(err, &said) && said.Code == "53400" {
		two.refused++
		err = nil
	}
	if err == nil {
		two.answered[fmt.Sprint(house, life, person)]++
	}
	return err
}

// check compares what clients have with what both ledgers say.
func (two *twoSites) check(all uint64) {
	t := two.t
	t.Helper()
	type told struct {
		house, life int
		member      string
	}
	named := map[told]bool{}                 // in the life of a house
	counts := map[string]map[string]bool{}   // holder → house and member
	received := map[string]map[string]bool{} // holder → member
	add := func(m map[string]map[string]bool, holder, what string) {
		if m[holder] == nil {
			m[holder] = map[string]bool{}
		}
		m[holder][what] = true
	}
	for i, r := range two.houses {
		data := filepath.Join(r.dir, "live")
		r.run("ledger", "verify", data)
		key, err := vault.LoadOrMakeKey(filepath.Join(data, "vault.key"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := vault.Open(vault.Config{Dir: filepath.Join(data, "vault"), FS: disk.OS{}, Key: key, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		people := map[uint64]string{} // by session
		shares := 0
		for e, err := range ledger.Read(disk.OS{}, filepath.Join(data, "ledger"), 1) {
			if err != nil {
				t.Fatal(err)
			}
			switch b := e.Body.(type) {
			case *sekisho.SessionOpened:
				people[e.ID.Seq], _ = v.Space("staff").Key(b.Principal)
			case *sekisho.LeaseGranted, *sekisho.LeaseTaken:
				shares++
			case *sekisho.Access:
				for _, ord := range b.Subjects {
					member, ok := v.Space("member").Key(ord)
					if !ok {
						t.Fatalf("entry %v of house %d names an ordinal that its vault does not know", e.ID, i+1)
					}
					named[told{i, int(e.ID.Epoch), member}] = true
					add(counts, people[b.Session], fmt.Sprint(i, member))
					add(counts, "all", fmt.Sprint(i, member))
				}
			}
		}
		if shares < len(two.lives) {
			t.Errorf("house %d has %d entries of shares", i+1, shares)
		}
	}
	for _, r := range two.receipts {
		if !named[told{r.house, r.life, r.member}] {
			t.Errorf("%s received member %s in life %d of house %d, whose ledger does not say so", r.person, r.member, r.life, r.house+1)
		}
		add(received, r.person, r.member)
		add(received, "all", r.member)
	}
	for holder, limit := range limits(received, all) {
		if n := len(received[holder]); n > limit {
			t.Errorf("%s: %d different customers were received, and %d is the limit", holder, n, limit)
		}
		if n := len(counts[holder]); n > limit {
			t.Errorf("%s: %d different customers are named by both ledgers, each counted at each, and %d is the limit", holder, n, limit)
		}
	}
	if n := len(counts["all"]); n != int(all) {
		t.Errorf("both ledgers name %d customers, and everybody's budget of %d was used", n, all)
	}
}

func limits(holders map[string]map[string]bool, all uint64) map[string]int {
	m := map[string]int{}
	for h := range holders {
		m[h] = personLimit
	}
	m["all"] = int(all)
	return m
}
