package gate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/permit"
	"sekisho/vault"
)

// Every record that any client has received is in the ledger, whenever the
// gate dies. The gate is a process of its own, which the test kills again and
// again; the clients live on and remember what they have read.

const (
	crashDir = "SEKISHO_TEST_CRASH_DIR"
	kills    = 100
)

// gateToBeKilled is the child process: it prints its address, and serves until
// it dies.
func gateToBeKilled(dir string) {
	check := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	var conf Config
	b, err := os.ReadFile(filepath.Join(dir, "gate.json"))
	check(err)
	check(json.Unmarshal(b, &conf))
	v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: [32]byte{1}})
	check(err)
	l, err := ledger.Open(crashLedger(dir, v))
	check(err)
	// What the vault gave out and the ledger does not know, because the last
	// life ended between the two, is announced now, as the house does.
	highest := map[string]uint32{}
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(dir, "ledger"), 0) {
		check(err)
		if a, ok := e.Body.(*sekisho.Assigned); ok {
			highest[a.Space] = max(highest[a.Space], a.First+a.Count-1)
		}
	}
	check(v.Reconcile(highest))
	fromLedger(&conf, func() *permit.Book {
		b := permit.New()
		for e, err := range ledger.Read(disk.OS{}, filepath.Join(dir, "ledger"), 0) {
			check(err)
			b.Apply(&e)
		}
		return b
	})
	g, err := New(context.Background(), conf, testCatalog(), l, v, slog.New(slog.DiscardHandler))
	check(err)
	door, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(door.Addr())
	check(g.Serve(context.Background(), door))
}

func crashLedger(dir string, v *vault.Vault) ledger.Config {
	return ledger.Config{Dir: filepath.Join(dir, "ledger"), FS: disk.OS{}, Gate: 1, Name: "test", Now: time.Now, Before: v.Flush, BeforeWaits: v.Unsettled, SegmentBytes: 256 << 10, Log: slog.New(slog.DiscardHandler)}
}

// A receipt is what one client has read during one life of the gate.
type receipt struct {
	life int
	keys []string
}

func TestKilledAtAnyInstant(t *testing.T) {
	h := newHouse(t)
	h.lends()
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	var receipts []receipt
	for life := 1; life <= kills; life++ {
		cmd := h.begins(life)
		var mu sync.Mutex
		var clients sync.WaitGroup
		reading := make(chan bool, 8)
		for c := range 4 {
			seed := rng.Uint64()
			clients.Go(func() {
				keys := h.reads(c, seed, reading)
				mu.Lock()
				defer mu.Unlock()
				receipts = append(receipts, receipt{life, keys})
			})
		}
		<-reading
		time.Sleep(time.Duration(rng.IntN(60_000)) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		clients.Wait()
	}

	// What the house finds when it is opened again.
	v, err := vault.Open(vault.Config{Dir: filepath.Join(h.dir, "vault"), FS: disk.OS{}, Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	l, err := ledger.Open(crashLedger(h.dir, v))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ledger.Verify(disk.OS{}, filepath.Join(h.dir, "ledger"), nil); err != nil {
		t.Error(err)
	}
	h.vault = v
	first := uint64(0)
	named := map[uint64]map[string]bool{}
	for _, e := range h.entries() {
		if _, ok := e.Body.(*sekisho.LedgerOpened); ok && first == 0 {
			first = e.ID.Epoch + 1 // the house that only lent its database was the first
		}
		if b, ok := e.Body.(*sekisho.Access); ok {
			life := e.ID.Epoch - first + 1
			if named[life] == nil {
				named[life] = map[string]bool{}
			}
			for _, o := range b.Subjects {
				k, ok := v.Space("member").Key(o)
				if !ok {
					t.Fatalf("entry %v names ordinal %d, which the vault does not know", e.ID, o)
				}
				named[life][k] = true
			}
		}
	}
	got := 0
	for _, r := range receipts {
		for _, k := range r.keys {
			got++
			if !named[uint64(r.life)][k] {
				t.Errorf("in life %d a client received member %s, and the ledger does not say so", r.life, k)
			}
		}
	}
	t.Logf("%d kills, %d records received, each in the ledger", kills, got)
	if got < kills {
		t.Errorf("only %d records were received in all", got)
	}
}

// lends stops the house: only its database and its config are needed, by gates
// that are processes of their own.
func (h *house) lends() {
	h.t.Helper()
	h.stop()
	b, err := json.Marshal(h.gate.conf)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "gate.json"), b, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// begins starts such a gate.
func (h *house) begins(life int) *exec.Cmd {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), crashDir+"="+h.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line[0] == 'f' {
		h.t.Fatalf("life %d does not begin: %s%v", life, line, err)
	}
	h.addr = line[:len(line)-1]
	return cmd
}

// reads is one client's life: it reads members at random until the gate dies,
// and gives the keys of those whose names it has received.
func (h *house) reads(number int, seed uint64, reading chan<- bool) (keys []string) {
	ctx := context.Background()
	said := func() {
		select {
		case reading <- true:
		default: // it has been said often enough
		}
	}
	defer said()
	conn, err := pgx.Connect(ctx, h.dsn("sato"))
	if err != nil {
		return nil
	}
	defer conn.Close(ctx)
	mode := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol}[number%2]
	rng := rand.New(rand.NewPCG(seed, 0))
	for {
		from := 1001 + rng.IntN(990)
		rows, err := conn.Query(ctx, "select name from crm.member where member_no between $1 and $2", mode, from, from+rng.IntN(1+rng.IntN(200)))
		if err != nil {
			return keys
		}
		for rows.Next() {
			keys = append(keys, named(string(rows.RawValues()[0]))...)
		}
		if rows.Err() != nil {
			return keys
		}
		said()
	}
}
