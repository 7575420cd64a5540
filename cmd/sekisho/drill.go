package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/demo"
	"sekisho/drill"
	"sekisho/house"
)

func drillCommand() *cobra.Command {
	var (
		dir     string
		seed    uint64
		members int
		lang    string
		asJSON  bool
		live    exercise
	)
	cmd := &cobra.Command{
		Use:   "drill SCENARIO",
		Short: "Play a real case through the real gate, and compare the answers with the truth",
		Long: `Plays a case with simulated time: real SQL over real connections, ordinary staff
beside the attacker, real files. The truth is kept apart from all that sekisho
sees, and compared with its answers at the end.

Scenarios: jal-2014 (a million members), jtb-2016 (7,930,000 bookings). --members
plays them smaller.

With --live a case happens while people work on it in the console and on the
command line, and is scored: these two, ana-2014, jal-gift-2014, jal-2026, or a
YAML file of one's own (docs/drills.md).`,
		Example: "  sekisho drill jal-2014 --members 50000\n  sekisho drill jtb-2016 --members 79300 --lang ja\n  sekisho drill jtb-2016 --live --speed 600",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if live.on {
				return live.run(cmd.Context(), cmd.OutOrStdout(), cmd.InOrStdin(), args[0], dir, lang, seed, members)
			}
			if slices.Contains(drill.Cases(), args[0]) && !slices.Contains(drill.Scenarios(), args[0]) {
				return usage{fmt.Errorf("the case %s is an exercise for people: add --live", args[0])}
			}
			if !slices.Contains(drill.Scenarios(), args[0]) {
				return usage{fmt.Errorf("there is no drill called %q: there are %s", args[0], strings.Join(drill.Scenarios(), " and "))}
			}
			words, err := reportWords(lang)
			if err != nil {
				return err
			}
			base, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			if members == 0 {
				members = drill.Size(args[0])
			}
			// Another seed is another story about other people.
			shipped := drill.ShippedSeed(args[0])
			if !cmd.Flags().Changed("seed") {
				seed = shipped
			}
			people := seed
			if seed == shipped && args[0] == drill.Jal2014 {
				people = storeSeed
			}
			cluster, err := storeOf(cmd.Context(), args[0], filepath.Join(base, "postgres"), members, people)
			if err != nil {
				return err
			}
			defer cluster.Stop()
			p, err := play(cmd.Context(), args[0], filepath.Join(base, args[0]), cluster, seed, people, members)
			if p == nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				err = errors.Join(err, e.Encode(p.Told()))
			} else {
				p.Told().Text(cmd.OutOrStdout(), words)
				fmt.Fprintln(cmd.OutOrStdout())
				drill.Table(cmd.OutOrStdout(), words, []*console.Compared{p.Compared()})
			}
			return errors.Join(err, p.Close())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", filepath.Join("var", "drills"), "where the drill keeps its own database and ledger")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "another number than the case's year tells another story about other people")
	cmd.Flags().IntVar(&members, "members", 0, "how many customers the store has; default: as many as the case's")
	cmd.Flags().BoolVar(&live.on, "live", false, "run the case as an exercise: people act, and are scored")
	cmd.Flags().Float64Var(&live.speed, "speed", 480, "with --live: how many times as fast as the clock on the wall")
	cmd.Flags().DurationVar(&live.wait, "wait", 24*time.Hour, "with --live: time of the case that people have after the last inject")
	cmd.Flags().StringVar(&live.listen, "listen", "127.0.0.1:8090", "with --live: address of the console")
	takesLanguage(cmd.Flags(), &lang, "", "language of the report: en or ja; default by LANG")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// reportWords are the words of a report about Japan.
func reportWords(lang string) (*console.Teller, error) {
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		return nil, err
	}
	return console.NewTeller(lang, zone)
}

