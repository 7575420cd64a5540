package act

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sekisho/sheet"
)

// MaskKind is how a value is shown.
type MaskKind byte

const (
	Plain   MaskKind = 0
	Partial MaskKind = 1 // some characters of it, such as the last two
	Token   MaskKind = 2 // the same value gives the same token, and nothing else
	Blank   MaskKind = 3 // nothing of it
)

func (k MaskKind) String() string { return [...]string{"plain", "partial", "token", "blank"}[k&3] }

// A Budget is how many different customers may be reached within a sliding
// window.
type Budget struct {
	Customers uint64        `json:"customers"`
	Window    time.Duration `json:"window"`
}

func (b Budget) String() string {
	return fmt.Sprintf("at most %d customers in %s", b.Customers, window(b.Window))
}

// window writes a length of time in its largest whole unit.
func window(d time.Duration) string {
	for _, u := range windowUnits {
		if d%u.length == 0 {
			return fmt.Sprintf("%d%s", d/u.length, u.name)
		}
	}
	return d.String()
}

var windowUnits = []struct {
	name   string
	length time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}}

const longestWindow = 30 * 24 * time.Hour

// A remedy is under what conditions a forbid does not forbid.
type remedy struct {
	mask   MaskKind
	rows   uint64 // cut at so many; with ask, so many go out without the second person
	ask    bool
	budget Budget
}

// final: there is no remedy.
func (r *remedy) final() bool { return *r == remedy{} }

// Text is what a client reads, in both languages of the house.
type Text struct {
	En string `json:"en"`
	Ja string `json:"ja"`
}

var annotationNames = []string{"id", "reason_en", "reason_ja", "hint_en", "hint_ja", "mask", "rows", "ask", "customers", "window"}

// annotations reads what stands before a policy.
func (c *checker) annotations(list []ast.AnnotationType) {
	r := c.rule
	bad := func(key, what, do string) { c.wrong(c.lineOf("@"+key), what, do) }
	for _, a := range list {
		key, value := string(a.Key), string(a.Value)
		switch key {
		case "id":
			if r.id = value; !plainID(value) {
				bad(key, fmt.Sprintf("the id %q", value), "use small letters, digits, - and _, at most 64")
			}
		case "reason_en":
			r.reason.En = value
		case "reason_ja":
			r.reason.Ja = value
		case "hint_en":
			r.hint.En = value
		case "hint_ja":
			r.hint.Ja = value
		case "mask":
			at := slices.Index([]string{"", "partial", "token", "blank"}, value)
			if at < 1 {
				bad(key, fmt.Sprintf("@mask(%q)", value), "use partial, token or blank")
			}
			r.remedy.mask = MaskKind(max(at, 1))
		case "rows":
			r.remedy.rows = c.number(key, value)
		case "ask":
			if r.remedy.ask = true; value != "second_person" {
				bad(key, fmt.Sprintf("@ask(%q)", value), `write @ask("second_person")`)
			}
		case "customers":
			r.remedy.budget.Customers = c.number(key, value)
		case "window":
			r.remedy.budget.Window = c.length(value)
		default:
			bad(key, "unknown annotation @"+key, "use one of @"+strings.Join(annotationNames, ", @")+sheet.Nearest(key, annotationNames))
		}
	}
	if r.id == "" {
		c.wrong(r.line, "a policy without an @id", "name it, as the ledger and the tests will")
	}
	if r.permit {
		if !r.remedy.final() {
			c.wrong(r.line, "a remedy (@mask, @rows, @ask, @customers) on a permit", `write a forbid with it: "forbidden, unless masked"; a permit only says what is possible at all`)
		}
		return
	}
	if (r.remedy.budget.Customers == 0) != (r.remedy.budget.Window == 0) {
		c.wrong(r.line, "@customers and @window come together", `write both, such as @customers("500") and @window("1d")`)
	}
	if r.reason.En == "" || r.reason.Ja == "" {
		c.wrong(r.line, "a forbid without its reason in both languages", "add @reason_en and @reason_ja: the client reads them")
	}
	if (r.remedy.final() || r.remedy.ask) && (r.hint.En == "" || r.hint.Ja == "") {
		c.wrong(r.line, "a refusal without a hint in both languages", "add @hint_en and @hint_ja: what the client can do now")
	}
	for _, s := range []string{r.reason.En, r.reason.Ja, r.hint.En, r.hint.Ja} {
		if len(s) > 500 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			c.wrong(r.line, "a reason or hint of several lines, or of more than 500 bytes", "shorten it: it stands in an error message")
		}
	}
}

func (c *checker) number(key, value string) uint64 {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n == 0 {
		c.wrong(c.lineOf("@"+key), fmt.Sprintf("@%s(%q)", key, value), "write a whole number from 1 on, in quotes")
		return 1
	}
	return n
}

func (c *checker) length(value string) time.Duration {
	for _, u := range windowUnits {
		number, ok := strings.CutSuffix(value, u.name)
		n, err := strconv.ParseUint(number, 10, 16)
		if d := time.Duration(n) * u.length; ok && err == nil && n > 0 && d <= longestWindow {
			return d
		}
	}
	c.wrong(c.lineOf("@window"), fmt.Sprintf("@window(%q)", value), "write minutes, hours or days, such as 15m, 8h or 1d, up to 30d")
	return time.Minute
}

// remedyFits: a mask is for what goes out.
func (c *checker) remedyFits(tree *ast.Policy) {
	if c.rule.permit || c.rule.remedy.mask == Plain {
		return
	}
	for v := range verbs {
		name := string(actionOf(v).ID)
		if scopeHolds(tree.Action, actionOf(v)) && name != "read" && name != "export" {
			c.wrong(c.rule.line, "a mask on "+name+", where nothing is shown", `write action == Action::"read", or action in [Action::"read", Action::"export"]`)
			return
		}
	}
}

func plainID(s string) bool {
	for i := range len(s) {
		if b := s[i]; !(b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
