package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
	"sekisho/identity"
)

// An office is the authority that a command means, and the house that records
// what it does.
type office struct {
	dir          string // the authority's
	config, data string // of the house
	chosen       bool   // the house was named: then it must be there
}

func (o *office) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.dir, "ca", "ca", "the authority's directory")
	where(cmd, &o.config, &o.data)
}

// record has the house write down what the authority does, before f does it.
// An authority may stand on a machine without a house: then that is said.
func (o *office) record(cmd *cobra.Command, told []console.Certificate, f func() error) error {
	o.chosen = cmd.Flags().Changed("config") || o.data != ""
	if _, err := os.Stat(o.config); !o.chosen && errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(cmd.ErrOrStderr(), "sekisho: "+speak(cmd).Say("cmd.ca.nohouse", o.config))
		return f()
	}
	if begun, err := o.begun(); err != nil {
		return err
	} else if !begun {
		fmt.Fprintln(cmd.ErrOrStderr(), "sekisho: "+speak(cmd).Say("cmd.ca.notbegun", o.config))
		return f()
	}
	dir, err := dataDir(o.data, o.config)
	if err != nil {
		return err
	}
	err = atControl(cmd, dir, "", func(c *house.Caller) error { return recordAll(cmd.Context(), c, told) })
	if err != nil {
		return err
	}
	return f()
}

// begun: the house that the config describes has a ledger. Before its first start
// it has none, and needs its certificate for that start.
func (o *office) begun() (bool, error) {
	if o.data != "" {
		return true, nil
	}
	c, base, err := readConfig(o.config)
	if err != nil {
		return false, err
	}
	_, err = os.Lstat(filepath.Join(house.Against(base, c.Data), "ledger"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, nil // what is wrong with it is said when it is looked for
}

func recordAll(ctx context.Context, c *house.Caller, told []console.Certificate) error {
	for _, one := range told {
		if _, err := c.Certified(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

func tell(action string, cert *x509.Certificate) console.Certificate {
	return console.Certificate{Action: action, Endpoint: cert.Subject.CommonName, Serial: identity.Serial(cert), Until: cert.NotAfter}
}

func caCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "A certificate authority for terminals and people",
		Long: `The common name of a client's certificate is the endpoint's name in the ledger.
A company that has an authority for its terminals goes on using it; this one is
for those who have none. Its root's key is needed once, and can be carried away.`,
	}
	cmd.AddCommand(caInit(), caIssue(), caRevoke(), caList(), caRenew())
	return cmd
}

func caInit() *cobra.Command {
	var dir, name, kind string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make an authority: a root, and an issuing key that it vouches for",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := identity.Make(dir, identity.Terms{Name: name, Algorithm: identity.Algorithm(kind), From: time.Now()})
			if err != nil {
				return err
			}
			w := speak(cmd)
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n  gate:\n    tls:\n      client_ca: %s\n      client_crl: %s\n\n%s\n%s\n",
				w.Say("cmd.ca.made", dir), a.Root(), a.Lists(), w.Say("cmd.ca.carry", filepath.Join(dir, "root.key")), w.Say("cmd.ca.carry.why"))
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "ca", "ca", "the directory to make it in")
	cmd.Flags().StringVar(&name, "name", "sekisho", "the name of the company, for the authority's own certificates")
	cmd.Flags().StringVar(&kind, "algorithm", string(identity.P256), "of the keys: p256, or ed25519")
	return cmd
}

func caIssue() *cobra.Command {
	var o office
	var life ttl
	var out, kind, request string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "issue NAME",
		Short: "Give an endpoint a certificate: NAME.crt and NAME.key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if err := identity.CheckName(name); err != nil {
				return usage{err}
			}
			path, err := fileFor(out, name)
			if err != nil {
				return err
			}
			a, err := identity.Open(o.dir)
			if err != nil {
				return err
			}
			var key crypto.Signer
			var public crypto.PublicKey
			if request != "" {
				public, err = publicOf(request)
			} else if key, err = identity.NewKey(identity.Algorithm(kind)); err == nil {
				public = key.Public()
			}
			if err != nil {
				return err
			}
			for _, taken := range []string{path + ".crt", path + ".key"} {
				if _, err := os.Lstat(taken); err == nil && (key != nil || taken != path+".key") {
					return both("%s is there already: remove it, or name another directory with --out", "%s はすでにある: 消すか、--out で別のディレクトリを指定する", taken)
				}
			}
			cert, err := a.Issue(public, identity.Request{Name: name, From: time.Now(), Life: life.or(identity.TerminalLife), Hosts: hosts})
			if err != nil {
				return err
			}
			return o.record(cmd, []console.Certificate{tell("issued", cert)}, func() error {
				chain, err := a.Keep(cert)
				if err != nil {
					return err
				}
				if key == nil {
					err = os.WriteFile(path+".crt", chain, 0o644)
				} else {
					err = identity.WritePair(path+".crt", path+".key", chain, key)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s   %s\n", path+".crt", speak(cmd).Say("cmd.ca.issued", identity.Serial(cert), cert.NotAfter.Format(time.RFC3339)))
				return nil
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().Var(&life, "ttl", "how long it counts, such as 12h or 30d (default 30d)")
	cmd.Flags().StringVar(&out, "out", ".", "the directory for the two files")
	cmd.Flags().StringVar(&kind, "algorithm", string(identity.P256), "of the key: p256, or ed25519")
	cmd.Flags().StringVar(&request, "request", "", "a certificate request (PKCS #10, PEM) instead of a new key: the terminal keeps its key")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a name or address of the gate: then the certificate is the gate's own; may be given again")
	return cmd
}

func caRevoke() *cobra.Command {
	var o office
	cmd := &cobra.Command{
		Use:   "revoke NAME|SERIAL",
		Short: "Take back the certificates of an endpoint, or one by its serial number",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := identity.Open(o.dir)
			if err != nil {
				return err
			}
			// First the list, then the entry: a full ledger must not keep a stolen
			// certificate alive.
			taken, err := a.Revoke(args[0], time.Now())
			if err != nil {
				return err
			}
			if len(taken) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), speak(cmd).Say("cmd.ca.nothing"))
				return nil
			}
			var told []console.Certificate
			for _, cert := range taken {
				told = append(told, tell("revoked", cert))
				fmt.Fprintln(cmd.OutOrStdout(), speak(cmd).Say("cmd.ca.revoked", identity.Serial(cert), cert.Subject.CommonName))
			}
			if err := o.record(cmd, told, func() error { return nil }); err != nil {
				return both("the certificates are revoked, and that is not in the ledger: %v", "証明書は失効したが、台帳に記録されていない: %v", err)
			}
			return nil
		},
	}
	o.flags(cmd)
	return cmd
}