// storeOf starts the cluster in dir with the store of a case.
func storeOf(ctx context.Context, scenario, dir string, members int, people uint64) (*demo.Cluster, error) {
	if scenario == drill.Jal2014 {
		d := demonstration{dir: filepath.Dir(dir), members: members, seed: people}
		return d.store(ctx)
	}
	cluster, err := demo.StartCluster(ctx, demo.ClusterConfig{Dir: dir, Log: logger(slog.LevelWarn)})
	if err != nil {
		return nil, err
	}
	bar := newBar(os.Stderr, "making bookings")
	bar.set(0, int64(members))
	err = drill.FillJtb(ctx, cluster, people, members)
	bar.done()
	if err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return cluster, nil
}

// play plays a case into dir, in place of what was played there before. If
// the answers contradict the truth, there is an error and what was played.
func play(ctx context.Context, scenario, dir string, cluster *demo.Cluster, seed, people uint64, members int) (*drill.Played, error) {
	text := demo.CatalogYAML
	if scenario == drill.Jtb2016 {
		text = demo.BookingsYAML
	}
	cat, err := unmarshalCatalog(text)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("removing the drill before: %w", err)
	}
	bar := newBar(os.Stderr, "")
	defer bar.done()
	return drill.Play(ctx, drill.Config{
		Scenario: scenario, Cluster: cluster, Seed: seed, StoreSeed: people, Members: members, Catalog: cat, Dir: dir, Log: logger(slog.LevelWarn),
		Progress: func(step string, done, total int) {
			bar.what = fmt.Sprintf("%-28s", step)
			bar.set(int64(done), int64(total))
		},
	})
}

// A performance is a drill that was played, now or in an earlier run.
type performance struct {
	*doors   // of its house: shut until they are shown
	dir      string
	text     string // the report
	incident uint64
	compared *console.Compared
}

// record is what a drill's directory says of how it was played.
type record struct {
	Software string
	Seed     uint64
	People   uint64
	Members  int
	Incident uint64
	En, Ja   string // the report
	Compared *console.Compared
}

// text is the report in the language of w.
func (r *record) text(w *console.Teller) string {
	if w.Lang() == "ja" {
		return r.Ja
	}
	return r.En
}

// perform plays a case, or opens it as it was played before.
func perform(ctx context.Context, scenario, dir string, cluster *demo.Cluster, people uint64, members int) (*performance, error) {
	words, err := reportWords(language(""))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "played.json")
	want := record{Software: house.Software, Seed: drill.ShippedSeed(scenario), People: people, Members: members}
	var have record
	if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &have) == nil {
		want.En, want.Ja, want.Incident, want.Compared = have.En, have.Ja, have.Incident, have.Compared
		if have == want && have.Compared != nil {
			h, err := house.Reopen(ctx, dir, "Asia/Tokyo", house.Options{Log: logger(slog.LevelWarn)})
			if err == nil {
				return &performance{doors: doorsOf(ctx, h, h.Close), dir: dir, text: have.text(words), incident: have.Incident, compared: have.Compared}, nil
			}
			logger(slog.LevelWarn).Warn("the drill of an earlier run cannot be opened, so it is played again", "error", err)
		}
	}
	p, err := play(ctx, scenario, dir, cluster, want.Seed, people, members)
	if err != nil {
		if p != nil {
			p.Told().Text(os.Stdout, words)
			err = errors.Join(err, p.Close())
		}
		return nil, err
	}
	want.Incident, want.Compared = p.Incident(), p.Compared()
	for lang, into := range map[string]*string{"en": &want.En, "ja": &want.Ja} {
		var text strings.Builder
		w, err := reportWords(lang)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.Told().Text(&text, w)
		*into = text.String()
	}
	b, err := json.Marshal(want)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keeping the drill's report: %w", err), p.Close())
	}
	return &performance{doors: doorsOf(ctx, p.House, p.Close), dir: dir, text: want.text(words), incident: want.Incident, compared: want.Compared}, nil
}

// show opens the drill's console, with the users of another, and its control
// socket, and gives the address of the incident.
func (p *performance) show(listen, users string) (string, error) {
	p.house.Config.Console.Listen, p.house.Config.Console.Users = listen, users
	if err := p.openConsole(); err != nil {
		return "", fmt.Errorf("opening the drill's doors: %w", err)
	}
	at := p.console + "/incidents"
	if p.incident != 0 {
		at += fmt.Sprintf("/%d", p.incident)
	}
	return at, nil
}
