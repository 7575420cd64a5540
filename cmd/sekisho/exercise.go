package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekisho/demo"
	"sekisho/drill"
	"sekisho/house"
)

// An exercise is a drill in which people act.
type exercise struct {
	on     bool
	speed  float64
	wait   time.Duration
	listen string
}

func (x *exercise) run(ctx context.Context, out io.Writer, in io.Reader, name, dir, lang string, seed uint64, members int) (err error) {
	if x.speed <= 0 || x.speed > 1_000_000 {
		return usage{errors.New("--speed is above 0, and at most 1,000,000")}
	}
	words, err := reportWords(lang)
	if err != nil {
		return err
	}
	var one *drill.Case
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if one, err = drill.ReadCase(text); err != nil {
			return usage{err}
		}
	} else if one, err = drill.ShippedCase(name); err != nil {
		return usage{err}
	}
	if seed == 0 {
		seed = drill.DefaultSeedJtb
	}
	if members == 0 {
		members = 20_000
	}
	if members < 2000 {
		return usage{fmt.Errorf("--members %d: an exercise needs at least 2,000", members)}
	}
	base, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	cluster, err := storeOf(ctx, drill.Jtb2016, filepath.Join(base, "postgres"), members, seed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	cat, err := unmarshalCatalog(demo.BookingsYAML)
	if err != nil {
		return err
	}
	// Another exercise of the same case leaves the evidence of the one before.
	at := filepath.Join(base, "live-"+one.Name+"-"+time.Now().Format("20060102-150405"))
	bar := newBar(os.Stderr, "")
	e, err := drill.OpenExercise(ctx, drill.Config{Scenario: one.Name, Cluster: cluster, Seed: seed, StoreSeed: seed, Members: members, Catalog: cat, Dir: at, Log: logger(slog.LevelWarn),
		Progress: func(step string, done, total int) {
			bar.what = fmt.Sprintf("%-28s", step)
			bar.set(int64(done), int64(total))
		}}, one, words)
	bar.done()
	if err != nil {
		return err
	}
	d := doorsOf(ctx, e.House, e.Close)
	defer func() { err = errors.Join(err, d.close()) }()
	e.House.Config.Console.Listen = x.listen
	if err := d.openConsole(); err != nil {
		return err
	}
	d.attend(e.House)
	fmt.Fprintf(out, "%s\n\nthe console    %s\nsign in        %s / %s\nthe ledger     %s   (for the commands: --ledger DIR)\n\n", words.Say("exercise.head", one.Name), d.console, d.user, d.password, at)
	fmt.Fprintf(out, "A line typed here is an observer's note; \"end\" ends it.\n\n")
	notes := make(chan string)
	go func() {
		for lines := bufio.NewScanner(in); lines.Scan(); {
			select {
			case notes <- lines.Text():
			case <-d.ctx.Done():
				return
			}
		}
	}()
	score, err := e.Run(ctx, drill.Going{Speed: x.speed, Wait: x.wait, Notes: notes, Say: func(at time.Time, text string) {
		fmt.Fprintf(out, "[%s] %s  %s\n", strings.ToUpper(words.Say("drill.short")), at.In(e.House.Zone).Format("2006-01-02 15:04"), text)
	}})
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	score.Text(out, words)
	return nil
}

// attend keeps a house's own work going while its doors are open.
func (d *doors) attend(h *house.House) {
	d.running.Go(func() { h.KeepRevised(d.ctx) })
	d.running.Go(func() { h.KeepContained(d.ctx) })
	d.running.Go(func() { h.KeepEscalated(d.ctx) })
}
