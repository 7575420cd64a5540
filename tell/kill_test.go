package tell

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
	"sekisho/view"
)

// post is a real mail server that counts, and is slow, busy or unwilling by
// turns. Who is what stands in the address.
type post struct {
	mu    sync.Mutex
	took  map[string]int // by address: how often a letter was taken
	tries map[string]int
	ids   map[string]map[string]bool // by address: Message-IDs
	all   int
	quick bool
}

func newPost() *post {
	return &post{took: map[string]int{}, tries: map[string]int{}, ids: map[string]map[string]bool{}}
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &postSession{post: p}, nil }

type postSession struct {
	post *post
	to   string
}

func (s *postSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *postSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.to = to
	s.post.tries[to]++
	switch {
	case strings.HasPrefix(to, "no-"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody"}
	case strings.HasPrefix(to, "grey-") && s.post.tries[to] == 1:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "later"}
	}
	return nil
}

func (s *postSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if !s.post.quick {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // a disk of its own
	}
	head, _, _ := strings.Cut(string(text), "\r\n\r\n")
	_, id, _ := strings.Cut(head, "Message-ID: ")
	id, _, _ = strings.Cut(id, "\r\n")
	s.post.mu.Lock()
	s.post.took[s.to]++
	s.post.all++
	if s.post.ids[s.to] == nil {
		s.post.ids[s.to] = map[string]bool{}
	}
	s.post.ids[s.to][id] = true
	s.post.mu.Unlock()
	if !s.post.quick {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // it has the letter, and has not said so
	}
	return nil
}
func (*postSession) Reset()        {}
func (*postSession) Logout() error { return nil }

// addressOf makes addresses by which the mail server knows how to treat somebody.
func addressOf(o uint32) string {
	switch {
	case o%17 == 0:
		return "" // has none
	case o%23 == 0:
		return "not an address"
	case o%13 == 0:
		return fmt.Sprintf("no-%d@example.jp", o)
	case o%11 == 0:
		return fmt.Sprintf("grey-%d@example.jp", o)
	}
	return fmt.Sprintf("m%d@example.jp", o)
}

// A desk is a ledger with the fold and the sender of mailings over it.
type desk struct {
	ledger *ledger.Ledger
	views  *view.Set
	book   *Book
	seen   *LureBook
	stop   func()
}

func openDesk(dir string, now func() time.Time) (*desk, error) { return openDeskWith(dir, now, nil) }

func openDeskWith(dir string, now func() time.Time, v *vault.Vault) (*desk, error) {
	log := slog.New(slog.DiscardHandler)
	conf := ledger.Config{Dir: filepath.Join(dir, "ledger"), Gate: 1, Name: "tell", Software: "test", Now: now, SegmentBytes: 1 << 20, Log: log}
	if v != nil {
		conf.Before, conf.BeforeWaits = v.Flush, v.Unsettled
	}
	l, err := ledger.Open(conf)
	if err != nil {
		return nil, err
	}
	d := &desk{ledger: l, book: NewBook(), seen: NewLureBook()}
	d.views = view.New(view.Config{Follow: l.Follow, Hurry: l.Hurry, Last: l.Last, Views: []view.View{d.book, d.seen}, Log: log})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.views.Run(ctx); close(done) }()
	d.stop = func() { stop(); <-done; l.Close() }
	if err := d.views.WaitFor(ctx, l.Last()); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *desk) sender(r Relay, p Pace, now func() time.Time) *Sender {
	return &Sender{Append: d.ledger.Append, Views: d.views, Book: d.book, Relay: r, Pace: p, Now: now, Idle: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Addresses: func(_ context.Context, _ Status, subjects []uint32) (map[uint32]string, error) {
			to := map[uint32]string{}
			for _, o := range subjects {
				to[o] = addressOf(o)
			}
			return to, nil
		},
		Compose: func(_ context.Context, m Status, o uint32) (Letter, error) {
			return Letter{From: "desk@example.jp", Return: fmt.Sprintf("b-%d@back.example.jp", o), Subject: "お知らせ", Text: "本文\n", ID: fmt.Sprintf("%d.%d@example.jp", m.Asked.Revision, o)}, nil
		}}
}

