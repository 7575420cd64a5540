package contain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Nftables enforces a fence on the machine it runs on, by a table of its own.
// It is the hand itself where sekisho stands on the router, and the heart of
// the router's agent where it does not.
type Nftables struct {
	name, place string
	nft         string
	plan        plan

	mu    sync.Mutex
	frame []string // how nft on this machine shows our table, without elements; nil: not asked yet
	last  *Fence   // what Apply was given last; nil before
	kin   kin      // what was added to it
	// neighbours tells of the machines on links. A field for tests of machines
	// that lie.
	neighbours func() ([]neighbour, error)
}

// NewNftables reads what the firewall is told. Nothing is changed yet. name is
// the hand's, place the machine's; nft is the program, or empty for the one in
// the usual places.
func NewNftables(name, place, nft string, r Router) (*Nftables, error) {
	p, err := r.reading()
	if err != nil {
		return nil, err
	}
	if nft == "" {
		nft = "nft"
		for _, usual := range []string{"/usr/sbin/nft", "/sbin/nft"} {
			if _, err := exec.LookPath(usual); err == nil {
				nft = usual
				break
			}
		}
	}
	return &Nftables{name: name, place: place, nft: nft, plan: p, neighbours: neighbours}, nil
}

func (n *Nftables) Name() string  { return n.name }
func (n *Nftables) Place() string { return n.place }
func (n *Nftables) Does() Does    { return DoesEgress | DoesDestinations }

// Apply brings the firewall to d. See Hand.
func (n *Nftables) Apply(ctx context.Context, d Desired) error { return n.Fence(ctx, d.Fence()) }

// Fence brings the firewall to f, in one transaction of the kernel's, and reads
// it back. What is right already is not touched.
func (n *Nftables) Fence(ctx context.Context, f Fence) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fence(ctx, f, n.kinOf(f))
}

// fence, with the lock held.
func (n *Nftables) fence(ctx context.Context, f Fence, k kin) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("containing at the router: %w", err)
	}
	want := n.plan.sets(f, k)
	if err := n.learnFrame(ctx); err != nil {
		return err
	}
	have, err := n.list(ctx)
	var commands []node
	switch {
	case errors.Is(err, errNoTable), err == nil && !sameBut(have.frame, n.frame, true):
		commands = n.plan.whole(want)
	case err != nil:
		return err
	case !sameBut(have.frame, n.frame, false):
		commands = append(n.plan.refill(), n.plan.change(have.sets, want)...)
	default:
		commands = n.plan.change(have.sets, want)
	}
	if len(commands) > 0 {
		if _, err := n.run(ctx, script(commands), "-j", "-f", "-"); err != nil {
			return fmt.Errorf("changing the firewall: %w", err)
		}
		if have, err = n.list(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrPartial, err)
		}
		if !slices.Equal(have.frame, n.frame) || len(otherwise(have.sets, want)) > 0 {
			return fmt.Errorf("changing the firewall: %w: read back it is not what was written: %s", ErrPartial, strings.Join(otherwise(have.sets, want), ", "))
		}
	}
	n.last, n.kin = &f, k
	return nil
}

// Codes of what an Nftables finds wrong.
const (
	FaultNoTable   = "no_table"      // the table is gone: nothing is cut
	FaultRules     = "rules_changed" // its chains or rules are not ours: nobody can say what is cut
	FaultOpened    = "widened"       // what stays open is more, or less, than was told
	FaultKin       = "kin"           // other addresses of contained machines are not contained
	FaultOffloaded = "offloaded"     // a flowtable of this machine lets connections that exist pass by every rule
	FaultBlind     = "unreadable"    // an agent could not look
)

// Enforced reads the kernel's table. See Hand.
func (n *Nftables) Enforced(ctx context.Context) (Observed, error) {
	o, _, err := n.observe(ctx)
	return o, err
}