func caList() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Every certificate that was issued, and what became of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := identity.Open(dir)
			if err != nil {
				return err
			}
			all, err := a.List()
			if err != nil {
				return err
			}
			return printIssued(cmd.OutOrStdout(), all, time.Now(), asJSON, speak(cmd))
		},
	}
	cmd.Flags().StringVar(&dir, "ca", "ca", "the authority's directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each")
	return cmd
}

func printIssued(out io.Writer, all []identity.Issued, now time.Time, asJSON bool, say *console.Teller) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	if !asJSON {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", say.Say("cmd.ca.endpoint"), say.Say("cmd.ca.serial"), say.Say("cmd.ca.from"), say.Say("cmd.ca.until"), say.Say("cmd.ca.state"))
	}
	for _, c := range all {
		state, when := "valid", ""
		switch {
		case !c.Revoked.IsZero():
			state, when = "revoked", " "+c.Revoked.UTC().Format(time.RFC3339)
		case now.After(c.NotAfter):
			state = "ended"
		}
		if asJSON {
			err := json.NewEncoder(w).Encode(map[string]any{"endpoint": c.Subject.CommonName, "serial": identity.Serial(c.Certificate),
				"from": c.NotBefore, "until": c.NotAfter, "state": state})
			if err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Subject.CommonName, identity.Serial(c.Certificate), c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), say.Say("cmd.ca.state."+state)+when)
	}
	return w.Flush()
}

func caRenew() *cobra.Command {
	var o office
	var rootKey, kind string
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Make a new issuing key, and take back the old one with all that it signed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := identity.Renew(o.dir, rootKey, identity.Algorithm(kind), time.Now()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), speak(cmd).Say("cmd.ca.renewed"))
			a, err := identity.Open(o.dir)
			if err != nil {
				return err
			}
			if err := o.record(cmd, []console.Certificate{tell("renewed", a.Issuer())}, func() error { return nil }); err != nil {
				return both("the issuing key is new, and that is not in the ledger: %v", "発行の鍵は新しくなったが、台帳に記録されていない: %v", err)
			}
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&rootKey, "root-key", "", "the root's key, from where it is kept")
	cmd.Flags().StringVar(&kind, "algorithm", string(identity.P256), "of the new key: p256, or ed25519")
	cmd.MarkFlagRequired("root-key")
	return cmd
}

// publicOf is the public key of a certificate request, whose owner has shown
// that the private one is there. Nothing else in it counts: the name is what
// the authority says.
func publicOf(path string) (crypto.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fmt.Errorf("reading the request: %s holds no CERTIFICATE REQUEST in PEM", path)
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("reading the request: it is not signed with its own key: %w", err)
	}
	return r.PublicKey, nil
}

// fileFor is where the files of a name go. A name is no way to another
// directory.
func fileFor(dir, name string) (string, error) {
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\\x00") {
		return "", usage{both("the name %q cannot be the name of a file", "%q はファイルの名前にできない", name)}
	}
	return filepath.Join(dir, name), nil
}

// ttl is a length of time on the command line, which may be in days.
type ttl struct{ time.Duration }

func (t *ttl) or(otherwise time.Duration) time.Duration {
	if t.Duration == 0 {
		return otherwise
	}
	return t.Duration
}

func (t *ttl) Set(s string) (err error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 10_000 {
			return errors.New("write it as 12h or 30d")
		}
		t.Duration = time.Duration(n) * 24 * time.Hour
	} else if t.Duration, err = time.ParseDuration(s); err != nil {
		return errors.New("write it as 12h or 30d")
	}
	if t.Duration < time.Minute || t.Duration > identity.MostLife {
		return fmt.Errorf("it must be between a minute and %d days: a certificate that is stolen counts until it ends or is revoked", identity.MostLife/(24*time.Hour))
	}
	return nil
}

func (t *ttl) String() string {
	if t.Duration == 0 {
		return ""
	}
	return t.Duration.String()
}

func (*ttl) Type() string { return "duration" }
