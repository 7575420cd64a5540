package tell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sekisho"
	"sekisho/view"
)

// Sender sends mailings, at most one notice to each person.
//
// SMTP cannot promise exactly once: between the end of a letter and the mail
// server's answer there is a moment in which only the server knows (RFC 1047).
// So a window of people is durable (MailStarted) before the first of them is
// written to, and what became of each after (MailEnded). Where a crash leaves the
// one without the other the journal says how far the window came. Whose answer
// was awaited then, or when a connection ended, is unclear: nobody writes to them
// again until a person says so. Hence nobody has
// two notices, and nobody is forgotten: whoever is not unclear is known to have
// been written to, or waits.
type Sender struct {
	Append func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error) // durable on return
	Views  *view.Set
	Book   *Book // in Views
	Relay  Relay
	Pace   Pace
	// Journal narrows what a crash leaves unclear. nil: the whole of each window.
	Journal *Journal

	// Addresses gives the addresses of some people of a mailing, after it has
	// recorded that they are read. Who is not in the answer has none.
	Addresses func(ctx context.Context, m Status, subjects []uint32) (map[uint32]string, error)
	// Compose writes one person's letter, all but To.
	Compose func(ctx context.Context, m Status, subject uint32) (Letter, error)

	// Lures: it sends the campaigns of lures, and no notices. Their addresses are
	// read from the directory, before the relay is called.
	Lures bool
	// Refuses says why nothing may go to an address, as a MailUnsent has it; ""
	// for one that is good. It is asked before any connection. nil refuses none.
	Refuses func(address string) string
	// Open says whether mails of a mailing may go out at this time. nil: always.
	Open func(m Status, now time.Time) bool

	Now func() time.Time
	Log *slog.Logger
	// Idle is how long to wait when nobody can be written to. 0: a second.
	Idle time.Duration
}

// Pace is how fast mail goes out.
type Pace struct {
	// PerSecond is how many mails go out in a second, over all connections.
	// Default 20, or 1.7 million a day.
	PerSecond float64 `yaml:"per_second"`
	// Connections to the relay at once. Default 4.
	Connections int `yaml:"connections"`
	// Window is how many people stand in the ledger at once as being written to:
	// as many are unclear after a crash, for each connection. Default 20.
	Window int `yaml:"window"`
}

// Check fills in the defaults and names the first mistake.
func (p *Pace) Check() error {
	if p.PerSecond == 0 {
		p.PerSecond = 20
	}
	if p.Connections == 0 {
		p.Connections = 4
	}
	if p.Window == 0 {
		p.Window = 20
	}
	switch {
	case !(p.PerSecond > 0 && p.PerSecond <= 10_000):
		return fmt.Errorf("per_second %v: use a number up to 10000", p.PerSecond)
	case p.Connections < 1 || p.Connections > 100:
		return fmt.Errorf("connections %d: use 1 to 100", p.Connections)
	case p.Window < 1 || p.Window > 1000:
		return fmt.Errorf("window %d: use 1 to 1000", p.Window)
	}
	return nil
}

const (
	fetched    = 5000 // people whose addresses are read at a time
	mostDenied = 20   // letters refused for good, one after the other, after which a mailing is paused: it is not the people
	lingers    = 10 * time.Second
	troubled   = 30 * time.Second // to wait after the relay could not be used
)

// Run sends until ctx ends. Letters that are under way then are finished, for at
// most ten seconds. Call it when the views stand at the ledger's end.
func (s *Sender) Run(ctx context.Context) error {
	if err := s.Pace.Check(); err != nil {
		return err
	}
	if s.Idle == 0 {
		s.Idle = time.Second
	}
	if err := s.recover(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		sent := false
		for _, m := range s.sendable() {
			n, err := s.round(ctx, m)
			if err != nil && ctx.Err() == nil {
				s.Log.Error("sending notices; they wait and are tried again", "mailing", m.Number, "error", err)
				s.pause(ctx, troubled)
			}
			sent = sent || n > 0
		}
		if !sent {
			s.pause(ctx, s.Idle)
		}
	}
	return nil
}