func (d *desk) put(t testing.TB, b ...sekisho.Body) uint64 {
	t.Helper()
	id, err := d.ledger.Append(t.Context(), b...)
	if err != nil {
		t.Fatal(err)
	}
	last := id.Seq + uint64(len(b)) - 1
	if err := d.views.WaitFor(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	return id.Seq
}

// mailing asks for one and approves it.
func (d *desk) mailing(t testing.TB, revision uint64, people ...uint32) uint64 {
	t.Helper()
	n := d.put(t, &sekisho.MailingAsked{Incident: 1, Revision: revision, List: "suspected", Space: "member", Listed: uint64(len(people)), People: uint64(len(people)), By: 1})
	d.put(t, &sekisho.MailingListed{Mailing: n, Subjects: people}, &sekisho.MailingDecided{Mailing: n, Action: "approved", By: 2})
	return n
}

// child is a process that sends and may be killed at any moment.
type child struct {
	Dir   string
	Relay Relay
	Lures bool          // a campaign of lures
	Ahead time.Duration // of the true time: so that nobody waits a quarter of an hour for who is to be tried later
}

const childEnv = "SEKISHO_TEST_SENDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := sendAsChild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func sendAsChild(text string) error {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	now := func() time.Time { return time.Now().Add(c.Ahead) }
	d, err := openDesk(c.Dir, now)
	if err != nil {
		return err
	}
	s := d.sender(c.Relay, Pace{PerSecond: 10_000, Connections: 3, Window: 8}, now)
	s.Lures = c.Lures
	if s.Journal, err = OpenJournal(disk.OS{}, filepath.Join(c.Dir, "journal")); err != nil {
		return err
	}
	fmt.Println("open")
	return s.Run(context.Background())
}

// However often the sender is killed, at whatever moment: nobody is sent two
// notices, and everybody is known to have been sent one, to have been refused, to
// be without an address, or to be unclear.
func TestKillDuringNotices(t *testing.T) { killRounds(t, 4000, 60, false) }

func killRounds(t *testing.T, people, kills int, lures bool) {
	mail := newPost()
	addr, ca := serveWith(t, mail)
	dir := t.TempDir()
	d, err := openDesk(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var list []uint32
	for o := uint32(1); o <= uint32(people); o++ {
		list = append(list, o)
	}
	var number uint64
	if lures {
		number = d.campaign(t, people)
	} else {
		number = d.mailing(t, 7, list...)
	}
	d.stop()

	killed := 0
	c := child{Dir: dir, Lures: lures, Relay: Relay{Server: addr, TLS: "starttls", CA: ca}}
	for round := 0; ; round++ {
		c.Ahead += time.Hour
		text, _ := json.Marshal(c)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+string(text))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fscan(out, new(string)); err != nil {
			t.Fatal("the sender did not open:", err)
		}
		mail.mu.Lock()
		from := mail.all
		mail.mu.Unlock()
		// It is killed once the mail server has taken so many more, or, as often,
		// at any moment before.
		after, patience := from+1+rand.IntN(2*people/kills), time.Now().Add(time.Duration(5+rand.IntN(120))*time.Millisecond)
		over := round >= kills
		for {
			mail.mu.Lock()
			all := mail.all
			mail.mu.Unlock()
			if !over && (all >= after || time.Now().After(patience)) {
				break
			}
			if over && doneSending(t, dir, all, mail) {
				break
			}
			time.Sleep(200 * time.Microsecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
		killed++
		d, err := openDesk(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var s Status
		d.views.Read(func() { s = d.book.find(number).status() })
		open := len(d.book.Unfinished())
		d.stop()
		if over && s.State == Done && open == 0 {
			break
		}
		if round > 3*kills {
			t.Fatalf("after %d rounds the mailing is %s, with %v", round, s.State, s.Counts)
		}
	}

	d, err = openDesk(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	s := d.book.find(number).status()
	mail.mu.Lock()
	defer mail.mu.Unlock()
	lost := 0
	for _, o := range list {
		took, fate := mail.took[addressOf(o)], d.book.FateOf(number, o)
		if took > 1 {
			t.Errorf("%d was sent %d notices", o, took)
		}
		switch fate {
		case Taken:
			if took != 1 {
				t.Errorf("%d counts as taken, and the mail server took %d", o, took)
			}
		case Unclear:
			lost += 1 - took
		case Denied, Unsent:
			if took != 0 {
				t.Errorf("%d is %s, and the mail server took %d", o, fate, took)
			}
		default:
			t.Errorf("%d is forgotten: %s", o, fate)
		}
		if n := len(mail.ids[addressOf(o)]); n > 1 {
			t.Errorf("%d has %d Message-IDs", o, n)
		}
	}
	if s.Counts[Unclear] > uint64(killed*3) {
		t.Errorf("%d are unclear after %d kills: more than one for each of three connections", s.Counts[Unclear], killed)
	}
	if s.Counts[Unclear] == 0 && kills >= 50 || killed < kills-10 {
		t.Errorf("%d kills left %d unclear: the test hit nothing", killed, s.Counts[Unclear])
	}
	t.Logf("%d kills, %d people: %d taken, %d denied, %d unsent, %d unclear (of whom %d were never sent)", killed, people,
		s.Counts[Taken], s.Counts[Denied], s.Counts[Unsent], s.Counts[Unclear], lost)
}

// doneSending: nothing has come for a while, so that the last run may be over.
// The ledger is the child's; what it holds shows when it has ended.
func doneSending(t *testing.T, _ string, all int, mail *post) bool {
	t.Helper()
	quiet := time.Now().Add(300 * time.Millisecond)
	for time.Now().Before(quiet) {
		mail.mu.Lock()
		now := mail.all
		mail.mu.Unlock()
		if now != all {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return true
}
