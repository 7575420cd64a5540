package console

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho"
)

// What passed the gate by stands on the live page, in its incident and, as far
// as it could not be seen, on the status page, in both languages.
func TestOutside(t *testing.T) {
	state := Outside{Code: "waiting"}
	h := newHouse(t, func(c *Config) { c.Outside = func() Outside { return state } })
	h.roster(10)
	h.lookup("sato", "pc-0417", sekisho.Identity, 5)
	at := sekisho.At(h.clock.now())
	passed := h.append(&sekisho.PassedBy{Principal: h.staff("dba"), Tables: []string{"crm.member", "crm.passport"}, From: at, Until: at + 1, Rows: 412000})
	opened := h.append(
		&sekisho.Alert{Detector: "outside", Principal: h.staff("dba"), Endpoint: "unverified@" + netip.MustParseAddr("10.0.0.9").String(), From: at, Until: at + 1},
		&sekisho.Alert{Detector: "outside", Principal: h.staff("dba"), Endpoint: "unverified@unknown", From: at, Until: at + 1, Observed: 412000, Basis: []uint64{passed}},
		// One of a ledger of before tables were told.
		&sekisho.Alert{Detector: "outside", Principal: h.staff("dba"), Endpoint: "unverified@unknown", From: at, Until: at + 1, Observed: 7})
	page := h.incidentOf(opened)

	for _, c := range []struct {
		lang string
		path string
		want []string
	}{
		{"en", "/", []string{"Alert: Past the gate", "dba"}},
		{"ja", "/", []string{"警報：関所を通らない接続"}},
		{"en", page, []string{"Alert: the database role dba was connected past the gate, from unverified@10.0.0.9",
			"Alert: 412,000 rows of crm.member, crm.passport read or written outside the gate by the database role dba since " + at.Go().In(time.FixedZone("JST", 9*3600)).Format("2 Jan 2006 15:04:05"),
			"Alert: past the gate, the database role dba (unverified@unknown) moved rows of protected tables: 7",
			"The database reported what did not come through the gate (alerts: 3, rows of protected tables: 412,007)"}},
		{"ja", page, []string{"データベースのロール dba が関所を通らず unverified@10.0.0.9 から接続", "関所を通らずに crm.member, crm.passport の行を読み書きした、412,000 行（", "関所を通らないものをデータベースが報告しています（警報 3 件"}},
	} {
		body := h.signedIn(c.lang).get(c.path).body
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s in %s lacks %q:\n%s", c.path, c.lang, want, body)
			}
		}
	}

	b := h.signedIn("en")
	for _, c := range []struct {
		state Outside
		want  []string
	}{
		{Outside{Code: "waiting"}, []string{"Not looked for yet"}},
		{Outside{Code: "off"}, []string{"Not looked for (outside: every: off)"}},
		{Outside{Code: "failed", At: at}, []string{"The last look failed", "It last succeeded on "}},
		{Outside{Code: "looked", At: at, Missing: []string{"sessions", "statements"}}, []string{"Last looked for on ", "Not observed", "What some statements were"}},
		{Outside{Code: "looked", At: at, Missing: []string{"no_statistics", "logins"}}, []string{"pg_stat_statements is not installed", "something stands between gate and database"}},
	} {
		state = c.state
		body := b.get("/status").body
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%+v: the status page lacks %q", c.state, want)
			}
		}
	}
	if body := b.get("/metrics").body; !strings.Contains(body, "sekisho_outside_not_observed 2\n") {
		t.Errorf("the metrics do not say what was not seen:\n%s", body)
	}
}

// incidentOf is the page of the incident that the first alert behind an entry
// opened.
func (h *house) incidentOf(after uint64) string {
	h.t.Helper()
	for began := time.Now(); time.Since(began) < 2*time.Minute; {
		h.settle()
		var page string
		h.views.Read(func() {
			if list := h.console.cfg.Incidents.List(); len(list) > 0 {
				page = "/incidents/" + number(list[0].Number)
			}
		})
		if page != "" {
			return page
		}
	}
	h.t.Fatalf("the alert before entry %d opened no incident", after)
	return ""
}
