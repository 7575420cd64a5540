package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/house"
	"sekisho/law"
	"sekisho/sheet"
)

func lawCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "law",
		Short: "Compute the limits of the law from facts, and show the rules behind them",
		Long: `Duties to report a breach, computed from facts that you give: which regimes
apply, and until when what has to be sent to whom. It needs no running house,
and is not legal advice.`,
	}
	cmd.AddCommand(lawClocks(), lawRules(), lawFacts(), lawHolidays())
	return cmd
}

// rulesFrom is a flag for a company's own directory of rules.
func rulesFrom(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "rules", "", "a directory with rules of your own, beside those that are shipped")
}

func loadRules(own string) (*law.Book, error) {
	dirs := []fs.FS{law.Shipped()}
	if own != "" {
		if _, err := os.Stat(own); err != nil {
			return nil, usage{fmt.Errorf("reading rules of law: %w", err)}
		}
		dirs = append(dirs, os.DirFS(own))
	}
	return law.Load(dirs...)
}

// calculation is what `sekisho law clocks` is asked.
type calculation struct {
	file                                      string
	known, sent, facts, residence, statutory  []string
	established, categories                   []string
	basis, people, industry, zone, now, rules string
	language, materialAt                      string
	ruleI, ruleII, ruleIII, ruleIV            bool
	provisional, inForce, exclusive           bool
	asJSON, all                               bool
}

