package lease

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/budget"
)

// A Borrower asks the issuer for shares, for one gate.
type Borrower struct {
	conf Config
	o    Outfit
	send func(context.Context, *Question) (*Answer, error)
	id   string // of this process

	asking sync.Mutex // one question at a time
	number uint64

	mu     sync.Mutex
	last   State
	failed uint64 // Clock when the issuer was last not reached; 0: it was
	wanted map[budget.Claim]bool
	lasts  uint64 // seconds
}

// A State is how things stand with the issuer.
type State struct {
	Issuer  uint32       `json:"issuer"`
	Name    string       `json:"name"`
	Address string       `json:"address"`
	Reached sekisho.Time `json:"reached,omitempty"` // when it last answered, since this start
	Error   string       `json:"error,omitempty"`   // why it does not; empty: it does
}

// NewBorrower makes a gate's side. conf was checked.
func NewBorrower(conf Config, o Outfit) (*Borrower, error) {
	secured, err := channel(conf, false, o.Now)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: secured, TLSHandshakeTimeout: patience, ResponseHeaderTimeout: patience, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	b := newBorrower(conf, o)
	b.send = func(ctx context.Context, q *Question) (*Answer, error) { return b.post(ctx, client, q) }
	return b, nil
}

func newBorrower(conf Config, o Outfit) *Borrower {
	return &Borrower{conf: conf, o: o, id: rand.Text(), lasts: uint64(conf.Lasts / time.Second),
		last: State{Issuer: conf.From.Number, Name: conf.From.Name, Address: conf.From.Address, Error: "not asked yet"}}
}

// patience is how long a question may take: a client waits for it in the middle
// of an answer.
const patience = 3 * time.Second

func (b *Borrower) post(ctx context.Context, client *http.Client, q *Question) (*Answer, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+b.conf.From.Address+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.GetBody = nil // a question is put once, never again by itself
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if name, err := nameIn(answer.TLS); err != nil || name != b.conf.From.Name {
		return nil, fmt.Errorf("at %s stands somebody else than %s (leases.from.name)", b.conf.From.Address, b.conf.From.Name)
	}
	if err := counts(b.conf.CRL, *answer.TLS, b.o.Now()); err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return nil, fmt.Errorf("the issuer refuses (%d): %s", answer.StatusCode, strings.TrimSpace(string(said)))
	}
	return readAnswer(answer.Body)
}

// Ask asks for what an account lacks. nil: the account may spend again. Else it
// may have nothing more now, and the error is one of budget's, or the issuer's own
// reason. What was granted is durable when it returns.
func (b *Borrower) Ask(ctx context.Context, ask budget.Ask) error {
	if b.away() {
		return fmt.Errorf("%w: %s", budget.ErrUnreached, b.State().Error)
	}
	b.asking.Lock()
	defer b.asking.Unlock()
	ask, lacks := b.o.Book.Fresh(ask)
	if !lacks {
		return nil
	}
	if b.away() {
		return fmt.Errorf("%w: %s", budget.ErrUnreached, b.State().Error)
	}
	shares, err := b.put(ctx, []budget.Ask{ask})
	if err != nil {
		return err
	}
	switch s := shares[0]; {
	case s.Refused != "":
		return errors.New(s.Refused)
	case s.Share >= ask.Used+ask.Need:
		return nil
	case s.Idle > 0:
		return budget.ErrIdle
	}
	return budget.ErrSpent
}

// away: the issuer was not there a moment ago, and whoever keeps looking for it
// has not found it since. So a client does not wait for nothing.
func (b *Borrower) away() bool {
	_, since := b.o.Clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed != 0 && since-b.failed < uint64(2*b.conf.Every/time.Microsecond)
}

