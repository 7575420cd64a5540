package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/console"
	"sekisho/house"
)

func documentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "document",
		Short: "Policies and handbooks: write, approve, put into force, compare with the public page",
		Long: `A text that the company gives itself is written by one person, approved by
others in their roles, and then put into force. Everybody who must acknowledge
it does so at the employees' door. The page that the world reads is compared
with the approved version once a day.`,
	}
	cmd.AddCommand(documentList(), documentShow(), documentWrite(), documentCheck(),
		documentAct("approve", "approved", "Approve a version that somebody else wrote"),
		documentAct("reject", "rejected", "Reject a version that somebody else wrote"),
		documentAct("withdraw", "withdrawn", "Withdraw a version"),
		documentAct("publish", "published", "Put an approved version into force"),
		documentAct("retire", "retired", "End a document that is in force"),
		documentAct("keep", "keep", "Say that what is in force still fits; a second person has to agree"),
		documentAct("change", "change", "Say that what is in force must change; a second person has to agree"),
		documentAct("agree", "agreed", "Agree with a review"),
		documentAct("disagree", "disagreed", "Disagree with a review"))
	return cmd
}

// documentAsk runs f with the running house and prints its answer.
func documentAsk[T any](cmd *cobra.Command, path, data string, machine bool, f func(ctx context.Context, c *house.Caller) (T, error), text func(w io.Writer, day func(sekisho.Time) string, t T)) error {
	return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
		t, err := f(ctx, c)
		if err != nil {
			return err
		}
		if machine {
			return asJSON(cmd.OutOrStdout(), t)
		}
		text(cmd.OutOrStdout(), func(at sekisho.Time) string { return at.Go().In(c.Zone).Format(time.DateOnly) }, t)
		return nil
	})
}

func printDocuments(w io.Writer, day func(sekisho.Time) string, p console.DocumentsPage) {
	if len(p.Documents) == 0 {
		fmt.Fprintln(w, "There is no document yet. Write one with: sekisho document write NAME --sort policy --ja policy.ja.md")
	}
	for _, d := range p.Documents {
		state := "nothing is in force"
		switch {
		case d.Retired != 0:
			state = "retired " + day(d.Retired)
		case d.InForce != 0:
			state = fmt.Sprintf("version %d (%d) since %s", d.Count, d.InForce, day(d.From))
			if d.Review != 0 {
				state += ", review due " + day(d.Review)
			}
			if d.Late {
				state += " (overdue)"
			}
		}
		if d.Draft != 0 {
			state += fmt.Sprintf("; version %d is %s", d.Draft, d.State)
		}
		if d.Must {
			of := "an unknown number"
			if d.People > 0 {
				of = fmt.Sprint(d.People)
			}
			state += fmt.Sprintf("; acknowledged by %d of %s", d.Signed, of)
		}
		if d.Page != "" {
			state += "; public page: " + d.Page
		}
		fmt.Fprintf(w, "%-24s %-10s %s\n", d.Name, d.Sort, state)
	}
}

func printDocument(w io.Writer, day func(sekisho.Time) string, p console.DocumentPage) {
	fmt.Fprintf(w, "%s (%s), version %d, number %d: %s\n", p.Name, p.Sort, p.Version.Count, p.Version.Number, strings.ReplaceAll(p.Version.State, "_", " "))
	fmt.Fprintf(w, "  written by %s on %s\n", p.Version.By, day(p.Version.At))
	for _, s := range p.Said {
		fmt.Fprintf(w, "  %s: %s", s.By, s.Action)
		if s.Role != "" {
			fmt.Fprintf(w, " as %s", s.Role)
		}
		if s.Text != "" {
			fmt.Fprintf(w, ": %s", s.Text)
		}
		fmt.Fprintln(w)
	}
	if p.Version.State == "draft" {
		fmt.Fprintf(w, "  still to approve: %s\n", strings.Join(p.Wanting, ", "))
	}
	for _, r := range p.Reviews {
		fmt.Fprintf(w, "  review %d by %s: %s", r.Entry, r.By, r.Outcome)
		if r.Answer == "" {
			fmt.Fprint(w, ", waits for a second person")
		} else {
			fmt.Fprintf(w, ", %s %s", r.Second, r.Answer)
		}
		fmt.Fprintln(w)
	}
	for _, t := range p.Texts {
		fmt.Fprintf(w, "  %s: SHA-256 %s", t.Language, t.SHA256)
		if len(t.Diff) > 0 {
			fmt.Fprintf(w, ", %s new, %d gone", counted(t.Added, "line"), t.Removed)
		}
		fmt.Fprintln(w)
	}
}