func (n *Nftables) observe(ctx context.Context) (o Observed, refused uint64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.learnFrame(ctx); err != nil {
		return o, 0, err
	}
	have, err := n.list(ctx)
	if errors.Is(err, errNoTable) {
		if n.last != nil {
			o.Faults = []string{FaultNoTable}
		}
		return o, 0, nil
	}
	if err != nil {
		return o, 0, err
	}
	if !slices.Equal(have.frame, n.frame) {
		return Observed{Faults: []string{FaultRules}}, have.refused, nil
	}
	var strange, also int
	o.Egress, strange = have.prefixesOf(hosts4, nets4, hosts6, nets6)
	o.Destinations, also = have.prefixesOf(hostile4, hostileNets4, hostile6, hostileNets6)
	if strange+also > 0 {
		o.Faults = append(o.Faults, FaultRules)
	}
	if n.last != nil {
		// A set of intervals holds no prefix that another covers. Whether what was
		// asked for is covered is asked of what stands in the kernel.
		o.Egress = withCovered(o.Egress, n.last.Egress)
		o.Destinations = withCovered(o.Destinations, n.last.Destinations)
		for _, name := range otherwise(have.sets, n.plan.sets(*n.last, n.kin)) {
			switch name {
			case hosts4, hosts6, nets4, nets6, hostile4, hostile6, hostileNets4, hostileNets6: // compared above
			case kin4, kin6, macs, links:
				o.Faults = append(o.Faults, FaultKin)
			default:
				// Who has widened what is inside has let somebody out: then nothing is
				// proven to be cut.
				o.Egress, o.Faults = nil, append(o.Faults, FaultOpened)
			}
		}
		slices.Sort(o.Faults)
		o.Faults = slices.Compact(o.Faults)
	}
	// A contained machine that has got one more address is no fault of anybody's.
	if k := n.kinOf(n.lastFence()); len(o.Faults) == 0 && !k.same(n.kin) {
		if err := n.fence(ctx, n.lastFence(), k); err != nil {
			o.Faults = append(o.Faults, FaultKin)
		}
	}
	if n.offloads(ctx) {
		o.Faults = append(o.Faults, FaultOffloaded)
	}
	return o, have.refused, nil
}

func (n *Nftables) lastFence() Fence {
	if n.last == nil {
		return Fence{}
	}
	return *n.last
}

// withCovered adds to what was found in the kernel those of asked that one of
// its prefixes covers.
func withCovered(found, asked []netip.Prefix) []netip.Prefix {
	var wide []netip.Prefix
	for _, p := range found {
		if !p.IsSingleIP() {
			wide = append(wide, p)
		}
	}
	if len(wide) == 0 {
		return found
	}
	for _, p := range asked {
		if !p.IsSingleIP() && covered(wide, p) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, comparePrefixes)
	return slices.Compact(found)
}

// offloads says whether the machine has a flowtable. What cannot be asked is
// answered by the rest.
func (n *Nftables) offloads(ctx context.Context) bool {
	text, err := n.run(ctx, nil, "-j", "list", "flowtables")
	return err == nil && bytes.Contains(text, []byte(`"flowtable"`))
}

func (n *Nftables) list(ctx context.Context) (*listing, error) {
	text, err := n.run(ctx, nil, "-j", "list", "table", "inet", n.plan.table)
	if err != nil {
		if strings.Contains(err.Error(), "No such file or directory") && !errors.Is(err, exec.ErrNotFound) {
			return nil, errNoTable
		}
		return nil, fmt.Errorf("reading the firewall: %w", err)
	}
	return readListing(text)
}

// learnFrame has nft load our table, empty, into a network of its own that ends
// with the question, and keeps how it shows it. So versions of nft that write
// the same rule in different words are compared with themselves, and a table
// that the kernel or nft would refuse is found out before the real one is
// touched.
func (n *Nftables) learnFrame(ctx context.Context) error {
	if n.frame != nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		// The thread is not given back: it ends with this goroutine, and its network
		// with it.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("making a network to try the rules in: %w: the agent needs CAP_SYS_ADMIN and CAP_NET_ADMIN", err)
			return
		}
		if _, err := n.run(ctx, script(n.plan.whole(n.plan.sets(Fence{}, kin{}))), "-j", "-f", "-"); err != nil {
			done <- fmt.Errorf("trying the rules: %w", err)
			return
		}
		l, err := n.list(ctx)
		if err == nil {
			n.frame = l.frame
		}
		done <- err
	}()
	return <-done
}

// run starts nft in this thread's network and gives what it says.
func (n *Nftables) run(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, n.nft, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdin = bytes.NewReader(in)
	out, errs := &limited{n: mostListed}, &limited{n: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(errs.String()); said != "" {
			line, _, _ := strings.Cut(said, "\n")
			return nil, fmt.Errorf("%s: %w: %.300s", n.nft, err, line)
		}
		return nil, fmt.Errorf("%s: %w", n.nft, err)
	}
	return out.Bytes(), nil
}

// asked says whether f is what Fence was given last.
func (n *Nftables) asked(f Fence) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last != nil && slices.Equal(n.last.Egress, f.Egress) && slices.Equal(n.last.Destinations, f.Destinations) &&
		slices.Equal(n.last.Inside, f.Inside) && slices.Equal(n.last.Open, f.Open)
}
