package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Machine is a network namespace of Linux: links, addresses and a firewall of
// its own. It ends with the process, however that ends, or when it is closed; the
// machine's own network is not touched.
type Machine struct {
	Name string
	at   *os.File // the namespace lives as long as this is open
}

// NewMachine makes one without links. It needs root.
func NewMachine(name string) (*Machine, error) {
	m := &Machine{Name: name}
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
		return nil, fmt.Errorf("making a network of its own for %s: %w", name, err)
	}
	if err := errors.Join(m.Run("ip", "link", "set", "lo", "up"),
		// A link can be used at once: nobody else has its addresses (RFC 4862, 5.4).
		m.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close lets go of it. What still runs there keeps it.
func (m *Machine) Close() error { return m.at.Close() }

// Path is a file by which other programs can enter it, such as nsenter --net=,
// while this process lives.
func (m *Machine) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), m.at.Fd()) }

// Do runs f in the machine: sockets that f makes are the machine's, and stay so.
// f must not leave that to goroutines.
func (m *Machine) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(m.at.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering the network of %s: %w", m.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Run runs a command there.
func (m *Machine) Run(command ...string) error {
	return m.Do(func() error {
		var said bytes.Buffer
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("on %s: %s: %w: %s", m.Name, strings.Join(command, " "), err, strings.TrimSpace(said.String()))
		}
		return nil
	})
}

// Serve runs a program there until ctx ends or it does. The program dies with
// this process: the thread that started it waits for it.
func (m *Machine) Serve(ctx context.Context, cmd *exec.Cmd) error {
	return m.Do(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { cmd.Process.Signal(unix.SIGTERM) })
		defer stop()
		err := cmd.Wait()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%s on %s has ended: %w", cmd.Args[0], m.Name, err)
	})
}

// Listen listens there.
func (m *Machine) Listen(address string) (l net.Listener, err error) {
	err = m.Do(func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// Dial opens a connection from there.
func (m *Machine) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = m.Do(func() error {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

func (m *Machine) write(file, value string) error {
	return m.Do(func() error { return os.WriteFile(file, []byte(value), 0o644) })
}

// A Network is a small company: terminals, a room of servers, a router, and the
// outside.
type Network struct {
	Router, Servers, Outside, Canary *Machine
	Terminals                        map[string]*Machine
	all                              []*Machine
}

// Addresses of the demo's network. Terminals have the first that is free on a
// link of their own; outside lie documentation prefixes (RFC 5737, RFC 3849).
const (
	OutsideV4, OutsideV6 = "198.51.100.66", "2001:db8:66::66"
	InsideV4             = "10.77.9.2"
	CanaryV4, CanaryV6   = "10.77.8.2", "fd77:8::2"
)

// TerminalAt is where the terminal with a number, from 1 to 7, is.
func TerminalAt(n int) (v4, v6 string) {
	return fmt.Sprintf("10.77.%d.2", n), fmt.Sprintf("fd77:%d::2", n)
}

// NewNetwork makes it, with terminals of these names, in their order. It needs
// root, and ip of iproute2.
func NewNetwork(terminals ...string) (n *Network, err error) {
	n = &Network{Terminals: map[string]*Machine{}}
	made := n
	defer func() {
		if err != nil {
			made.Close()
		}
	}()
	machine := func(name string) (m *Machine) {
		if err == nil {
			if m, err = NewMachine(name); err == nil {
				n.all = append(n.all, m)
			}
		}
		return m
	}
	n.Router, n.Servers, n.Outside, n.Canary = machine("router"), machine("servers"), machine("outside"), machine("canary")
	for _, name := range terminals {
		n.Terminals[name] = machine(name)
	}
	if err != nil {
		return nil, err
	}
	join := func(m *Machine, link, v4, v6 string) {
		if err == nil {
			err = n.join(m, link, v4, v6)
		}
	}
	join(n.Outside, "wan", OutsideV4, OutsideV6)
	join(n.Servers, "servers", InsideV4, "fd77:9::2")
	join(n.Canary, "canary", CanaryV4, CanaryV6)
	for i, name := range terminals {
		v4, v6 := TerminalAt(i + 1)
		join(n.Terminals[name], fmt.Sprintf("lan%d", i+1), v4, v6)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// join links a machine to the router, which has the address that ends in 1.
func (n *Network) join(m *Machine, link, v4, v6 string) error {
	gate4, gate6 := v4[:strings.LastIndexByte(v4, '.')]+".1", v6[:strings.LastIndexByte(v6, ':')]+":1"
	steps := []struct {
		on      *Machine
		command string
	}{
		{m, fmt.Sprintf("ip link add eth0 type veth peer name %s netns %s", link, n.Router.Path())},
		{m, "ip link set eth0 up"}, {m, "ip addr add " + v4 + "/24 dev eth0"}, {m, "ip -6 addr add " + v6 + "/64 dev eth0 nodad"},
		{n.Router, "ip link set " + link + " up"}, {n.Router, "ip addr add " + gate4 + "/24 dev " + link}, {n.Router, "ip -6 addr add " + gate6 + "/64 dev " + link + " nodad"},
		{m, "ip route add default via " + gate4}, {m, "ip -6 route add default via " + gate6},
	}
	for _, s := range steps {
		if err := s.on.Run(strings.Fields(s.command)...); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of every machine.
func (n *Network) Close() {
	for _, m := range n.all {
		m.Close()
	}
}

// Lead passes on what comes to l to another address, by dial, until ctx ends: a
// cable between two networks that have no link.
func Lead(ctx context.Context, l net.Listener, dial func(context.Context) (net.Conn, error)) {
	var running sync.WaitGroup
	defer running.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer in.Close()
			out, err := dial(ctx)
			if err != nil {
				return
			}
			defer out.Close()
			stop := context.AfterFunc(ctx, func() { in.Close(); out.Close() })
			defer stop()
			running.Go(func() { io.Copy(out, in); out.Close(); in.Close() })
			io.Copy(in, out)
		})
	}
}
