package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/gate"
	"sekisho/house"
	"sekisho/identity"
)

func loginCommand() *cobra.Command {
	var ca, config, home, endpoint, at string
	var life ttl
	cmd := &cobra.Command{
		Use:   "login NAME",
		Short: "Give a person a short-lived certificate for psql or DBeaver",
		Long: `Give a person of the config a certificate for this machine, which counts for
half a day. Whoever may reach the control socket of the running sekisho gives
it; it stands in the ledger with both names. The person's password is asked for
by the gate, as ever.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			c, base, err := readConfig(config)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(c.Gate.Principals, func(p gate.Principal) bool { return p.Name == name }) {
				return usage{both("the config has no principal %q: it lists who may log in", "設定に利用者 %q がない: ログインできる人は設定の gate.principals に書く", name)}
			}
			if c.Gate.TLS.ClientCA == "" {
				return both("the gate takes no certificates: set gate.tls.client_ca in the config, as `sekisho ca init` says", "ゲートが証明書を受け付けない: `sekisho ca init` の表示に従い、設定の gate.tls.client_ca を書く")
			}
			if endpoint == "" {
				if endpoint, err = os.Hostname(); err != nil {
					return both("naming this machine: %v: name it with --endpoint", "この機械の名前が分からない: %v: --endpoint で指定する", err)
				}
			}
			if home == "" {
				if home, err = os.UserHomeDir(); err != nil {
					return both("finding the home directory: %v: name a directory with --home", "ホームディレクトリが分からない: %v: --home で指定する", err)
				}
				home = filepath.Join(home, ".sekisho")
			}
			path, err := fileFor(home, name)
			if err != nil {
				return err
			}
			a, err := identity.Open(ca)
			if err != nil {
				return err
			}
			if err := ownDir(home); err != nil {
				return err
			}
			if err := replaceable(path, endpoint, a); err != nil {
				return err
			}
			key, err := identity.NewKey(identity.P256)
			if err != nil {
				return err
			}
			cert, err := a.Issue(key.Public(), identity.Request{Name: endpoint, From: time.Now(), Life: life.or(identity.PersonLife)})
			if err != nil {
				return err
			}
			dir, err := ledgerAt(house.Against(base, c.Data))
			if err != nil {
				return err
			}
			running, err := call(cmd, dir)
			if err != nil {
				return both("logging in: %v", "ログイン: %v", err)
			}
			defer running.Close()
			told := tell("login", cert)
			told.Principal = name
			if _, err := running.Certified(cmd.Context(), told); err != nil {
				return err
			}
			chain, err := a.Keep(cert)
			if err != nil {
				return err
			}
			if err := identity.WritePair(path+".crt", path+".key", chain, key); err != nil {
				return err
			}
			if err := identity.WriteDER(path+".pk8", key); err != nil {
				return err
			}
			root := ""
			if text, err := os.ReadFile(house.Against(base, c.Gate.TLS.Cert)); err == nil {
				if _, err := a.Ours(text); err == nil {
					root = path + ".root.crt"
					text, err := os.ReadFile(a.Root())
					if err == nil {
						err = os.WriteFile(root, text, 0o644)
					}
					if err != nil {
						return fmt.Errorf("copying the authority's certificate: %w", err)
					}
				}
			}
			fmt.Fprint(cmd.OutOrStdout(), howToConnect(speak(cmd), name, path, root, gateAddress(at, c.Gate.Listen), c.Gate.Upstream.Database, cert))
			return nil
		},
	}
	cmd.Flags().StringVar(&ca, "ca", "ca", "the authority's directory")
	cmd.Flags().StringVar(&config, "config", "sekisho.yaml", "the config file of the house")
	cmd.Flags().StringVar(&home, "home", "", "where the certificate and key go (default ~/.sekisho)")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "the name of the machine that it is for (default: this one's)")
	cmd.Flags().StringVar(&at, "gate", "", "the gate's address for clients (default: from the config)")
	cmd.Flags().Var(&life, "ttl", "how long it counts, such as 12h or 7d (default 12h)")
	return cmd
}

// ownDir makes the directory for a person's keys, or refuses one in which
// somebody else could exchange them.
func ownDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory for keys: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("looking at the directory for keys: %w", err)
	}
	if !info.IsDir() || owner(info) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return both("%s is not a directory that only you can write to: chmod 700 it, or name another with --home", "%s は自分だけが書けるディレクトリではない: chmod 700 するか、--home で別の所を指定する", dir)
	}
	return nil
}

func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

// replaceable: what stands where the new key goes is nothing, or an earlier
// login of the same person at the same endpoint.
func replaceable(path, endpoint string, a *identity.Authority) error {
	foreign := func(file, why, ja string) error {
		return &inBoth{en: fmt.Sprintf("%s is there and %s: it is left as it is. Move it away, or name another directory with --home", file, why),
			ja: fmt.Sprintf("%s がすでにあり、%s: そのまま残した。移すか、--home で別のディレクトリを指定する", file, ja)}
	}
	for _, file := range []string{path + ".key", path + ".pk8", path + ".crt"} {
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("looking at an earlier key: %w", err)
		}
		if !info.Mode().IsRegular() || owner(info) != os.Geteuid() {
			return foreign(file, "is not a file of yours", "自分のファイルではない")
		}
		chain, err := os.ReadFile(path + ".crt")
		if err != nil {
			return foreign(file, "there is no certificate that says whose it is", "誰のものかを示す証明書がない")
		}
		cert, err := a.Ours(chain)
		if err != nil {
			return foreign(file, "is of another authority", "別の認証局のものである")
		}
		if cert.Subject.CommonName != endpoint {
			return foreign(file, "is of another endpoint", "別の端末のものである")
		}
	}
	return nil
}

// gateAddress is what clients of this machine dial.
func gateAddress(given, listen string) string {
	if given == "" {
		given = listen
	}
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		return given
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

func howToConnect(w *console.Teller, name, path, root, address, database string, cert *x509.Certificate) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "5432"
	}
	quote := func(s string) string { // for a connection string
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	trust, where := quote(root), root
	if root == "" {
		trust, where = "AUTHORITY.crt", "AUTHORITY.crt"+w.Say("cmd.login.authority")
	}
	dsn := fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s",
		host, port, quote(database), quote(name), trust, quote(path+".crt"), quote(path+".key"))
	shell := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`") // within double quotes
	// What a program calls its own fields stays as the program has it.
	return fmt.Sprintf(`%s

  psql "%s"

%s
  CA certificate       %s
  client certificate   %s
  client private key   %s
  SSL mode             verify-full
`, w.Say("cmd.login.until", name, cert.Subject.CommonName, cert.NotAfter.Local().Format("2006-01-02 15:04 MST")), shell.Replace(dsn),
		w.Say("cmd.login.dbeaver", net.JoinHostPort(host, port), database, name), where, path+".crt", path+".pk8")
}