func documentList() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the documents, those that need somebody first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return documentAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.DocumentsPage, error) { return c.Documents(ctx) }, printDocuments)
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func documentCheck() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check", Short: "Compare what the world reads with the approved versions, now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return documentAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.DocumentsPage, error) {
				return c.CheckDocuments(ctx)
			}, printDocuments)
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func documentShow() *cobra.Command {
	var path, data string
	var asJSON bool
	var version uint64
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a document: who approved what, and what is in force", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return documentAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.DocumentPage, error) {
				return c.Document(ctx, args[0], version)
			}, printDocument)
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().Uint64Var(&version, "version", 0, "the number of a version; default: the one that waits, else the one in force")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func documentWrite() *cobra.Command {
	var path, data, en, ja string
	var asJSON bool
	var a console.DocumentAsk
	cmd := &cobra.Command{
		Use: "write NAME", Short: "Keep a new version, or a new document, as a draft", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Name = args[0]
			for file, into := range map[string]*string{en: &a.English, ja: &a.Japanese} {
				if file == "" {
					continue
				}
				raw, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("reading the text: %w", err)
				}
				*into = string(raw)
			}
			return documentAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.DocumentPage, error) {
				return c.WriteDocument(ctx, a)
			}, printDocument)
		},
	}
	where(cmd, &path, &data)
	f := cmd.Flags()
	f.StringVar(&a.Sort, "sort", "policy", "policy, handbook, rule, duty-sheet or nda; handling: sekisho handling propose writes it")
	f.StringVar(&en, "en", "", "the file with the English text, in Markdown")
	f.StringVar(&ja, "ja", "", "the file with the Japanese text, in Markdown")
	f.BoolVar(&a.Public, "public", false, "the world may read it")
	f.BoolVar(&a.Acknowledge, "acknowledge", false, "everybody of the company must acknowledge it")
	f.Uint64Var(&a.ReviewDays, "review-days", 365, "days between reviews")
	f.StringVar(&a.Owner, "owner", "", "the account that answers for it; default: you")
	f.StringVar(&a.Said, "new", "", "what is new in it")
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func documentAct(use, action, short string) *cobra.Command {
	var path, data string
	var asJSON bool
	a := console.DocumentAct{Action: action}
	cmd := &cobra.Command{
		Use: use + " NAME --version NUMBER", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.Version == 0 {
				return usage{fmt.Errorf("say which version by --version NUMBER: sekisho document show %s has it", args[0])}
			}
			return documentAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.DocumentPage, error) {
				return c.ActOnDocument(ctx, args[0], a)
			}, printDocument)
		},
	}
	where(cmd, &path, &data)
	f := cmd.Flags()
	f.Uint64Var(&a.Version, "version", 0, "the number of the version that you have read")
	f.StringVar(&a.Said, "text", "", "what you say to it")
	switch action {
	case "approved":
		f.StringVar(&a.Role, "as", "", "the role in which you approve, if you hold several")
	case "agreed", "disagreed":
		f.Uint64Var(&a.Review, "review", 0, "the number of the review")
	case "published", "retired":
		f.StringVar(&a.From, "from", "", "since when; default: now")
	}
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}
