package contain_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sekisho/contain"
	"sekisho/sekishotest/handtest"
)

// controller is a firewall of another make that is told by webhook. It takes
// what is signed, once for each identifier.
type controller struct {
	t      *testing.T
	mu     sync.Mutex
	ids    []string // of requests, taken or not
	taken  map[string]int
	state  map[string]any
	refuse int // how many requests to answer with 503, or to take without an answer
	*httptest.Server
}

const hookSecret = "a-secret-of-more-than-twenty-characters"

func newController(t *testing.T) *controller {
	c := &controller{t: t, taken: map[string]int{}, state: map[string]any{"egress": []string{}, "destinations": []string{}}}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *controller) serve(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		c.t.Error(err)
	}
	if want := contain.Sign([]byte(hookSecret), q.Header.Get(contain.HeaderTime), body); q.Header.Get(contain.HeaderSignature) != want {
		c.t.Errorf("%s %s is signed %q, not %q", q.Method, q.URL.Path, q.Header.Get(contain.HeaderSignature), want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.Method == "GET" {
		json.NewEncoder(w).Encode(c.state)
		return
	}
	var in struct {
		ID     string
		Egress []struct {
			Endpoint  string
			Addresses []netip.Prefix
		}
		Destinations []netip.Prefix
	}
	if err := json.Unmarshal(body, &in); err != nil {
		c.t.Errorf("%s: %v", body, err)
	}
	if in.ID != q.Header.Get(contain.HeaderID) || in.ID == "" {
		c.t.Errorf("identifier %q in the header, %q in the body", q.Header.Get(contain.HeaderID), in.ID)
	}
	c.ids = append(c.ids, in.ID)
	if c.refuse > 0 {
		if c.refuse--; c.refuse%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c.taken[in.ID]++ // taken, but the answer is lost
		panic(http.ErrAbortHandler)
	}
	c.taken[in.ID]++
	egress := []netip.Prefix{}
	for _, e := range in.Egress {
		egress = append(egress, e.Addresses...)
	}
	c.state = map[string]any{"egress": egress, "destinations": in.Destinations}
}

func (c *controller) hand(change func(*contain.WebhookHand)) contain.Hand {
	c.t.Helper()
	dir := c.t.TempDir()
	for name, text := range map[string]string{"secret": hookSecret + "\n", "ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	w := contain.WebhookHand{Name: "nac", URL: c.URL + "/contain", ReadBack: c.URL + "/contained", SecretFile: "secret", CA: "ca.pem", Egress: true, Destinations: true}
	if change != nil {
		change(&w)
	}
	conf := contain.Hands{Webhooks: []contain.WebhookHand{w}}
	if err := conf.Check(dir); err != nil {
		c.t.Fatal(err)
	}
	d, err := contain.NewDoor(conf, contain.Outfit{Ledger: "member-db", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.t.Fatal(err)
	}
	return d.Hands[0]
}

func TestWebhookKeepsTheContract(t *testing.T) {
	c := newController(t)
	handtest.Run(t, handtest.Case{
		Open: func(*testing.T) contain.Hand { return c.hand(nil) },
		Break: func(*testing.T) {
			c.mu.Lock()
			c.state["egress"] = []string{}
			c.mu.Unlock()
		},
	})
	blind := newController(t)
	handtest.Run(t, handtest.Case{Blind: true, Open: func(*testing.T) contain.Hand {
		return blind.hand(func(w *contain.WebhookHand) { w.ReadBack = "" })
	}})
}

// A request is sent until it is answered, with one identifier, by which whoever
// takes it knows it again; another life of sekisho sends the same one.
func TestWebhookSendsAtLeastOnce(t *testing.T) {
	c := newController(t)
	c.refuse = 3
	d := contain.Desired{Through: 7, Orders: []uint64{1}, Targets: []contain.Target{{Endpoint: "pc-1", Addresses: prefixes("10.0.0.1/32"), Cuts: 1, Orders: []uint64{1}}}}
	if err := c.hand(nil).Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	d.Through = 9
	if err := c.hand(nil).Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if len(c.ids) != 5 || len(c.taken) != 1 || c.taken[c.ids[0]] != 3 {
		t.Errorf("%d requests with %q, taken %v", len(c.ids), c.ids, c.taken)
	}
	d.Targets[0].Addresses = prefixes("10.0.0.2/32")
	if err := c.hand(nil).Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if len(c.taken) != 2 {
		t.Errorf("another state has no identifier of its own: %v", c.taken)
	}
}

// What it refuses is told, and not tried for ever; what never answers is not
// known.
func TestWebhookSaysWhatFailed(t *testing.T) {
	c := newController(t)
	h := c.hand(func(w *contain.WebhookHand) { w.URL += "-elsewhere" })
	c.Config.Handler = http.NotFoundHandler()
	if err := h.Apply(t.Context(), contain.Desired{}); err == nil || !strings.Contains(err.Error(), "404") || errors.Is(err, contain.ErrPartial) {
		t.Errorf("%v", err)
	}
	if _, err := h.Enforced(t.Context()); err == nil {
		t.Error("it can be read back")
	}
	for _, bad := range []contain.WebhookHand{
		{Name: "x", SecretFile: "s", URL: "http://example.com"}, {Name: "x", SecretFile: "s"}, {Name: "x", URL: "https://e"}, {Name: "a b", URL: "https://e", SecretFile: "s"},
		{Name: "x", SecretFile: "s", URL: "https://user:word@example.com"}, {Name: "gate", SecretFile: "s", URL: "https://e"},
	} {
		if err := (&contain.Hands{Webhooks: []contain.WebhookHand{bad}}).Check("/"); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
