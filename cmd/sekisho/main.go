// Command sekisho is the checkpoint in front of a company's customer data.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sekisho/gate"
	"sekisho/house"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	gate.Processors()
	if cmd, err := root().ExecuteContextC(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sekisho:", tellError(err, spoken(cmd)))
		os.Exit(exitCode(err))
	}
}

// exitCode: 1 for what went wrong, 2 for what was asked wrongly, 3 for a check
// that found something. The doctor has words of its own.
func exitCode(err error) int {
	var u usage
	var promised status
	switch {
	case errors.As(err, &promised):
		return promised.code
	case errors.As(err, &u):
		return 2
	case errors.Is(err, errFound):
		return 3
	}
	return 1
}

// usage is an error of whoever typed the command.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// errFound: a check did its work and found something wrong.
var errFound = both("something was found", "検査で見つかったものがある")

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sekisho",
		Short: "Know every customer record that leaves the database, before it leaves",
		Long: `sekisho stands between a PostgreSQL database and everybody who reads it, and
names each customer whose record leaves in a durable ledger before it leaves.

Start with "sekisho demo", which brings a database of its own, or with
"sekisho up --config sekisho.yaml" in front of yours.`,
		Version:       strings.TrimPrefix(house.Software, "sekisho "),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(wrongFlag)
	var lang string
	takesLanguage(cmd.PersistentFlags(), &lang, "", "language: en or ja; default by LANG")
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Begin:", []*cobra.Command{demoCommand(), initCommand(), doctorCommand(), upCommand(), readinessCommand(), policyCommand()}},
		{"An incident:", []*cobra.Command{impactCommand(), incidentCommand(), containCommand(), clockCommand(), lawCommand(), tellCommand(), deskCommand(), drillCommand()}},
		{"Day by day:", []*cobra.Command{exportCommand(), budgetCommand(), decoyCommand(), userCommand(), loginCommand(), caCommand(), verifierCommand(), ledgerCommand(), handCommand(), breakglassCommand()}},
		{"The policy's promises:", []*cobra.Command{dutyCommand(), documentCommand(), handlingCommand(), trainingCommand(), phishingCommand(), checkCommand(), registerCommand(), directoryCommand()}},
		{"", []*cobra.Command{versionCommand()}},
	} {
		for _, c := range group.commands {
			c.GroupID = group.title
			cmd.AddCommand(c)
		}
		if group.title != "" {
			cmd.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		}
	}
	strict(cmd)
	return cmd
}

// strict makes wrong arguments a usage error, here and below. A command that
// only has others under it would else take a mistyped one for a cry for help,
// and end well.
func strict(cmd *cobra.Command) {
	if cmd.Runnable() {
		cmd.Args = checked(cmd.Args)
	} else if cmd.HasSubCommands() {
		cmd.DisableFlagsInUseLine, cmd.SuggestionsMinimumDistance = true, 2
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(c *cobra.Command, given []string) error {
			if len(given) == 0 {
				return c.Help()
			}
			w := speak(c)
			said := w.Say("cmd.nocommand", given[0], c.CommandPath())
			if near := c.SuggestionsFor(given[0]); len(near) > 0 {
				said += w.Say("cmd.near", near[0])
			}
			return usage{errors.New(said + w.Say("cmd.help", c.CommandPath()))}
		}
	}
	for _, c := range cmd.Commands() {
		strict(c)
	}
}

// logger writes what happens to standard error, from a level on that the
// environment can change.
func logger(level slog.Level) *slog.Logger {
	if l := os.Getenv("SEKISHO_LOG"); l != "" {
		level.UnmarshalText([]byte(l))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
