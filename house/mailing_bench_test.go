package house

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho"
	"sekisho/catalog"
	"sekisho/demo"
	"sekisho/gate"
	"sekisho/sheet"
	"sekisho/tell"
)

// BenchmarkMailing goes the whole way with as many people as SEKISHO_BENCH_PEOPLE
// says: a store of them in a real PostgreSQL, the roster read from it, all of them
// copied out through the gate, an incident, its list frozen and approved, their
// addresses read by the house's own login, and letters given to a real mail server
// on this machine for as long as SEKISHO_BENCH_SENDING says. bench/mailing.sh runs
// it, and says what the figures mean.
func BenchmarkMailing(b *testing.B) {
	people, _ := strconv.Atoi(os.Getenv("SEKISHO_BENCH_PEOPLE"))
	if people == 0 {
		b.Skip("SEKISHO_BENCH_PEOPLE is not set: run bench/mailing.sh")
	}
	sending, err := time.ParseDuration(os.Getenv("SEKISHO_BENCH_SENDING"))
	must(b, err)
	dir := b.TempDir()
	os.Chmod(filepath.Dir(dir), 0o711)
	os.Chmod(dir, 0o711)
	ctx := b.Context()
	began := time.Now()
	step := func(what string) {
		fmt.Fprintf(os.Stderr, "%-34s %8.1f s   %5d MB resident, %d MB at most\n", what, time.Since(began).Seconds(), memoryOf(b, "VmRSS")>>20, memoryOf(b, "VmHWM")>>20)
		began = time.Now()
	}
	cluster, err := demo.StartCluster(ctx, demo.ClusterConfig{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{"fsync": "off"}})
	must(b, err)
	defer cluster.Stop()
	must(b, demo.FillBookings(ctx, cluster, demo.BookingsConfig{Rows: people, Passports: people / 866, Valid: people / 1819, Partner: people / 24, Seed: 2016}))
	step("the store is made")

	post := &counting{}
	var cat catalog.Config
	must(b, sheet.Read([]byte(demo.BookingsYAML), &cat))
	login := func(role string) gate.Login {
		_, err := cluster.Password(role)
		must(b, err)
		return gate.Login{User: role, PasswordFile: filepath.Join(dir, "postgres", "passwords", role)}
	}
	verifier, err := gate.MakeVerifier("open sesame")
	must(b, err)
	h, err := Open(ctx, Config{
		Name: "bookings", Data: filepath.Join(dir, "data"), Catalog: cat,
		Gate: gate.Config{
			Listen:     "127.0.0.1:0",
			Upstream:   gate.Upstream{Host: cluster.SocketDir(), Port: uint16(cluster.Port()), Database: demo.Bookings, Reader: login(demo.Reader)},
			Roles:      map[string]gate.Role{"batch": {Login: login(demo.Batch), Mode: "enforce"}},
			Principals: []gate.Principal{{Name: "svc.report", Role: "batch", Verifier: verifier}},
		},
		Tell: tell.Config{
			Company:   tell.Company{Name: "例", NameEn: "Example"},
			Mail:      tell.Mail{Relay: tell.Relay{Server: post.open(b), TLS: "none"}, From: "notice@example.jp", Pace: tell.Pace{PerSecond: 10_000}},
			Addresses: map[string]tell.Addresses{"customer": {Email: "email"}},
		},
	}, "/", Options{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	must(b, err)
	defer h.Close()
	must(b, h.OpenGate(ctx))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	serving, shut := context.WithCancel(ctx)
	defer shut()
	go h.Gate.Serve(serving, l)
	step("the house is open")

	must(b, h.ReadRosters(ctx, nil))
	step("the roster is read")

	host, port, _ := net.SplitHostPort(l.Addr().String())
	psql := exec.CommandContext(ctx, "psql", "-X", "-q", "-o", "/dev/null", fmt.Sprintf("host=%s port=%s dbname=%s user=svc.report sslmode=disable", host, port, demo.Bookings),
		"-c", "copy (select booking_no, name_kana, name_latin, address, email from travel.booking) to stdout")
	psql.Env = append(os.Environ(), "PGPASSWORD=open sesame")
	if out, err := psql.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	must(b, h.Settle(ctx))
	step("all are copied through the gate")

	var ends []string
	h.Views.Read(func() { ends = h.Trace.Terminals() })
	opened, err := h.Ledger.Append(ctx, &sekisho.IncidentOpened{By: 1, Endpoints: ends})
	must(b, err)
	must(b, h.Revise(ctx))
	must(b, h.Settle(ctx))
	step("the four numbers stand")

	o, same := h.Office, func(x, y uint32) bool { return x == y }
	text, err := o.Propose(ctx, tell.Key{Incident: opened.Seq, Form: "person", Language: "ja"}, 0, 1)
	must(b, err)
	must(b, o.Decide(ctx, text, "approved", "", 2, same))
	plan, err := o.Plan(ctx, opened.Seq, "worst-case", false)
	must(b, err)
	if plan.People != uint64(people) {
		b.Fatalf("the list has %d of %d people", plan.People, people)
	}
	step("a dry run")
	number, err := o.AskMailing(ctx, opened.Seq, "worst-case", false, "", 1)
	must(b, err)
	step("the list is frozen, and waits")
	must(b, o.DecideMailing(ctx, number, "approved", "", 2, same))
	queued := memoryOf(b, "VmRSS")

	on, stop := context.WithTimeout(ctx, sending)
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- h.SendNotices(on) }()
	from, at := uint64(0), time.Now()
	for tick := time.NewTicker(max(time.Second, sending/10)); on.Err() == nil; {
		select {
		case <-tick.C:
		case <-on.Done():
			continue
		}
		m, err := o.Mailing(number)
		must(b, err)
		if m.State == tell.Done {
			stop()
		}
		fmt.Fprintf(os.Stderr, "  %9d taken, %6.0f a second, %5d MB resident\n", m.Counts[tell.Taken], float64(m.Counts[tell.Taken]-from)/time.Since(at).Seconds(), memoryOf(b, "VmRSS")>>20)
		from, at = m.Counts[tell.Taken], time.Now()
	}
	must(b, <-sent)
	took := time.Since(began)
	must(b, h.Settle(ctx))
	m, err := o.Mailing(number)
	must(b, err)
	if got := post.came.Load(); got != m.Counts[tell.Taken] || got == 0 {
		b.Errorf("the mail server took %d letters, the ledger says %d", got, m.Counts[tell.Taken])
	}
	step("sending")
	b.ReportMetric(float64(m.Counts[tell.Taken])/took.Seconds(), "mails/s")
	b.ReportMetric(float64(queued)/1e6, "MB-queued")
	b.ReportMetric(float64(memoryOf(b, "VmRSS"))/1e6, "MB-after")
	b.ReportMetric(float64(memoryOf(b, "VmHWM"))/1e6, "MB-most")
}

// memoryOf is a figure of this process, in bytes: VmRSS now, VmHWM the most.
func memoryOf(b *testing.B, name string) (bytes uint64) {
	raw, err := os.ReadFile("/proc/self/status")
	must(b, err)
	_, rest, _ := strings.Cut(string(raw), name+":")
	fmt.Sscan(rest, &bytes)
	return bytes << 10
}

// counting is a mail server that reads every letter and keeps its number.
type counting struct{ came atomic.Uint64 }

func (c *counting) NewSession(*smtp.Conn) (smtp.Session, error) { return c, nil }
func (*counting) Mail(string, *smtp.MailOptions) error          { return nil }
func (*counting) Rcpt(string, *smtp.RcptOptions) error          { return nil }
func (*counting) Reset()                                        {}
func (*counting) Logout() error                                 { return nil }
func (c *counting) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	c.came.Add(1)
	return err
}

func (c *counting) open(b *testing.B) string {
	s := smtp.NewServer(c)
	s.Domain = "relay.example.jp"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }()
	b.Cleanup(func() { s.Close(); l.Close(); <-done })
	return l.Addr().String()
}
