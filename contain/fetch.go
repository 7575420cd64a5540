package contain

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho/disk"
)

// FetchConfig is what the fetcher is told, for a program that reads its lists
// from files, such as Squid. It is one YAML file on the machine of that program;
// paths count from its directory.
type FetchConfig struct {
	// List is the list's address, such as
	// https://sekisho.example.jp:8443/lists/proxy/terminals.txt.
	List string `yaml:"list"`
	// Name and PasswordFile are the reader's, as in sekisho's config; the file has
	// mode 0600.
	Name         string `yaml:"name"`
	PasswordFile string `yaml:"password_file"`
	// CA is a PEM file with who vouches for sekisho's certificate. Default: the
	// machine's own list.
	CA string `yaml:"ca"`
	// Into is the file that the program reads. It is replaced whole, mode 0644,
	// and only by a list that came whole.
	Into string `yaml:"into"`
	// Every is how often it is asked for. Default 5s.
	Every time.Duration `yaml:"every"`
	// Run is the command that makes the program read the file, such as
	// [squid, -k, reconfigure]. It is run after each change, and again until it
	// succeeds.
	Run []string `yaml:"run"`
	// End has the connections of this machine with listed addresses ended, after
	// Run: a proxy asks its list about new requests only, and a tunnel lives on.
	// It needs ss of iproute2, and CAP_NET_ADMIN.
	End bool `yaml:"end"`
}

// A Fetcher keeps a file as a published list is.
type Fetcher struct {
	conf   FetchConfig
	client *http.Client
	word   string
	log    *slog.Logger
	tag    string         // of what was fetched and is in the file
	list   []netip.Prefix // that
	told   bool           // Run has succeeded since the file changed
}

// NewFetcher checks a config.
func NewFetcher(c FetchConfig, base string, log *slog.Logger) (f *Fetcher, err error) {
	fail := func(err error) (*Fetcher, error) { return nil, fmt.Errorf("the fetcher's config: %w", err) }
	if c.Name == "" || c.Into == "" {
		return fail(errors.New("name and into are needed: the reader's name, and the file to write"))
	}
	for _, p := range []*string{&c.PasswordFile, &c.CA, &c.Into} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	if c.Every = cmp.Or(c.Every, 5*time.Second); c.Every < 100*time.Millisecond {
		return fail(errors.New("every: not more often than every 100ms"))
	}
	f = &Fetcher{conf: c, log: log}
	if f.word, err = readSecret(c.PasswordFile); err != nil {
		return fail(fmt.Errorf("password_file: %w", err))
	}
	if f.client, err = client(c.List, c.CA); err != nil {
		return fail(err)
	}
	return f, nil
}

// Run keeps the file up to date until ctx ends. Whatever fails, the file keeps
// what it has.
func (f *Fetcher) Run(ctx context.Context) error {
	for {
		if err := f.round(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("fetching the list; the file keeps what it has", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.conf.Every):
		}
	}
}

func (f *Fetcher) round(ctx context.Context) error {
	if err := f.fetch(ctx); err != nil {
		return err
	}
	if !f.told && len(f.conf.Run) > 0 {
		if _, err := run(ctx, f.conf.Run...); err != nil {
			return err
		}
	}
	f.told = true
	if f.conf.End {
		return endConnections(ctx, f.list)
	}
	return nil
}

// run runs a command of this machine and gives what it says.
func run(ctx context.Context, command ...string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	out, errs := &limited{n: mostListed}, &limited{n: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running %s: %w: %.200q", command[0], err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// atATime is how many addresses stand in one command that ends connections.
const atATime = 50

// endConnections ends what this machine's programs have open with listed
// addresses. Each round looks again: a connection that was being made while the
// program read its list does not get by.
func endConnections(ctx context.Context, list []netip.Prefix) error {
	if len(list) == 0 {
		return nil
	}
	said, err := run(ctx, "ss", "-Htn", "state", "connected")
	if err != nil {
		return err
	}
	var ends []string
	for _, a := range peers(said) {
		if covered(list, netip.PrefixFrom(a, a.BitLen())) {
			ends = append(ends, "dst", a.String(), "or")
		}
	}
	for batch := range slices.Chunk(ends, 3*atATime) {
		if _, err := run(ctx, append([]string{"ss", "-K", "-Htn", "state", "connected"}, batch[:len(batch)-1]...)...); err != nil {
			return err
		}
	}
	return nil
}

// peers are the other ends in what ss -Htn says, each once. The last column is
// theirs, as 10.0.0.1:3128, [fd00::1]:443 or [::ffff:10.0.0.1]:3128.
func peers(said string) (out []netip.Addr) {
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if end, err := netip.ParseAddrPort(fields[len(fields)-1]); err == nil {
			out = append(out, end.Addr().Unmap().WithZone(""))
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

func (f *Fetcher) fetch(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, f.conf.List, nil)
	if err != nil {
		return err
	}
	q.SetBasicAuth(f.conf.Name, f.word)
	if _, err := os.Stat(f.conf.Into); err == nil && f.tag != "" {
		q.Header.Set("If-None-Match", f.tag)
	}
	res, err := f.client.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusNotModified:
		return nil
	case http.StatusOK:
	default:
		return fmt.Errorf("sekisho answered %s", res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, mostList+1))
	if err != nil {
		return err
	}
	list, err := ReadList(text)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(f.conf.Into); err != nil || !bytes.Equal(have, text) {
		if err := replaceMode(disk.OS{}, f.conf.Into, text, 0o644); err != nil {
			return err
		}
		f.log.Info("the list has changed", "file", f.conf.Into, "lines", len(list))
		f.told = false
	}
	f.tag, f.list = res.Header.Get("ETag"), list
	return nil
}
