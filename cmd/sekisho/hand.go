package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sekisho/contain"
	"sekisho/sheet"
)

func handCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hand",
		Short: "What runs beside sekisho to cut terminals off the outside: a router's agent, a list's fetcher, a probe",
	}
	cmd.AddCommand(handNftablesCommand(), handListCommand(), handProbeCommand(), handKeyCommand())
	return cmd
}

// besides is a command that runs on another machine, with a config of its own.
func besides[C any](use, short, long string, run func(ctx context.Context, c C, base string, log *slog.Logger) error) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usage{fmt.Errorf("name the config: %s --config FILE; docs/hands.md explains it", cmd.CommandPath())}
			}
			var c C
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("reading the config: %w", err)
			}
			if err := sheet.Read(text, &c); err != nil {
				return fmt.Errorf("config %s: %w", file, err)
			}
			abs, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			return run(cmd.Context(), c, filepath.Dir(abs), logger(slog.LevelInfo))
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the config file")
	return cmd
}

func handNftablesCommand() *cobra.Command {
	var once bool
	cmd := besides("nftables", "The agent on a router: cut off by nftables whom sekisho says, and say what is in force",
		`Run it on the router, as root, from the start of the machine to its end. It puts
the last state that it was told in force before it does anything else, and then
what sekisho says, and looks every two seconds whether the firewall still does it.
It needs nft and nothing else. What is in force stays when it ends.

With --once it puts the kept state in force and ends: for a service that must be
through before the network starts.`,
		func(ctx context.Context, c contain.AgentConfig, base string, log *slog.Logger) error {
			a, err := contain.NewAgent(c, base, log)
			if err != nil {
				return err
			}
			if !once {
				return a.Run(ctx)
			}
			kept, err := a.Once(ctx)
			if err == nil && !kept {
				err = errors.New("no state is kept here that could be put in force: start the agent without --once where it can reach sekisho")
			}
			return err
		})
	cmd.Flags().BoolVar(&once, "once", false, "put the kept state in force, and end")
	return cmd
}

func handListCommand() *cobra.Command {
	return besides("list", "Keep a file as a published list is, for a proxy such as Squid, and end what listed addresses have open",
		`Run it beside a program that reads its list of addresses from a file. The file is
replaced only by a list that came whole; whatever fails, it keeps what it has.`,
		func(ctx context.Context, c contain.FetchConfig, base string, log *slog.Logger) error {
			f, err := contain.NewFetcher(c, base, log)
			if err != nil {
				return err
			}
			return f.Run(ctx)
		})
}

func handProbeCommand() *cobra.Command {
	return besides("probe", "Among the terminals, try to get out, and tell sekisho what is reached",
		`Run it on a machine on the terminals' network at which nobody works. sekisho
contains it whenever it contains anybody, and raises an alarm if it gets out.`,
		func(ctx context.Context, c contain.ProbeConfig, base string, log *slog.Logger) error {
			p, err := contain.NewProber(c, base, log)
			if err != nil {
				return err
			}
			return p.Run(ctx)
		})
}

func handKeyCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show the public key that agents know sekisho by, for keys in their config",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, base, err := readConfig(file)
			if err != nil {
				return err
			}
			if err := c.Check(base); err != nil {
				return err
			}
			if err := os.MkdirAll(c.Data, 0o700); err != nil {
				return fmt.Errorf("making the data directory: %w", err)
			}
			key, err := contain.LoadOrMakeKey(c.HandsKey())
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), contain.PublicKey(key))
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "sekisho.yaml", "sekisho's config file")
	return cmd
}
