// Package network makes networks for tests: machines with links, addresses and
// firewalls of their own, each in a network namespace of Linux. Nothing of them
// is left when the test process ends, however it ends, and nothing of the
// machine that tests run on is touched.
package network

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Machine is a network namespace.
type Machine struct {
	Name string
	t    testing.TB
	at   *os.File // the namespace lives as long as this is open
}

// New makes a machine without links. Where the machine that tests run on makes
// no namespaces, the test is skipped, and says so.
func New(t testing.TB, name string) *Machine {
	t.Helper()
	m := &Machine{Name: name, t: t}
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			m.at, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		if os.Geteuid() == 0 && os.Getenv("SEKISHO_TEST_NO_NAMESPACES") == "" {
			t.Fatalf("making a network namespace: %v: where root may not, as in some containers, set SEKISHO_TEST_NO_NAMESPACES=1, and nothing about firewalls is tested", err)
		}
		fmt.Fprintf(os.Stderr, "\n*** %s SKIPPED: this machine makes no network namespaces (%v). NOTHING ABOUT THE FIREWALL WAS TESTED. Run it as root.\n\n", t.Name(), err)
		t.Skipf("SKIPPED: no network namespaces here (%v): run as root", err)
	}
	t.Cleanup(func() { m.at.Close() })
	m.Run("ip", "link", "set", "lo", "up")
	// A link can be used at once: nobody else has its addresses (RFC 4862, 5.4).
	m.Write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")
	return m
}

// Do runs f in the machine: sockets that f makes are the machine's, and stay so;
// commands that f starts run there. It must not leave that to goroutines.
func (m *Machine) Do(f func()) {
	m.t.Helper()
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setns(int(m.at.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		f()
	}()
	if err := <-done; err != nil {
		m.t.Fatalf("entering %s: %v", m.Name, err)
	}
}

// Run runs a command in the machine, and gives what it said.
func (m *Machine) Run(command ...string) string {
	m.t.Helper()
	return m.Feed("", command...)
}

// Feed is Run with something to read.
func (m *Machine) Feed(in string, command ...string) string {
	m.t.Helper()
	var out, errs bytes.Buffer
	var err error
	m.Do(func() {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
		err = cmd.Run()
	})
	if err != nil {
		m.t.Fatalf("on %s: %s: %v: %s", m.Name, strings.Join(command, " "), err, errs.String())
	}
	return out.String()
}

// Start starts a program in the machine; it is killed when the test ends. The
// caller prepares it, and may wait for it.
func (m *Machine) Start(ctx context.Context, prepare func(*exec.Cmd), command ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	if prepare != nil {
		prepare(cmd)
	}
	var err error
	m.Do(func() { err = cmd.Start() })
	if err != nil {
		m.t.Fatalf("on %s: %s: %v", m.Name, strings.Join(command, " "), err)
	}
	m.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// Join links two machines, each with the link's name and addresses there.
func Join(a *Machine, aLink string, aAddresses []string, b *Machine, bLink string, bAddresses []string) {
	a.t.Helper()
	a.Run("ip", "link", "add", aLink, "type", "veth", "peer", "name", bLink, "netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), b.at.Fd()))
	a.Address(aLink, aAddresses...)
	b.Address(bLink, bAddresses...)
}

// Address gives a link addresses, and takes it up.
func (m *Machine) Address(link string, addresses ...string) {
	m.t.Helper()
	m.Run("ip", "link", "set", link, "up")
	for _, a := range addresses {
		if strings.Contains(a, ":") {
			m.Run("ip", "-6", "addr", "add", a, "dev", link, "nodad")
		} else {
			m.Run("ip", "addr", "add", a, "dev", link)
		}
	}
}

// Gateway is where the machine sends what is for others, by address.
func (m *Machine) Gateway(addresses ...string) {
	m.t.Helper()
	for _, a := range addresses {
		m.Run("ip", "route", "add", "default", "via", a)
	}
}

// Forward makes a router of the machine.
func (m *Machine) Forward() {
	m.t.Helper()
	m.Write("/proc/sys/net/ipv4/ip_forward", "1")
	m.Write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
}

// Write writes a setting of the machine's network.
func (m *Machine) Write(file, value string) {
	m.t.Helper()
	var err error
	m.Do(func() { err = os.WriteFile(file, []byte(value), 0o644) })
	if err != nil {
		m.t.Fatalf("on %s: %v", m.Name, err)
	}
}
