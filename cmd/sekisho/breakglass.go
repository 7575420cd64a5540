package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/gate"
	"sekisho/house"
	"sekisho/seal"
	"sekisho/survey"
)

func breakglassCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "breakglass",
		Short: "A database login for the day on which sekisho is down, which any two people open",
		Long: `A database login for the day on which sekisho is down.

Each person makes a key (key). A superuser of the database makes the login, whose
password is drawn, sealed for any two of the people and kept nowhere else (seal).
On the day, two of them open it (open), with sekisho down or not. The database
logs every statement of it, and afterwards the log is taken over into the ledger
(import).`,
	}
	cmd.AddCommand(glassKey(), glassSeal(), glassOpen(), glassStatus(), glassImport())
	return cmd
}

// writeSecret writes a secret to a file that did not exist, for its owner alone.
func writeSecret(path string, b []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func glassKey() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "key --out FILE",
		Short: "Make your own key, and print what others seal with",
		Long: `Make your own key, encrypted with a passphrase of yours, and print what others
seal with. The file is one of age's: age and its plugins read it, and keys that
age-keygen made do here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			words, err := readPassword()
			if err != nil {
				return err
			}
			if len(words) < 12 {
				return both("the passphrase is shorter than 12 bytes: whoever finds the file can try as long as they like", "パスフレーズが 12 バイトより短い: ファイルを見つけた人は何度でも試せる")
			}
			file, recipient, err := seal.NewKey(words)
			if err != nil {
				return err
			}
			if err := writeSecret(out, file); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), recipient)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "where the key goes")
	cmd.MarkFlagRequired("out")
	return cmd
}

func glassSeal() *cobra.Command {
	var dsn, login, out string
	var grants, people []string
	var days int
	cmd := &cobra.Command{
		Use:   "seal --database DSN --login NAME --grant ROLE --person NAME=age1… --person NAME=age1… --out FILE",
		Short: "Make the login, or give it a new password and end, and seal it for any two people",
		Long: `Make the login, or give it a new password and end, and seal it for any two people.

DSN is a connection of a superuser of the database, who alone can have all that
a login does logged; give the password by PGPASSFILE or PGPASSWORD. The login is
no superuser and owns nothing: it may do what the granted roles may. Sealing
anew ends what was sealed before.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if survey.HasPassword(dsn) {
				return usage{both("the connection string holds a password, which everybody on this machine can read: give it by PGPASSFILE", "接続文字列にパスワードがあり、この機械の誰にでも読める: PGPASSFILE で渡す")}
			}
			var list []seal.Person
			for _, p := range people {
				name, recipient, ok := strings.Cut(p, "=")
				if !ok {
					return usage{both("--person %q: write NAME=age1…", "--person %q: 名前=age1… と書く", p)}
				}
				list = append(list, seal.Person{Name: name, Recipient: recipient})
			}
			if _, err := os.Lstat(out); err == nil {
				return both("%s exists: an envelope is never replaced; name another file", "%s はすでにある: 封書は置き換えない。別のファイルを指定する", out)
			}
			c := seal.Credential{Login: login, Password: rand.Text() + rand.Text(), Sealed: time.Now().UTC().Truncate(time.Second)}
			if days < 1 || days > 366 {
				return usage{both("--days: between 1 and 366", "--days: 1 以上 366 以下")}
			}
			c.Until = c.Sealed.AddDate(0, 0, days)
			if _, err := seal.Seal(c, list); err != nil { // before the server is asked for anything
				return err
			}
			verifier, err := gate.MakeVerifier(c.Password)
			if err != nil {
				return err
			}
			where, notes, err := survey.SetBehindGlass(cmd.Context(), dsn, survey.Glass{Login: login, Verifier: verifier, Until: c.Until, Grants: grants})
			if err != nil {
				return err
			}
			c.Host, c.Port, c.Database = where.Host, where.Port, where.Database
			if c.SSLMode = "verify-full"; filepath.IsAbs(c.Host) || !where.TLS {
				c.SSLMode = "disable" // the server would refuse anything else, on the worst of days
			}
			file, err := seal.Seal(c, list)
			if err == nil {
				err = writeSecret(out, file)
			}
			if err != nil {
				return both("the login has a password that is sealed nowhere: run this again: %v", "ログインのパスワードがどこにも封印されていない: もう一度実行する: %v", err)
			}
			w := speak(cmd)
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", w.Say("cmd.glass.sealed", login, c.Until.Format("2006-01-02 15:04 MST"), len(list), out), w.Say("cmd.glass.copies"))
			for _, n := range notes {
				fmt.Fprintln(cmd.OutOrStdout(), w.Say("cmd.glass.note", n))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dsn, "database", "", "a superuser's connection, without a password")
	f.StringVar(&login, "login", "", "the login")
	f.StringSliceVar(&grants, "grant", nil, "roles of the database that it is a member of")
	f.StringArrayVar(&people, "person", nil, "NAME=age1…, once for each")
	f.StringVar(&out, "out", "", "where the envelope goes")
	f.IntVar(&days, "days", 90, "for how many days the database takes the password")
	for _, name := range []string{"database", "login", "person", "out"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func readEnvelope(path string) (*seal.Envelope, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, both("reading a sealed credential: %v", "封書を読めない: %v", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, seal.MaxFile+1))
	if err != nil {
		return nil, both("reading a sealed credential: %v", "封書を読めない: %v", err)
	}
	return seal.Read(b)
}

func glassOpen() *cobra.Command {
	var keys []string
	var out string
	cmd := &cobra.Command{
		Use:   "open FILE --key KEY --out FILE",
		Short: "Open an envelope, two of you together or one after the other",
		Long: `Open an envelope. With the keys of two people it writes the password, as a
password file of libpq. With one key it takes the outer layer off and writes what
is left, for another person to open in the same way on another machine: the keys
never have to meet.

It needs neither sekisho running, nor its ledger, vault or config.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(keys) == 0 || len(keys) > 2 {
				return usage{both("name the key of one person, or of two", "一人か二人の鍵を --key で指定する")}
			}
			e, err := readEnvelope(args[0])
			if err != nil {
				return err
			}
			var second *seal.Key
			for i, path := range keys {
				b, err := os.ReadFile(path)
				if err != nil {
					return both("reading a key: %v", "鍵を読めない: %v", err)
				}
				key, err := seal.ReadKey(b, func() (string, error) {
					fmt.Fprintf(os.Stderr, "%s: ", path)
					return readPassword()
				})
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				if i == 1 || e.Halved() {
					second = key
					break
				}
				rest, err := e.Half(key)
				if err != nil {
					return err
				}
				if len(keys) == 1 {
					if err := writeSecret(out, rest); err != nil {
						return err
					}
					fmt.Fprintln(cmd.OutOrStdout(), speak(cmd).Say("cmd.glass.half", speak(cmd).Join(e.People, "answer.comma"), out))
					return nil
				}
				if e, err = seal.Read(rest); err != nil {
					return err
				}
			}
			if second == nil {
				return usage{both("the outer layer is off already: name one key, of the second person", "外側はすでに開いている: 二人目の鍵を一つだけ指定する")}
			}
			c, err := e.Open(second)
			if err != nil {
				return err
			}
			host := c.Host
			escaped := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
			if err := writeSecret(out, fmt.Appendf(nil, "%s:%d:%s:%s:%s\n", escaped.Replace(host), c.Port, escaped.Replace(c.Database), escaped.Replace(c.Login), escaped.Replace(c.Password))); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "PGPASSFILE=%s psql \"host=%s port=%d dbname=%s user=%s sslmode=%s\"\n", out, c.Host, c.Port, c.Database, c.Login, c.SSLMode)
			if left := time.Until(c.Until); left < 0 {
				fmt.Fprintln(cmd.OutOrStdout(), speak(cmd).Say("cmd.glass.over", c.Until.Format("2006-01-02 15:04 MST")))
			}
			fmt.Fprintln(cmd.OutOrStdout(), speak(cmd).Say("cmd.glass.after", out))
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "a person's key, once or twice")
	cmd.Flags().StringVar(&out, "out", "", "where the password, or what is left of the envelope, goes")
	cmd.MarkFlagRequired("out")
	return cmd
}

func glassStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status FILE…",
		Short: "Say what is sealed, for whom and until when, without opening it",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ended error
			for _, path := range args {
				e, err := readEnvelope(path)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				c := e.Outside
				state := "closed"
				if e.Halved() {
					state = "half open"
				}
				left := time.Until(c.Until)
				if left < 0 {
					state, ended = "ended", errFound
				}
				w := speak(cmd)
				fmt.Fprintln(cmd.OutOrStdout(), w.Say("cmd.glass.status", path, w.Code("cmd.glass.state", state), c.Login, c.Host, c.Port, c.Database,
					c.Sealed.Format("2006-01-02"), c.Until.Format("2006-01-02 15:04 MST"), w.Join(e.People, "answer.comma")))
				if left > 0 && left < 14*24*time.Hour {
					fmt.Fprintln(cmd.OutOrStdout(), "  "+w.Say("cmd.glass.ends", w.Count("cmd.n.days", uint64(left.Hours())/24)))
				}
			}
			return ended
		},
	}
}

func glassImport() *cobra.Command {
	var path, data, login string
	cmd := &cobra.Command{
		Use:   "import LOG… --login NAME",
		Short: "Take over what the login did from the database's csvlog or jsonlog",
		Long: `Take over what the login did from the database's log, csvlog or jsonlog, into the
ledger of the running sekisho. Each of its sessions becomes a session, each
statement over protected tables an access that could be any row: a log holds no
results. What was taken over before is not taken twice. It takes a running
sekisho, with its database: only that knows which tables hold whose data.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				for _, name := range args {
					f, err := os.Open(name)
					if err != nil {
						return both("importing a log: %v", "ログの取り込み: %v", err)
					}
					done, err := c.ImportLog(ctx, login, f)
					f.Close()
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
					w := speak(cmd)
					fmt.Fprintln(cmd.OutOrStdout(), w.Say("cmd.glass.imported", name, w.Count("cmd.n.lines", done.Lines), thousands(done.Own), login,
						w.Count("cmd.n.sessions", done.Sessions), thousands(done.Accesses)))
					if done.Rejected > 0 {
						fmt.Fprintln(cmd.OutOrStdout(), w.Say("cmd.glass.unread", name, w.Count("cmd.n.lines", done.Rejected)))
					}
				}
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&login, "login", "", "the login that was behind glass")
	cmd.MarkFlagRequired("login")
	return cmd
}