func (s *Sender) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// recover closes the windows in the midst of which the last process ended: what
// became of their mails is not known, and is not tried again.
func (s *Sender) recover(ctx context.Context) error {
	var bodies []sekisho.Body
	people := 0
	s.Views.Read(func() {
		for _, seq := range s.Book.Unfinished() {
			mailing, window := s.Book.WindowOf(seq)
			if s.Book.isLures(mailing) != s.Lures {
				continue // another sender's
			}
			ended := s.remembered(seq, mailing, window)
			people += len(ended.Unclear)
			bodies = append(bodies, ended)
		}
	})
	if len(bodies) == 0 {
		return nil
	}
	id, err := s.Append(ctx, bodies...)
	if err != nil {
		return fmt.Errorf("recording mails that an earlier run left unclear: %w", err)
	}
	s.Log.Warn("an earlier run ended while mails were going out: whether these went out is unclear, a person decides", "people", people)
	return s.Views.WaitFor(ctx, id.Seq+uint64(len(bodies)-1))
}

// remembered is what is known of a window in the midst of which a process ended.
func (s *Sender) remembered(seq, mailing uint64, people []uint32) *sekisho.MailEnded {
	ended := &sekisho.MailEnded{Started: seq}
	known, whole := map[uint32]Fate{}, false
	if s.Journal != nil {
		known, whole = s.Journal.remember(mailing, people)
	}
	for _, o := range people {
		switch f, ok := known[o]; {
		case f == Taken:
			ended.Taken = append(ended.Taken, o)
		case f == Denied:
			ended.Denied = append(ended.Denied, o)
		case f == Later:
			ended.Later = append(ended.Later, o)
		case ok || !whole:
			ended.Unclear = append(ended.Unclear, o)
		}
	}
	return ended
}

func (s *Sender) sendable() (list []Status) {
	s.Views.Read(func() {
		for _, m := range s.Book.mailings {
			if m.state() == Sending && (m.lures != nil) == s.Lures {
				list = append(list, m.status())
			}
		}
	})
	return list
}

// sending: nobody has stopped the mailing meanwhile, and it is its time.
func (s *Sender) sending(m Status) (ok bool) {
	s.Views.Read(func() {
		of := s.Book.find(m.Number)
		ok = of != nil && of.state() == Sending
	})
	return ok && (s.Open == nil || s.Open(m, s.Now()))
}

// round writes to some people of a mailing, and is over when what became of all
// of them is in the views.
func (s *Sender) round(ctx context.Context, m Status) (sent int, err error) {
	var due, tired []uint32
	now := sekisho.At(s.Now())
	if m.Lures != nil && now >= m.Lures.Until { // who is left is not written to any more
		var late []uint32
		s.Views.Read(func() { late = s.Book.In(m.Number, 0, Waiting, Later) })
		if len(late) == 0 {
			return 0, nil
		}
		return len(late), s.record(ctx, &sekisho.MailUnsent{Mailing: m.Number, Why: "over", Subjects: late})
	}
	if s.Open != nil && !s.Open(m, s.Now()) {
		return 0, nil
	}
	s.Views.Read(func() {
		if of := s.Book.find(m.Number); of != nil {
			due, tired = of.due(now, fetched)
		}
	})
	if len(tired) > 0 {
		slices.Sort(tired)
		if err := s.record(ctx, &sekisho.MailUnsent{Mailing: m.Number, Why: "given_up", Subjects: tired}); err != nil {
			return 0, err
		}
	}
	if len(due) == 0 {
		return len(tired), nil
	}
	if s.Journal != nil { // every window is closed, durably
		if err := s.Journal.reset(); err != nil {
			return 0, err
		}
	}
	// One call first: where the relay cannot be reached no customer's address is
	// read. Lures: nobody is called before it is known that somebody may be
	// written to.
	var line *Line
	if !s.Lures {
		if line, err = Call(ctx, s.Relay); err != nil {
			return 0, err
		}
	}
	to, err := s.Addresses(ctx, m, due)
	if err != nil {
		err = fmt.Errorf("reading addresses: %w", err)
	} else {
		due, err = s.reachable(ctx, m, due, to)
	}
	if err != nil || len(due) == 0 {
		if line != nil {
			line.Close()
		}
		return 0, err
	}
	return s.windows(ctx, m, due, to, line)
}