// put puts one question and takes what is granted. The lock is held: nothing else
// changes what the gate holds between the asks' making and the answer.
func (b *Borrower) put(ctx context.Context, asks []budget.Ask) ([]Share, error) {
	b.number++
	boot, before := b.o.Clock()
	asked := b.o.Now()
	q := &Question{Gate: b.o.Number, Epoch: b.o.Book.Epoch(), Instance: b.id, Number: b.number, Asks: asks}
	a, err := b.send(ctx, q)
	if err == nil && (a.Issuer != b.conf.From.Number || a.Epoch != q.Epoch || a.Instance != q.Instance || a.Number != q.Number || len(a.Shares) != len(asks) || a.Seconds == 0 || a.Seconds > 90_000) {
		err = errors.New("the answer is to another question, or of another gate (leases.from.number)")
	}
	if err != nil {
		b.mu.Lock()
		fresh := b.failed == 0
		_, b.failed = b.o.Clock()
		b.last.Error = err.Error()
		b.mu.Unlock()
		if fresh {
			b.o.Log.Error("the issuer of budget shares cannot be reached: this gate spends what it has, and then refuses", "issuer", b.conf.From.Address, "error", err)
		}
		return nil, fmt.Errorf("%w: %w", budget.ErrUnreached, err)
	}
	b.mu.Lock()
	if b.failed != 0 || b.last.Reached == 0 {
		b.o.Log.Info("the issuer of budget shares answers", "issuer", b.conf.From.Address)
	}
	b.failed, b.last.Error, b.last.Reached, b.lasts = 0, "", sekisho.At(b.o.Now()), a.Seconds
	b.wanted = map[budget.Claim]bool{}
	for _, c := range a.Wanted {
		b.wanted[c] = true
	}
	b.mu.Unlock()
	var bodies []sekisho.Body
	for i, s := range a.Shares {
		if s.Refused != "" {
			b.o.Log.Error("the issuer grants no share of a budget", "budget", asks[i].Budget, "reason", s.Refused)
			continue
		}
		if s.Share != asks[i].Holds || asks[i].Renew {
			bodies = append(bodies, &sekisho.LeaseTaken{Issuer: a.Issuer, Whose: asks[i].Whose, Share: s.Share, Boot: boot,
				Ends: before + a.Seconds*1e6, Until: sekisho.At(asked.Add(time.Duration(a.Seconds) * time.Second))})
		}
	}
	if len(bodies) > 0 {
		if err := b.o.Record(context.WithoutCancel(ctx), bodies...); err != nil {
			return nil, fmt.Errorf("recording shares of budgets: %w", err)
		}
	}
	for i, s := range a.Shares {
		if s.Refused == "" {
			b.o.Book.Told(asks[i].Whose)
		}
	}
	return a.Shares, nil
}

// Look gives back what the gate does not need, renews what it does, and sees
// whether the issuer is there.
func (b *Borrower) Look(ctx context.Context) error {
	b.asking.Lock()
	defer b.asking.Unlock()
	b.mu.Lock()
	wanted, lasts := b.wanted, b.lasts
	b.mu.Unlock()
	asks, lowered := b.o.Book.Due(sekisho.At(b.o.Now()), lasts, func(c budget.Claim) bool { return wanted[c] })
	if len(lowered) > 0 {
		var bodies []sekisho.Body
		for _, e := range lowered {
			e.Issuer = b.conf.From.Number
			bodies = append(bodies, e)
		}
		if err := b.o.Record(ctx, bodies...); err != nil {
			return fmt.Errorf("recording that shares of budgets are given back: %w", err)
		}
	}
	for {
		some := asks[:min(len(asks), mostAsks/4)]
		asks = asks[len(some):]
		if _, err := b.put(ctx, some); err != nil || len(asks) == 0 {
			return err
		}
	}
}

// Keep looks until ctx ends.
func (b *Borrower) Keep(ctx context.Context) {
	tick := time.NewTicker(b.conf.Every)
	defer tick.Stop()
	for {
		b.Look(ctx) // what fails is in State, and in the log once
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// State is how things stand.
func (b *Borrower) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// Knock looks whether the issuer would answer this gate, and has the same
// budgets: it asks for nothing, in no epoch, which changes nothing. It is for
// whoever checks a config.
func Knock(ctx context.Context, c Config, number uint32, budgets budget.Config) error {
	b, err := NewBorrower(c, Outfit{Number: number, Now: time.Now})
	if err != nil {
		return err
	}
	a, err := b.send(ctx, &Question{Gate: number, Instance: b.id})
	if err != nil || a.Budgets == nil {
		return err
	}
	return differ(termsOf(budgets), a.Budgets)
}
