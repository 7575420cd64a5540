package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho"
	"sekisho/disk"
	"sekisho/tell"
)

// lureBox is a mail server that keeps which letters went to whom.
type lureBox struct {
	mu  sync.Mutex
	ids map[string][]string // by address: Message-IDs
	all int
}

type lureBoxSession struct {
	b  *lureBox
	to string
}

func (b *lureBox) NewSession(*smtp.Conn) (smtp.Session, error)      { return &lureBoxSession{b: b}, nil }
func (s *lureBoxSession) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *lureBoxSession) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *lureBoxSession) Reset()                                    {}
func (s *lureBoxSession) Logout() error                             { return nil }
func (s *lureBoxSession) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, m.Body); err != nil {
		return err
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.ids[s.to] = append(s.b.ids[s.to], m.Header.Get("Message-ID"))
	s.b.all++
	return nil
}

func (b *lureBox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all
}

// wholeWay sends a campaign through a real mail server, with a sender that is
// stopped at random and begun again, and then has its pages visited: three of
// four follow the link, one of six types into the form, one of five reports. say
// hears how long each step took.
func wholeWay(t testing.TB, people, stops int, say func(what string, n int, took time.Duration)) {
	h := newHouse(t)
	l := h.withLures()
	box := &lureBox{ids: map[string][]string{}}
	relay := smtp.NewServer(box)
	relay.Domain, relay.ErrorLog = "relay.example.jp", slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go relay.Serve(listener)
	t.Cleanup(func() { relay.Close() })
	l.Config.Relay = tell.Relay{Server: listener.Addr().String(), TLS: "none"}
	l.Config.Pace = tell.Pace{PerSecond: 10_000, Connections: 4, Window: 20}
	names := make([]string, people)
	readers := make([]tell.Reader, people)
	for n := range readers {
		names[n] = fmt.Sprintf("person-%05d", n)
		readers[n] = tell.Reader{Staff: h.staff(names[n]), Department: uint32(n%40 + 1)}
	}
	l.Readers = func(sekisho.Time) []tell.Reader { return readers }
	now := h.clock.now()
	began := time.Now()
	n, err := l.Ask(t.Context(), tell.LureAsk{Title: "秋の訓練", Lures: []string{"password-expiry", "parcel"}, From: now, Until: now.AddDate(0, 0, 14), Opens: "00:00", Closes: "24:00", Days: []int{0, 1, 2, 3, 4, 5, 6}, Reason: "年間計画", Seed: 5}, h.staff("training"))
	must(t, err)
	must(t, l.Decide(t.Context(), n, "approved", "", h.staff("ciso"), func(a, b uint32) bool { return a == b }))
	say("queued", people, time.Since(began))
	h.clock.pass(14*24*time.Hour - time.Second) // everybody's time has come
	began = time.Now()
	chance := rand.New(rand.NewPCG(5, 5))
	file := filepath.Join(t.TempDir(), "journal")
	for run := 0; ; run++ {
		j, err := tell.OpenJournal(disk.OS{}, file)
		must(t, err)
		s := l.Sender(j)
		s.Idle, s.Log = 5*time.Millisecond, slog.New(slog.DiscardHandler)
		ctx, stop := context.WithCancel(t.Context())
		until := people // taken by the server when the sender is stopped
		if run < stops {
			until = min(people, box.count()+1+chance.IntN(max(1, 2*people/max(1, stops))))
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		done := func() bool {
			c, err := l.Campaign(n)
			must(t, err)
			return c.State == tell.Done
		}
		for box.count() < until || run >= stops && !done() {
			if done() {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		stop()
		<-ended
		j.Close()
		if h.settle(); done() {
			break
		}
		// What a stop left unclear a person decides on: the mail server's log tells.
		var unclear []uint32
		h.views.Read(func() { unclear = l.Book.In(n, 0, tell.Unclear) })
		if len(unclear) > 0 {
			_, err := l.Settle(t.Context(), n, "sent", "as the server's log says", h.staff("ciso"))
			must(t, err)
		}
	}
	say("sent", people, time.Since(began))
	twice, missing := 0, 0
	for _, name := range names {
		switch k := len(box.ids[name+"@example.jp"]); {
		case k > 1:
			twice++
		case k == 0:
			missing++
		}
	}
	if twice > 0 || missing > stops*l.Config.Pace.Window*l.Config.Pace.Connections {
		t.Errorf("%d people have more than one mail, %d have none", twice, missing)
	}
	say("without a mail, settled by hand", missing, 0)

	door, err := NewLureDoor(l, slog.New(slog.DiscardHandler))
	must(t, err)
	pages := httptest.NewServer(door.Handler())
	defer pages.Close()
	h.clock.pass(time.Minute)
	began = time.Now()
	var all sync.WaitGroup
	jobs := make(chan int)
	visits, clicked, typed, reported := make([]int, 16), make([]int, 16), make([]int, 16), make([]int, 16)
	for w := range 16 {
		all.Go(func() {
			// Offices stand behind addresses of their own.
			client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(w+1))}}).DialContext}}
			ask := func(method, path string, form url.Values) {
				for {
					r, err := http.NewRequest(method, pages.URL+path, strings.NewReader(form.Encode()))
					must(t, err)
					r.Header.Set("User-Agent", "Mozilla/5.0 Firefox/140")
					r.Header.Set("Accept-Language", "ja")
					if form != nil {
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					}
					a, err := client.Do(r)
					must(t, err)
					io.Copy(io.Discard, a.Body)
					a.Body.Close()
					visits[w]++
					if a.StatusCode != http.StatusTooManyRequests && a.StatusCode != http.StatusServiceUnavailable {
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
			for i := range jobs {
				ids := box.ids[names[i]+"@example.jp"]
				if len(ids) == 0 {
					continue
				}
				token, _, _ := strings.Cut(strings.Trim(ids[0], "<>"), "@")
				if i%4 != 0 {
					ask("GET", "/p/"+token, nil)
					ask("POST", "/h/"+token, url.Values{})
					clicked[w]++
					if i%6 == 1 {
						ask("POST", "/p/"+token, url.Values{"typed": {"yes"}})
						typed[w]++
					}
				}
				if i%5 == 0 {
					drill, err := l.Report(t.Context(), readers[i].Staff, []byte("Message-ID: "+ids[0]))
					if err != nil || !drill {
						t.Errorf("a report of %s: %v, %v", names[i], drill, err)
					}
					reported[w]++
				}
			}
		})
	}
	for i := range names {
		jobs <- i
	}
	close(jobs)
	all.Wait()
	h.settle()
	sum := func(list []int) (n int) {
		for _, k := range list {
			n += k
		}
		return n
	}
	say("requests to the pages, and reports", sum(visits)+sum(reported), time.Since(began))
	began = time.Now()
	r, err := l.Result(n)
	must(t, err)
	say("added up", r.Deeds, time.Since(began))
	follow := r.Whole.Did["clicked"]["human"] + r.Whole.Did["clicked"]["uncertain"] + r.Whole.Did["clicked"]["machine"]
	if follow != sum(clicked) || r.Whole.Reported != sum(reported) || r.Whole.Mailed != people {
		t.Errorf("%d mailed, %d followed and %d reported, want %d, %d and %d", r.Whole.Mailed, follow, r.Whole.Reported, people, sum(clicked), sum(reported))
	}
	say(fmt.Sprintf("followed; %d typed, %d reported", r.Whole.Did["typed"]["human"]+r.Whole.Did["typed"]["uncertain"], r.Whole.Reported), follow, 0)
}

// A drill goes the whole way: through a mail server, stopped and resumed, and
// over the pages to which the links lead. Nobody has two mails, and every visit
// and report is counted once.
func TestADrillGoesTheWholeWay(t *testing.T) {
	wholeWay(t, 240, 3, func(string, int, time.Duration) {})
}

// BenchmarkDrill is the same with as many people as SEKISHO_BENCH_PEOPLE says,
// stopped 40 times. bench/drill.sh runs it.
func BenchmarkDrill(b *testing.B) {
	people := 0
	if fmt.Sscan(os.Getenv("SEKISHO_BENCH_PEOPLE"), &people); people == 0 {
		b.Skip("SEKISHO_BENCH_PEOPLE is not set: run bench/drill.sh")
	}
	wholeWay(b, people, 40, func(what string, n int, took time.Duration) {
		fmt.Fprintf(os.Stderr, "%-44s %8d %8.1f s\n", what, n, took.Seconds())
	})
}