// reachable records who cannot be written to, and gives the others.
func (s *Sender) reachable(ctx context.Context, m Status, due []uint32, to map[uint32]string) (good []uint32, err error) {
	unsent := map[string][]uint32{}
	for _, o := range due {
		a, why := to[o], ""
		switch {
		case a == "":
			why = "no_address"
		case !GoodAddress(a):
			why = "bad_address"
		case s.Refuses != nil:
			why = s.Refuses(a)
		}
		if why == "" {
			good = append(good, o)
		} else {
			unsent[why] = append(unsent[why], o)
		}
	}
	for why, list := range unsent {
		slices.Sort(list)
		if err := s.record(ctx, &sekisho.MailUnsent{Mailing: m.Number, Why: why, Subjects: list}); err != nil {
			return nil, err
		}
	}
	return good, nil
}

func (s *Sender) record(ctx context.Context, b sekisho.Body) error {
	id, err := s.Append(ctx, b)
	if err != nil {
		return fmt.Errorf("recording a mailing: %w", err)
	}
	return s.Views.WaitFor(ctx, id.Seq)
}

// A run is what the connections of a round share.
type run struct {
	*Sender
	mailing Status
	to      map[uint32]string

	mu     sync.Mutex
	rest   []uint32
	next   time.Time // when the next mail may go out
	denied int       // one after the other
	sent   int
	last   uint64 // entry
	err    error
}

// windows shares people out over the connections.
func (s *Sender) windows(ctx context.Context, m Status, due []uint32, to map[uint32]string, first *Line) (int, error) {
	r := &run{Sender: s, mailing: m, to: to, rest: due, next: time.Now()}
	var lines sync.WaitGroup
	for i := range min(s.Pace.Connections, max(1, (len(due)+s.Pace.Window-1)/s.Pace.Window)) {
		line := first
		if i > 0 {
			line = nil
		}
		lines.Go(func() {
			if err := r.connection(ctx, line); err != nil {
				r.mu.Lock()
				r.err = errors.Join(r.err, err)
				r.mu.Unlock()
			}
		})
	}
	lines.Wait()
	return r.sent, errors.Join(r.err, s.Views.WaitFor(ctx, r.last))
}

// connection takes window after window until nobody is left or something fails.
func (r *run) connection(ctx context.Context, line *Line) (err error) {
	defer func() {
		if line != nil {
			line.Close()
		}
	}()
	for ctx.Err() == nil && r.sending(r.mailing) {
		r.mu.Lock()
		n := min(len(r.rest), r.Pace.Window)
		if r.err != nil {
			n = 0
		}
		window := r.rest[:n:n]
		r.rest = r.rest[n:]
		r.mu.Unlock()
		if n == 0 {
			return nil
		}
		if line == nil {
			if line, err = Call(ctx, r.Relay); err != nil {
				return err
			}
		}
		usable, err := r.window(ctx, line, window)
		if err != nil {
			return err
		}
		if !usable {
			line.Close()
			line = nil
		}
	}
	return nil
}

