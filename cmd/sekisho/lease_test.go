package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/console"
	"sekisho/survey"
)

// What a shared budget looks like on the command line, at either side.
func TestSharedBudgetsPrinted(t *testing.T) {
	use := budget.Use{Budget: "month", Subject: "member", Used: 60, Customers: 139, Within: budget.Span(30 * 24 * time.Hour), State: "free"}
	lent, taken := use, use
	lent.Lent, lent.Overshoot = []budget.Lent{{Gate: 2, Share: 79, Used: 71, Lapsed: true}}, 79
	taken.Taken = &budget.Taken{Share: 79, Until: 1_411_088_400_000_000}
	for _, one := range []struct {
		page console.BudgetsPage
		want string
		ja   []string
	}{
		{console.BudgetsPage{Fault: 79, Channel: console.Channel{Margin: budget.Span(time.Minute), Gates: []console.ChannelGate{{Number: 2, Name: "gate-2", Asked: 1_411_084_800_000_000}}}, Uses: []console.BudgetUse{{Use: lent, Percent: 43}}}, `
gate 2 (gate-2) has shares of these budgets; it asked at 2014-09-19 00:00:00
greatest overshoot: 0; if a gate spends a share that has ended (its clocks or its process stand still for more than 1m), at most 79 customers: the shares of all others
month                everybody (member)                      60 of 139         43%  within 30d    gate 2: 79, of which 71 used, lapsed
`, []string{"関所 2（gate-2）がこの閲覧枠の一部を持つ。最後の問い合わせは 2014-09-19 00:00:00\n", "\nmonth                全員（member）                          60 / 139         43%  期間 30d    関所 2: 79 人、うち使用 71 人、期限切れ\n"}},
		{console.BudgetsPage{Channel: console.Channel{From: &console.ChannelFrom{Number: 1, Name: "gate-1", Address: "10.0.0.5:7443", Error: "no route to host"}}, Uses: []console.BudgetUse{{Use: taken, Percent: 43}}}, `
gate 1 (gate-1, 10.0.0.5:7443) grants the shares of this one, and is not reached: no route to host
month                everybody (member)                      60 of 139         43%  within 30d    share of 79 until 2014-09-19 01:00:00
`, []string{"応答がない: no route to host\n", "枠 79 人、2014-09-19 01:00:00 まで\n"}},
	} {
		for _, lang := range []string{"en", "ja"} {
			w, err := console.NewTeller(lang, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			out.WriteByte('\n')
			printChannel(&out, &one.page, time.UTC, w)
			printUses(&out, &one.page, 20, time.UTC, w)
			if lang == "en" && out.String() != one.want {
				t.Errorf("got:%s\nwant:%s", out.String(), one.want)
			}
			for _, want := range one.ja {
				if lang == "ja" && !strings.Contains(out.String(), want) {
					t.Errorf("got:%s\nwant:%s", out.String(), want)
				}
			}
		}
	}
}

// What the doctor asks of it.
func TestDoctorKnowsWhatIsLent(t *testing.T) {
	at := sekisho.At(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	lent := budget.Lent{Gate: 2, Share: 79, Used: 71, Lapsed: true}
	p := console.BudgetsPage{At: at, Shared: true,
		Channel: console.Channel{Gates: []console.ChannelGate{{Number: 2, Name: "gate-2"}, {Number: 3, Name: "gate-3", Asked: at, Claimed: 5}}, Left: &console.ChannelLeft{Customers: 9, Frees: at + 60e6}},
		Uses:    []console.BudgetUse{{Use: budget.Use{Lent: []budget.Lent{lent, {Gate: 3, Share: 5}}}, Lapses: at + 120e6}}}
	want := survey.Lending{Silent: []string{"gate-2"}, Claimed: []string{"gate-3 (5)"}, Lapsed: 79, LapsedUntil: "2026-04-01 00:02:00", Left: 9, LeftUntil: "2026-04-01 00:01:00"}
	if got := lendingOf(&p, time.UTC); !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, want %+v", *got, want)
	}
	p = console.BudgetsPage{At: at, Channel: console.Channel{From: &console.ChannelFrom{Error: "no route to host"}}}
	if got := lendingOf(&p, time.UTC); !reflect.DeepEqual(*got, survey.Lending{Away: "no route to host"}) {
		t.Errorf("%+v", *got)
	}
}
