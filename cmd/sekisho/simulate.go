package main

import (
	"cmp"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/house"
	"sekisho/vault"
)

func policySimulateCommand() *cobra.Command {
	var (
		flags              policyFlags
		path, since, until string
		paths, against     []string
		office             []string
		posts, companies   map[string]string
		names, asJSON      bool
		top                int
	)
	cmd := &cobra.Command{
		Use:   "simulate --policy FILE (--config FILE | --ledger DIR)",
		Short: "Replay a ledger's accesses under another policy, and list what would change",
		Long: `Reads the accesses of a ledger, decides each as the policy would have, and lists
what would have changed: by principal, role, terminal and tables. Without
--against it is compared with what happened; with it, with another policy.

The ledger may belong to a running sekisho: it is only read. It does not say
everything that a policy may ask: posts, companies and where the office is are
given with flags or by --config, and what stays unknown is told with the result.
Purposes are read from the vault beside the ledger; principals that do not stand
in the config are numbers unless --vault says that they may be named.`,
		Example: `  sekisho policy simulate --ledger /var/lib/sekisho --policy policy \
      --since 2026-04-01 --office 10.20.0.0/16 --post call_centre=agent`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			policy, zone, err := flags.load(paths)
			if err != nil {
				return err
			}
			s := simulation{words: speak(cmd), policy: policy, zone: zone, posts: posts, companies: companies}
			if flags.config != "" {
				c, base, err := readConfig(flags.config)
				if err == nil {
					err = c.Check(base)
				}
				if err != nil {
					return err
				}
				s.gate, path = &c.Gate, cmp.Or(path, c.Data)
				if c.Handling.OffSite {
					s.terminals = duty.NewChecks()
				}
			}
			if len(against) > 0 {
				if s.against, _, err = flags.load(against); err != nil {
					return err
				}
			}
			if s.since, err = timeFlag("--since", since, zone); err != nil {
				return err
			}
			if s.until, err = timeFlag("--until", until, zone); err != nil {
				return err
			}
			if s.office, err = sekisho.ParsePrefixes(office); err != nil {
				return usage{both("--office: %v: write an address or a prefix, such as 10.20.0.0/16", "--office: %v: アドレスか範囲を 10.20.0.0/16 のように書く", err)}
			}
			if path == "" {
				return usage{both("name the ledger with --ledger, or a config with --config", "--ledger で台帳を、または --config で設定を指定する")}
			}
			dir, err := ledgerAt(path)
			if err != nil {
				return err
			}
			close, err := s.openVault(dir)
			if err != nil && names {
				return err
			}
			defer close()
			s.names = names
			bar := newBar(os.Stderr, "replaying")
			if err := s.replay(cmd.Context(), filepath.Join(dir, "ledger"), bar, sekisho.At(time.Now())); err != nil {
				return err
			}
			r := s.report()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			r.print(cmd.OutOrStdout(), top, speak(cmd))
			return nil
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&path, "ledger", "", "the data directory, or the ledger in it; default: the config's")
	f.StringArrayVar(&paths, "policy", nil, "a file or directory of policies; may be given again; default: the shipped policy")
	f.StringArrayVar(&against, "against", nil, "a policy to compare with, instead of what happened")
	f.StringVar(&since, "since", "", "start of the window: a date, or a date and time")
	f.StringVar(&until, "until", "", "end of the window, itself outside it")
	f.StringArrayVar(&office, "office", nil, "an address or prefix of the office; may be given again; every other is remote")
	f.StringToStringVar(&posts, "post", nil, "the post of a role's principals, as role=post; may be given again")
	f.StringToStringVar(&companies, "company", nil, "the company of a role's principals, as role=company; may be given again")
	f.BoolVar(&names, "vault", false, "name the principals, from the vault")
	f.IntVar(&top, "top", 20, "how many changes to list, after the summary")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// timeFlag is 0 if nothing was said.
func timeFlag(name, text string, zone *time.Location) (sekisho.Time, error) {
	if text == "" {
		return 0, nil
	}
	t, err := house.ParseTime(text, zone)
	if err != nil {
		return 0, usage{both("%s: %v", "%s: %v", name, err)}
	}
	return t, nil
}

// openVault opens the vault for reading, if its key is there.
func (s *simulation) openVault(dir string) (close func(), err error) {
	none := func() {}
	file := filepath.Join(dir, "vault.key")
	if _, err := os.Stat(file); err != nil {
		return none, both("the vault's key is needed to name anybody: %v", "名前を示すには保管庫の鍵が要る: %v", err)
	}
	key, err := vault.LoadOrMakeKey(file)
	if err != nil {
		return none, err
	}
	v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: key, ReadOnly: true})
	if err != nil {
		return none, err
	}
	s.vault = v
	return func() { v.Close() }, nil
}