// window writes to some people, one after the other. Before the first mail goes
// out it is durable that they may; when window returns it is durable what became
// of each. usable: the line can be used for more.
func (r *run) window(ctx context.Context, line *Line, people []uint32) (usable bool, err error) {
	var letters []Letter
	for _, o := range people {
		l, err := r.Compose(ctx, r.mailing, o)
		if err != nil {
			return false, fmt.Errorf("writing a notice: %w", err)
		}
		l.To = r.to[o]
		letters = append(letters, l)
	}
	if r.Journal != nil {
		if err := r.Journal.begin(r.mailing.Number, people); err != nil {
			return false, err
		}
	}
	id, err := r.Append(ctx, &sekisho.MailStarted{Mailing: r.mailing.Number, Subjects: people})
	if err != nil {
		return false, fmt.Errorf("recording that mails go out: %w", err)
	}
	// From here on the people are unclear to whoever opens the ledger, until the
	// MailEnded below is durable. What was begun is finished, within limits.
	finishing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-finishing.Done():
		case <-time.After(lingers):
			stop()
		}
	})()
	ended := &sekisho.MailEnded{Started: id.Seq}
	usable, trouble := r.letters(ctx, finishing, line, people, letters, ended)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		if id, err = r.Append(context.WithoutCancel(ctx), ended); err == nil {
			break
		}
		r.Log.Error("recording what became of mails; until then they are unclear", "mailing", r.mailing.Number, "error", err)
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(wait):
		}
	}
	r.mu.Lock()
	r.last, r.sent = max(r.last, id.Seq), r.sent+len(ended.Taken)+len(ended.Denied)+len(ended.Later)
	stopped := r.denied >= mostDenied
	r.mu.Unlock()
	if stopped {
		// Not these people but something about the mail, or the relay, is wrong.
		var pause sekisho.Body = &sekisho.MailingDecided{Mailing: r.mailing.Number, Action: "paused"}
		if r.Lures {
			pause = &sekisho.LureDecided{Campaign: r.mailing.Number, Action: "paused"}
		}
		err := r.record(ctx, pause)
		return false, errors.Join(fmt.Errorf("%d letters one after the other were refused for good: the mailing is paused", mostDenied), err)
	}
	return usable, trouble
}

// letters sends until one fails in a way that is not its own.
func (r *run) letters(ctx, finishing context.Context, line *Line, people []uint32, letters []Letter, ended *sekisho.MailEnded) (usable bool, trouble error) {
	for i, o := range people {
		if !r.turn(ctx) {
			return true, nil
		}
		if r.Journal != nil {
			if err := r.Journal.going(r.mailing.Number, o); err != nil {
				return true, err
			}
		}
		err := line.Send(finishing, letters[i])
		no := (*Refusal)(nil)
		refused := errors.As(err, &no)
		r.mu.Lock()
		if refused && no.Permanent() {
			r.denied++
		} else if err == nil {
			r.denied = 0
		}
		tooMany := r.denied >= mostDenied
		r.mu.Unlock()
		if r.Journal != nil && (err == nil || refused && !no.OfSender) {
			fate := Taken
			if refused && no.Permanent() {
				fate = Denied
			} else if refused {
				fate = Later
			}
			if err := r.Journal.answered(r.mailing.Number, o, fate); err != nil {
				r.Log.Error("noting an answer; a crash now would leave it unclear", "error", err)
			}
		}
		switch {
		case err == nil:
			ended.Taken = append(ended.Taken, o)
		case refused && no.OfSender:
			return false, err
		case refused && no.Permanent():
			ended.Denied = append(ended.Denied, o)
		case refused:
			ended.Later = append(ended.Later, o)
			if no.Code == 421 { // it hangs up: RFC 5321, 3.8
				return false, nil
			}
		case errors.Is(err, ErrNotTaken):
			return false, err
		default:
			ended.Unclear = append(ended.Unclear, o)
			return false, err
		}
		if tooMany {
			return true, nil
		}
	}
	return true, nil
}

// turn waits until the next mail may go out; not for one who leaves.
func (r *run) turn(ctx context.Context) bool {
	r.mu.Lock()
	now := time.Now()
	if r.next.Before(now.Add(-time.Second)) {
		r.next = now // time that was not used is not made up for
	}
	wait := r.next.Sub(now)
	r.next = r.next.Add(time.Duration(float64(time.Second) / r.Pace.PerSecond))
	r.mu.Unlock()
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
