package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sekisho/demo"
)

// demoReachCommand looks from the other side: what a terminal of the demo can
// reach at this moment.
func demoReachCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "reach TERMINAL",
		Short: "Try what a terminal of the running demo can reach: " + demoEndpoint + " or " + demoIntruderEndpoint,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := os.ReadFile(filepath.Join(dir, "hands", "network.json"))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("no demo is running in %s: start it with make run, or name its directory with --dir", dir)
			}
			var a atlas
			if err == nil {
				err = json.Unmarshal(raw, &a)
			}
			if err != nil {
				return fmt.Errorf("reading what the demo says of its network: %w", err)
			}
			t, ok := a.Terminals[args[0]]
			if !ok {
				return usage{fmt.Errorf("the demo has no terminal %s: use %s or %s", args[0], demoEndpoint, demoIntruderEndpoint)}
			}
			return a.reach(cmd.Context(), t, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "var", "where the demo keeps everything")
	return cmd
}

// reach tries each way, and says what became of it.
func (a *atlas) reach(ctx context.Context, t terminalAt, out io.Writer) error {
	if t.Net != "" {
		if _, err := os.Stat(t.Net); err != nil {
			return fmt.Errorf("entering the terminal's network: %w: run it as the demo runs, as root", err)
		}
		for _, way := range []struct{ name, at string }{
			{"the outside, IPv4", net.JoinHostPort(demo.OutsideV4, "80")},
			{"the outside, IPv6", net.JoinHostPort(demo.OutsideV6, "80")},
		} {
			fmt.Fprintf(out, "%-24s %s\n", way.name, t.fetch(ctx, "http://"+way.at+"/", ""))
		}
	}
	fmt.Fprintf(out, "%-24s %s\n", "the outside, by proxy", t.fetch(ctx, "http://"+outsideAt+"/", a.Proxy))
	return nil
}

// fetch asks for a page from where the terminal is.
func (t terminalAt) fetch(ctx context.Context, page, proxy string) string {
	dialer := net.Dialer{Timeout: 3 * time.Second}
	if t.Local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(t.Local)}
	}
	way := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return within(t.Net, func() (net.Conn, error) { return dialer.DialContext(ctx, network, address) })
	}}
	if proxy != "" {
		way.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy})
	}
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err.Error()
	}
	answer, err := way.RoundTrip(q)
	switch {
	case err != nil:
		return "cut off"
	case answer.StatusCode == http.StatusForbidden:
		answer.Body.Close()
		return "cut off (the proxy refuses)"
	}
	answer.Body.Close()
	return "open"
}

// within runs f in a network namespace; in this one if there is none.
func within(namespace string, f func() (net.Conn, error)) (c net.Conn, err error) {
	if namespace == "" {
		return f()
	}
	at, err := os.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		if err = unix.Setns(int(at.Fd()), unix.CLONE_NEWNET); err == nil {
			c, err = f()
		}
	}()
	<-done
	return c, err
}