func lawClocks() *cobra.Command {
	var c calculation
	cmd := &cobra.Command{
		Use:   "clocks --known TIME [--rule-iii] [--people N] [flags]",
		Short: "Compute from facts which duties there are, and until when",
		Long: `Compute from facts which duties to report there are, and until when.

--known is when a department of the company first knew, or may have known; the
earliest counts. A date alone is its first moment. What you do not say is
unknown, that is, under investigation: duties that hang on it are shown with
the earlier limit, and what would change it is named. Days are civil dates in
each regime's own time zone.

Where a rule was not in force when the clock started, it is applied all the
same, and the answer says so: that is how old cases are replayed. --in-force
leaves such rules out.

All facts can stand in a file of YAML or JSON instead (--facts FILE), with the
keys that --json shows under "facts".`,
		Example: `  sekisho law clocks --known 2016-03-19T10:00 --rule-iii --people 7930000 --now 2016-03-19T12:00
  sekisho law clocks --known 2026-11-20T09:30 --people 3000 --residence JP=2800,DE=150,US-CA=50 --fact improper_purpose=yes --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.known, "known", nil, "when a department knew, such as 2016-03-19T10:00; more than one, separated by commas")
	f.StringVar(&c.basis, "basis", law.OtherBasis, "on what: "+strings.Join(law.Bases(), ", "))
	f.BoolVar(&c.provisional, "provisional", false, "nobody has confirmed it yet: it may have occurred")
	f.StringVar(&c.people, "people", "", "how many people at most; not said: unknown")
	f.StringSliceVar(&c.residence, "residence", nil, "where they live, such as JP=2800,DE=150,US-CA=50")
	f.StringSliceVar(&c.established, "established", nil, "where the company is established (default JP, unless --residence is given)")
	f.StringVar(&c.industry, "industry", "", "the company's industry, such as aviation or travel: it chooses recipients")
	f.StringSliceVar(&c.categories, "category", nil, "categories of data, such as contact,travel_document")
	f.BoolVar(&c.ruleI, "rule-i", false, "APPI Rule 7(i): special-care-required personal information (--fact special_care=yes)")
	f.BoolVar(&c.ruleII, "rule-ii", false, "APPI Rule 7(ii): property damage by misuse is likely (--fact payment_risk=yes)")
	f.BoolVar(&c.ruleIII, "rule-iii", false, "APPI Rule 7(iii): an improper purpose is possible (--fact improper_purpose=yes)")
	f.BoolVar(&c.ruleIV, "rule-iv", false, "APPI Rule 7(iv): more than 1,000 people, where --people is not known")
	f.StringSliceVar(&c.facts, "fact", nil, `answers such as encrypted=no; "sekisho law facts" lists the questions`)
	f.StringSliceVar(&c.statutory, "statutory", nil, "counsel's answer whether the data is of a statute's kinds, such as us-ca=yes")
	f.StringVar(&c.materialAt, "material-at", "", "when the company decided that it is material (SEC)")
	f.StringSliceVar(&c.sent, "sent", nil, "what was sent, such as jp-appi/preliminary=2016-03-22T17:00")
	f.StringVar(&c.file, "facts", "", "a file with all of the facts, instead of the flags above")
	f.StringVar(&c.now, "now", "", "the time at which to look (default: now)")
	f.StringVar(&c.zone, "time-zone", "Asia/Tokyo", "of times that name no zone")
	f.BoolVar(&c.inForce, "in-force", false, "leave out rules that were not in force when the clock started")
	f.BoolVar(&c.exclusive, "prelim-first-day-exclusive", false, "count the 3 to 5 days of the preliminary report from the day after knowing")
	f.BoolVar(&c.all, "all", false, "show the regimes that do not apply, too")
	takesLanguage(f, &c.language, "", "language: en or ja; default by LANG")
	f.BoolVar(&c.asJSON, "json", false, "as JSON")
	rulesFrom(cmd, &c.rules)
	return cmd
}

func (c *calculation) run(cmd *cobra.Command) error {
	rules, err := loadRules(c.rules)
	if err != nil {
		return err
	}
	if c.exclusive {
		if err := rules.Set("jp-appi", "prelim.first_day_inclusive", false); err != nil {
			return err
		}
	}
	zone, err := time.LoadLocation(c.zone)
	if err != nil {
		return usage{fmt.Errorf("--time-zone: %w", err)}
	}
	q := law.Question{Now: time.Now(), Replay: !c.inForce}
	if c.now != "" {
		if q.Now, err = c.time("--now", c.now, zone); err != nil {
			return err
		}
	}
	if q.Facts, err = c.gather(cmd, rules, zone); err != nil {
		return usage{err}
	}
	if err := q.Facts.Check(rules); err != nil {
		return usage{fmt.Errorf("the facts: %w", err)}
	}
	findings := rules.Judge(q)
	if c.asJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			Now      time.Time     `json:"now"`
			Facts    law.Facts     `json:"facts"`
			Findings []law.Finding `json:"findings"`
		}{q.Now, q.Facts, findings})
	}
	printDuties(cmd.OutOrStdout(), findings, c.language, c.all)
	return nil
}

func (c *calculation) time(flag, s string, zone *time.Location) (time.Time, error) {
	t, err := house.ParseTime(s, zone)
	if err != nil {
		if exact, e := time.ParseInLocation("2006-01-02T15:04:05", s, zone); e == nil {
			return exact, nil
		}
		return time.Time{}, usage{fmt.Errorf("%s: %w", flag, err)}
	}
	return t.Go().In(zone), nil
}

// gather reads the facts from the flags, or from the file.
func (c *calculation) gather(cmd *cobra.Command, rules *law.Book, zone *time.Location) (f law.Facts, err error) {
	if c.file != "" {
		for _, name := range []string{"known", "people", "residence", "fact", "statutory", "sent", "established", "rule-i", "rule-ii", "rule-iii", "rule-iv"} {
			if cmd.Flags().Changed(name) {
				return f, fmt.Errorf("--%s and --facts exclude each other: the file has all of the facts", name)
			}
		}
		text, err := readAtMost(c.file, 1<<20)
		if err != nil {
			return f, fmt.Errorf("reading the facts: %w", err)
		}
		return f, sheet.Read(text, &f)
	}
	if len(c.known) == 0 {
		return f, errors.New("--known is missing: when a department of the company knew, such as --known 2016-03-19T10:00 (or --facts FILE)")
	}
	f.Answers, f.Statutory, f.At = map[string]law.Answer{}, map[string]law.Answer{}, map[string]time.Time{}
	f.Industry, f.Categories, f.Established = c.industry, c.categories, c.established
	if len(c.established) == 0 && len(c.residence) == 0 {
		f.Established = []string{"JP"}
	}
	state := law.Confirmed
	if c.provisional {
		state = law.Provisional
	}
	for _, s := range c.known {
		at, err := c.time("--known", s, zone)
		if err != nil {
			return f, err
		}
		f.Aware = append(f.Aware, law.Aware{At: at, Basis: c.basis, State: state})
	}
	if c.people != "" {
		n, err := strconv.ParseUint(c.people, 10, 64)
		if err != nil {
			return f, fmt.Errorf("--people %q is no number", c.people)
		}
		f.Subjects.Upper = &n
	} else if c.ruleIV {
		f.Subjects.Upper = law.N(1001)
	}
	for _, s := range c.residence {
		place, number, ok := strings.Cut(s, "=")
		n, err := strconv.ParseUint(number, 10, 64)
		if !ok || err != nil {
			return f, fmt.Errorf("--residence %q: write PLACE=NUMBER, such as DE=150", s)
		}
		f.Subjects.Residence = append(f.Subjects.Residence, law.Residence{Place: place, Upper: n})
	}
	if f.Subjects.Upper == nil && len(c.residence) > 0 {
		var sum uint64
		for _, r := range f.Subjects.Residence {
			sum += r.Upper
		}
		f.Subjects.Upper = &sum
	}
	for name, is := range map[string]bool{law.SpecialCare: c.ruleI, law.PaymentRisk: c.ruleII, law.ImproperPurpose: c.ruleIII} {
		if is {
			f.Answers[name] = law.Yes
		}
	}
	for _, pair := range []struct {
		flag string
		list []string
		into map[string]law.Answer
	}{{"--fact", c.facts, f.Answers}, {"--statutory", c.statutory, f.Statutory}} {
		for _, s := range pair.list {
			name, answer, _ := strings.Cut(s, "=")
			if pair.into[name], err = law.ParseAnswer(answer); err != nil || name == "" {
				return f, fmt.Errorf("%s %q: write NAME=yes, NAME=no or NAME=unknown", pair.flag, s)
			}
		}
	}
	if c.materialAt != "" {
		if f.At[law.Material], err = c.time("--material-at", c.materialAt, zone); err != nil {
			return f, err
		}
		f.Answers[law.Material] = law.Yes
	}
	for _, s := range c.sent {
		what, when, _ := strings.Cut(s, "=")
		regime, step, ok := strings.Cut(what, "/")
		if !ok {
			return f, fmt.Errorf("--sent %q: write REGIME/STEP=TIME, such as jp-appi/preliminary=2016-03-22T17:00", s)
		}
		at, err := c.time("--sent", when, zone)
		if err != nil {
			return f, err
		}
		f.Reports = append(f.Reports, law.Report{Regime: regime, Step: step, At: at})
	}
	return f, nil
}

// readAtMost reads a small file of the user's.
func readAtMost(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return text, err
}

// lawWords are the few words of the command's own; the rules bring theirs.
var lawWords = map[string]law.Words{
	"triggered":     {EN: "APPLIES", JA: "該当"},
	"maybe":         {EN: "MAY APPLY: nobody has confirmed the event", JA: "該当のおそれ（覚知した事象は未確認）"},
	"unknown":       {EN: "UNKNOWN: facts are under investigation", JA: "不明（調査中の事実による）"},
	"not":           {EN: "does not apply", JA: "該当しない"},
	"not in force":  {EN: "not in force on that day", JA: "当日は施行されていない"},
	"running":       {EN: "running", JA: "進行中"},
	"due soon":      {EN: "DUE SOON", JA: "期限間近"},
	"overdue":       {EN: "OVERDUE", JA: "期限超過"},
	"met":           {EN: "met", JA: "実施済み"},
	"met late":      {EN: "met, late", JA: "遅れて実施"},
	"open":          {EN: "without delay; the text has no number of days", JA: "速やかに（日数の定めなし）"},
	"limit unknown": {EN: "LIMIT UNKNOWN", JA: "期限不明"},
	"waiting":       {EN: "has not started", JA: "未起算"},
	"lifted":        {EN: "not owed: somebody else was told instead", JA: "義務なし（代わる通知済み）"},
	"replayed":      {EN: "Not in force when the clock started: applied as a replay.", JA: "起算日には施行されていない。仮に当てはめたもの。"},
	"missing":       {EN: "under investigation", JA: "調査中"},
	"source":        {EN: "source", JA: "出典"},
	"edition":       {EN: "edition", JA: "版"},
	"to":            {EN: "to", JA: "提出先"},
	"advice":        {EN: "by the guideline", JA: "ガイドラインによる"},
	"conditional":   {EN: "if it applies", JA: "該当する場合"},
	"provisional":   {EN: "provisional", JA: "仮"},
	"confirmed":     {EN: "confirmed", JA: "確認済み"},
	"one source":    {EN: "one source", JA: "一つの資料による"},
	"unconfirmed":   {EN: "unconfirmed", JA: "未確認"},
	"computed":      {EN: "the calendar of that year is not announced yet", JA: "その年の祝日は未公表"},
}

func printDuties(out io.Writer, list []law.Finding, language string, all bool) {
	say := func(key string) string { return lawWords[key].In(language) }
	disclaimers := []string{}
	hidden := 0
	var perhaps []string
	for _, f := range list {
		if !all && f.Verdict == law.Undecided && slices.Contains(f.Missing, "residence") {
			perhaps = append(perhaps, f.Regime)
			continue
		}
		if !all && (f.Verdict == law.NotReached || f.Verdict == law.NotInForce) {
			hidden++
			continue
		}
		fmt.Fprintf(out, "%s%s: %s\n", f.Name.In(language), sheet.Added(string(f.Regime), language), say(string(f.Verdict)))
		for _, r := range f.Reasons {
			fmt.Fprintf(out, "  - %s\n", r.In(language))
		}
		if len(f.Missing) > 0 {
			fmt.Fprintf(out, "  %s: %s\n", say("missing"), strings.Join(f.Missing, ", "))
		}
		if f.Replayed {
			fmt.Fprintf(out, "  %s\n", say("replayed"))
		}
		for _, c := range f.Clocks {
			printClock(out, c, say, language)
		}
		fmt.Fprintf(out, "  %s: %s%s\n  %s: %s\n\n", say("edition"), f.Edition, sheet.Added(say(string(f.Status)), language), say("source"), f.Source)
		if d := f.Disclaimer.In(language); !slices.Contains(disclaimers, d) {
			disclaimers = append(disclaimers, d)
		}
	}
	if len(perhaps) > 0 {
		fmt.Fprintln(out, law.Words{EN: "Where the people live is not known, so these may apply too: " + strings.Join(perhaps, ", ") + ". --residence says it; --all shows them.",
			JA: "本人の居住地が不明のため、次の制度も該当しうる: " + strings.Join(perhaps, ", ") + "（--residence で指定、--all で表示）。"}.In(language))
	}
	if hidden > 0 {
		fmt.Fprintln(out, law.Words{EN: fmt.Sprintf("regimes that do not apply: %d; --all shows why.", hidden), JA: fmt.Sprintf("該当しない制度が%d件ある（--all で理由を表示）。", hidden)}.In(language))
	}
	for _, d := range disclaimers {
		fmt.Fprintln(out, d)
	}
}

// dayName is a date with its day of the week, as 2016-05-17 (Tue).
func dayName(day, language string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	if language == "ja" {
		return day + "（" + string([]rune("日月火水木金土")[t.Weekday()]) + "）"
	}
	return day + t.Format(" (Mon)")
}

// limitText says until when, in words.
func limitText(c law.Clock, language string) string {
	if c.Due.IsZero() {
		return ""
	}
	until := dayName(c.DueDay, language)
	if c.Unit == "hours" || c.Unit == "months" {
		until += c.Due.Format(" 15:04:05 MST")
	}
	if c.From != "" {
		return law.Words{EN: dayName(c.From, language) + " to " + until, JA: dayName(c.From, language) + "〜" + until}.In(language)
	}
	return law.Words{EN: "until " + until, JA: until + "まで"}.In(language)
}

func printClock(out io.Writer, c law.Clock, say func(string) string, language string) {
	notes := []string{}
	note := func(is bool, text string) {
		if is {
			notes = append(notes, text)
		}
	}
	count := law.Words{EN: "elapsed", JA: "初日不算入"}
	if c.Count == "inclusive" {
		count = law.Words{EN: "knowing day = day 1", JA: "初日算入"}
	}
	units := map[string]law.Words{"hours": {EN: "hours", JA: "時間"}, "days": {EN: "days", JA: "日"}, "months": {EN: "month", JA: "か月"}, "business_days": {EN: "business days", JA: "営業日"}}
	note(c.Amount > 0, fmt.Sprintf("%d %s, %s", c.Amount, units[c.Unit].In(language), count.In(language)))
	note(c.Advice, say("advice"))
	note(c.Provisional, say("provisional"))
	note(c.Conditional, say("conditional"))
	note(c.Computed, say("computed"))
	note(c.Status != law.StatusConfirmed, say(string(c.Status)))
	line := strings.TrimSpace(limitText(c, language) + "  " + say(string(c.State)))
	if len(notes) > 0 {
		line += " [" + strings.Join(notes, "; ") + "]"
	}
	fmt.Fprintf(out, "  %-18s %s\n", c.Step, line)
	indent := func(format string, args ...any) {
		fmt.Fprintf(out, "  %-18s %s\n", "", fmt.Sprintf(format, args...))
	}
	indent("%s — %s", c.Name.In(language), c.Article)
	for _, r := range c.Rolled {
		indent("%s: %s", dayName(r.Day, language), r.Why.In(language))
	}
	for _, a := range c.If {
		indent("%s", law.Words{EN: fmt.Sprintf("until %s (%d) if trigger %s holds", dayName(a.DueDay, language), a.Amount, a.Trigger), JA: fmt.Sprintf("要件%sに該当するときは%sまで（%d）", a.Trigger, dayName(a.DueDay, language), a.Amount)}.In(language))
	}
	if c.Error != "" {
		indent("%s", c.Error)
	}
	for _, r := range c.Recipients {
		indent("%s: %s%s", say("to"), r.Name.In(language), prefixed(", ", r.Via))
	}
}

func lawRules() *cobra.Command {
	var own, language string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rules [REGIME]",
		Short: "List the rules with their editions, sources and how sure they are",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := loadRules(own)
			if err != nil {
				return err
			}
			list := slices.Clone(rules.Regimes())
			if len(args) == 1 {
				if list = slices.DeleteFunc(list, func(r *law.Regime) bool { return r.ID != args[0] }); len(list) == 0 {
					return usage{fmt.Errorf("there is no regime %q: sekisho law rules lists them", args[0])}
				}
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, map[string]any{"regimes": list, "detectors": rules.Detectors()})
			}
			for _, r := range list {
				fmt.Fprintf(out, "%-11s %-3s %-11s %s\n", r.ID, r.Jurisdiction, r.Status, r.Name.In(language))
				fmt.Fprintf(out, "            %s; in force %s\n", r.Edition, inForce(r))
				if len(args) == 1 {
					printRegime(out, r, language)
				}
			}
			fmt.Fprintln(out, list[0].Disclaimer.In(language))
			return nil
		},
	}
	takesLanguage(cmd.Flags(), &language, "", "language: en or ja; default by LANG")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, with everything that the files say")
	rulesFrom(cmd, &own)
	return cmd
}

func inForce(r *law.Regime) string {
	switch {
	case r.From == "" && r.To == "":
		return "since: no source was read"
	case r.To == "":
		return "from " + r.From
	}
	return "from " + r.From + " to " + r.To
}

func printRegime(out io.Writer, r *law.Regime, language string) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(out, "  %-10s%s\n", what, fmt.Sprintf(format, args...))
	}
	line("source", "%s", r.Source)
	if n := r.Note.In(language); n != "" {
		line("note", "%s", n)
	}
	for _, t := range r.Triggers {
		line("trigger", "%s: %s %v", t.ID, t.Text.In(language), t.When)
	}
	for _, x := range r.Exempt {
		line("exempt", "%s %v", x.Text.In(language), x.When)
	}
	for _, c := range r.Clocks {
		limit := c.Limit
		if c.Limit == "fixed" {
			limit = fmt.Sprintf("%d %s, %s, from %s", c.Amount, c.Unit, c.Count, c.Start)
		}
		line("clock", "%s (%s; %s): %s. %s", c.Step, c.Article, c.Status, limit, c.Text.In(language))
	}
	for _, p := range r.Recipients {
		line("recipient", "%s%s: %s (%s)", p.To, prefixed(" of ", p.Industry), p.Name.In(language), p.Status)
	}
	for _, i := range r.Items {
		line("item", "%s %s. %s", i.ID, i.Name.In(language), i.Detail.In(language))
	}
}

func lawFacts() *cobra.Command {
	var own, language string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "facts",
		Short: "List the questions on which duties hang",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := loadRules(own)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), rules.Facts())
			}
			for _, f := range rules.Facts() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s%s\n", f.ID, f.Question.In(language), prefixed(" — ", f.Source))
			}
			return nil
		},
	}
	takesLanguage(cmd.Flags(), &language, "", "language: en or ja; default by LANG")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	rulesFrom(cmd, &own)
	return cmd
}

func lawHolidays() *cobra.Command {
	var own, language, calendar string
	var year int
	cmd := &cobra.Command{
		Use:   "holidays --year YEAR",
		Short: "List the holidays that limits roll over",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := loadRules(own)
			if err != nil {
				return err
			}
			c := rules.Calendar(calendar)
			if c == nil {
				return usage{fmt.Errorf("there is no calendar %q: there are %s", calendar, strings.Join(rules.Calendars(), ", "))}
			}
			for day := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == year; day = day.AddDate(0, 0, 1) {
				name, holiday, err := c.Holiday(day)
				if err != nil {
					return usage{err}
				}
				if holiday {
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", dayName(day.Format(time.DateOnly), language), name.In(language))
				}
			}
			if year > c.Published {
				fmt.Fprintln(cmd.OutOrStdout(), lawWords["computed"].In(language))
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&year, "year", time.Now().Year(), "which year")
	cmd.Flags().StringVar(&calendar, "calendar", "jp", "which calendar")
	takesLanguage(cmd.Flags(), &language, "", "language: en or ja; default by LANG")
	rulesFrom(cmd, &own)
	return cmd
}
