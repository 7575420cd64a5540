package tell

import (
	"net/netip"
	"slices"
	"strings"

	"sekisho"
)

// Who did something with a lure: a person, or a machine that reads mails before
// people do. Judged are visits: what was done with one lure from one place with
// one program. Nothing is thrown away: what is certain of neither is shown as
// uncertain.

// Class is who is held to have done something.
type Class byte

const (
	Machine Class = iota
	Uncertain
	Human
)

func (c Class) String() string { return [...]string{"machine", "uncertain", "human"}[c] }

// Classes are all of them.
func Classes() []Class { return []Class{Human, Uncertain, Machine} }

const (
	tooSoon  = 5 * 1e6  // µs after the mail was taken: nobody reads so quickly
	together = 30 * 1e6 // µs within which what machines do with one lure belongs together
	fetches  = 3        // of one link within that time, by nobody whose hand was seen
)

// A visit is what was done with one lure by one program.
type visit struct {
	number  uint32
	first   sekisho.Time
	deeds   []Deed
	soon    bool // begun at once after the mail was taken
	stirred bool // a script saw a hand
	trap    bool
	signs   bool // of its network, its name or how it asked
	fetched int
}

// judge says of each visit who it was, and of each deed of mails that it was a
// person: those are no visits. mailed: when the mail was taken; 0: not known.
func judge(deeds []Deed, mailed sekisho.Time) map[uint32]Class {
	by := map[uint32]*visit{}
	var order []*visit
	for _, d := range deeds {
		if d.Visit == 0 {
			continue
		}
		v := by[d.Visit]
		if v == nil {
			v = &visit{number: d.Visit, first: d.At}
			by[d.Visit] = v
			order = append(order, v)
		}
		v.deeds = append(v.deeds, d)
		switch d.Did {
		case "stirred":
			v.stirred = true
		case "trap":
			v.trap = true
		case "clicked", "attachment":
			v.fetched++
			v.soon = v.soon || mailed > 0 && d.At < mailed+tooSoon
		}
		v.signs = v.signs || len(d.Signs) > 0
	}
	near := func(a, b sekisho.Time) bool { return max(a, b)-min(a, b) <= together }
	classes := map[uint32]Class{}
	for _, v := range order {
		trap, fetched := v.trap, 0
		for _, o := range order {
			if o.stirred || !near(o.first, v.first) {
				continue
			}
			trap = trap || o.trap // scanners spread what they fetch over addresses
			fetched += o.fetched
		}
		against := v.signs || v.soon || trap && !v.stirred || v.trap
		switch {
		case v.stirred && !against:
			classes[v.number] = Human
		case v.stirred:
			classes[v.number] = Uncertain // a hand, and what speaks for a machine
		case against, fetched >= fetches:
			classes[v.number] = Machine
		default:
			classes[v.number] = Uncertain // a page was fetched, and no script ran
		}
		// Who fills in a form, or says to have read, has a hand; a machine that
		// does is told by the rest.
		if classes[v.number] == Uncertain && !against && slices.ContainsFunc(v.deeds, func(d Deed) bool { return d.Did == "typed" || d.Did == "left_empty" || d.Did == "learned" }) {
			classes[v.number] = Human
		}
	}
	return classes
}

// classOf is who did one thing, given the visits. What comes by mail, or over the
// staff's own page, comes of a person: machines that answer say so, and are not
// recorded.
func classOf(d Deed, visits map[uint32]Class) Class {
	if d.Visit == 0 {
		return Human
	}
	c := visits[d.Visit]
	if d.Did == "opened" && c == Human {
		return Uncertain // a picture is fetched by programs and proxies too, beside the person
	}
	return c
}

// agents are parts of the names by which machines ask that follow links in mails
// or show what is behind them, in small letters.
var agents = []string{"bot", "crawler", "spider", "scanner", "preview", "headless", "phantomjs", "python", "curl/", "wget/", "go-http-client", "java/", "okhttp", "libwww",
	"safelinks", "barracuda", "mimecast", "proofpoint", "urldefense", "trendmicro", "fireeye", "forcepoint", "symantec", "sophos", "ironport", "zscaler", "virustotal", "googleimageproxy",
	"yahoomailproxy", "slack", "facebookexternalhit", "whatsapp", "skypeuripreview", "teams", "line-poker"}

// Signs are what speaks for a machine in how it asked.
func (l *Lures) Signs(from netip.Addr, agent, method string, head map[string]string) (signs []string) {
	agent = strings.ToLower(agent)
	known := func(list []string) bool {
		return slices.ContainsFunc(list, func(a string) bool { return a != "" && strings.Contains(agent, strings.ToLower(a)) })
	}
	if agent == "" || known(agents) || known(l.Config.Scanners.Agents) {
		signs = append(signs, "agent")
	}
	if method == "HEAD" {
		signs = append(signs, "head")
	}
	if head["Accept-Language"] == "" { // every browser that a person uses says one
		signs = append(signs, "language")
	}
	if slices.ContainsFunc(l.scanners, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) }) {
		signs = append(signs, "network")
	}
	if head["Purpose"] == "prefetch" || strings.Contains(head["Sec-Purpose"], "prefetch") {
		signs = append(signs, "prefetch")
	}
	return signs
}
