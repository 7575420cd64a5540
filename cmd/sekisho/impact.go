package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/console"
	"sekisho/house"
	"sekisho/trace"
)

func impactCommand() *cobra.Command {
	var (
		q          house.Question
		path, data string
		file, list string
		zoneName   string
		lang       string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use:   "impact",
		Short: "The four numbers: whose data could have left, and where to",
		Long: `Answers with the worst case, the suspected, the sent at most and the confirmed
customers, for terminals held to be compromised, a window, and destinations
held to be hostile. Each number comes with its formula, the ledger entries it
stands on, its breakdown, and what was not observed.

It asks the sekisho that runs on the data directory, or reads a stopped ledger.
A recovered file (--file) is compared record by record, which the ledger notes;
so is every list of people (--list) that is given out.`,
		Example: `  sekisho impact --endpoint pc-0417 --endpoint pc-0533 \
      --since 2014-08-18 --until 2014-09-23 --hostile 203.0.113.66
  sekisho impact … --file recovered.csv --list confirmed > confirmed.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch list {
			case "", "confirmed", "suspected", "worst-case":
			default:
				return usage{fmt.Errorf("--list %s: use confirmed, suspected or worst-case", list)}
			}
			zone, err := time.LoadLocation(zoneName)
			if err != nil {
				return usage{fmt.Errorf("--time-zone %s is unknown: use a name such as Asia/Tokyo", zoneName)}
			}
			tq, err := settle(q, zone)
			if err != nil {
				return usage{err}
			}
			dir, err := dataDir(data, path)
			if err != nil {
				return err
			}
			var recovered io.Reader
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return fmt.Errorf("opening the recovered file: %w", err)
				}
				defer f.Close()
				recovered = f
			}
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			var a *trace.Answer
			if _, err := house.Call(ctx, dir); errors.Is(err, house.ErrNotRunning) && recovered == nil && list == "" {
				// Nothing has to be recorded, so the ledger is only read.
				s, err := house.ReadStopped(dir)
				if err != nil {
					return err
				}
				defer s.Vault.Close()
				if a, err = s.Impact(tq); err != nil {
					return err
				}
			} else {
				err := atControl(cmd, dir, zoneName, func(c *house.Caller) (err error) {
					if list != "" {
						err := c.List(ctx, list, asJSON, q, recovered, out)
						if c.Label != "" {
							fmt.Fprintln(cmd.ErrOrStderr(), c.Label)
						}
						return err
					}
					a, err = c.Impact(ctx, q, recovered)
					if c.Zone != nil {
						zone = c.Zone
					}
					return err
				})
				if err != nil || list != "" {
					return err
				}
			}
			if asJSON {
				e := json.NewEncoder(out)
				e.SetIndent("", "  ")
				return e.Encode(a)
			}
			words, err := console.NewTeller(lang, zone)
			if err != nil {
				return err
			}
			printAnswer(out, a, words)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&q.Endpoints, "endpoint", nil, "a terminal held to be compromised; may be given again")
	flags.StringVar(&q.Since, "since", "", "start of the window: a date, or a date and time")
	flags.StringVar(&q.Until, "until", "", "end of the window, itself outside it")
	flags.StringArrayVar(&q.Hostile, "hostile", nil, "a destination held to be hostile: an address or a prefix; may be given again")
	flags.Float64Var(&q.Compression, "compression", 10, "how much the data may have been packed, at most")
	flags.StringVar(&file, "file", "", "a recovered or captured file to compare")
	flags.StringVar(&list, "list", "", "print who they are, as CSV, or with --json beside the answer: confirmed, suspected or worst-case")
	flags.StringVar(&q.Space, "space", "", "whose data, if the ledger knows several kinds of people")
	flags.StringVar(&zoneName, "time-zone", "Asia/Tokyo", "of the dates above, for a stopped ledger; a running sekisho has its own")
	takesLanguage(flags, &lang, "", "language: en or ja; default by LANG")
	flags.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	where(cmd, &path, &data)
	for _, f := range []string{"endpoint", "since", "until"} {
		cmd.MarkFlagRequired(f)
	}
	return cmd
}

// settle reads the question as the index wants it. A running sekisho reads it
// itself, in its own time zone.
func settle(q house.Question, zone *time.Location) (trace.Question, error) {
	out := trace.Question{Space: q.Space, Endpoints: q.Endpoints, Compression: q.Compression}
	var err error
	if out.Since, err = house.ParseTime(q.Since, zone); err != nil {
		return out, fmt.Errorf("--since: %w", err)
	}
	if out.Until, err = house.ParseTime(q.Until, zone); err != nil {
		return out, fmt.Errorf("--until: %w", err)
	}
	if out.Hostile, err = sekisho.ParsePrefixes(q.Hostile); err != nil {
		return out, fmt.Errorf("--hostile: %w", err)
	}
	if out.Until <= out.Since {
		return out, fmt.Errorf("--until %s is not after --since %s", q.Until, q.Since)
	}
	if q.Compression < 1 {
		return out, fmt.Errorf("--compression %g: 1 is unpacked, 10 is ten to one", q.Compression)
	}
	return out, nil
}

// atControl speaks with the house that runs on a data directory. If none does,
// it opens the ledger for as long as f takes: what f does is recorded.
func atControl(cmd *cobra.Command, dir, zone string, f func(c *house.Caller) error) error {
	ctx := cmd.Context()
	c, err := call(cmd, dir)
	if errors.Is(err, house.ErrNotRunning) {
		h, err := house.Reopen(ctx, dir, zone, house.Options{Log: logger(slog.LevelWarn)})
		if err != nil {
			return err
		}
		return errors.Join(h.WithControl(ctx, func() error {
			c, err := call(cmd, dir)
			if err != nil {
				return err
			}
			defer c.Close()
			return f(c)
		}), h.Close())
	}
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}
