package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho/console"
	"sekisho/sheet"
)

// How a command says, in the language of whoever typed it, what it was not given.

// speak gives a command the console's words, in the language of --lang or else of
// the environment.
func speak(cmd *cobra.Command) *console.Teller {
	w, err := console.NewTeller(spoken(cmd), nil)
	if err != nil {
		panic(err) // the words are in the program, and are tested
	}
	return w
}

// spoken is the language of whoever typed a command.
func spoken(cmd *cobra.Command) string {
	lang := language("")
	if f := cmd.Flag("lang"); f != nil && f.Changed {
		lang = f.Value.String()
	} else {
		// What stands behind a wrong flag has not been read when that is told.
		for i, arg := range os.Args {
			if text, ok := strings.CutPrefix(arg, "--lang="); ok {
				lang = language(text)
			} else if arg == "--lang" && i+1 < len(os.Args) {
				lang = language(os.Args[i+1])
			}
		}
	}
	return lang
}

// An inBoth is an error in both languages: what is caught by name, or made where no
// command is at hand. main says it in the one of whoever typed the command.
type inBoth struct {
	en, ja string
	cause  error
}

func (b *inBoth) Error() string { return b.en }
func (b *inBoth) Unwrap() error { return b.cause }

// both is an error in both languages, from two formats of the same arguments.
func both(en, ja string, args ...any) error {
	b := &inBoth{en: fmt.Sprintf(en, args...), ja: fmt.Sprintf(ja, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			b.cause = err
			var inner *inBoth
			if errors.As(err, &inner) {
				b.ja = strings.Replace(b.ja, inner.en, inner.ja, 1)
			}
		}
	}
	return b
}

// tellError is an error in a language: what is in both is said in that one.
func tellError(err error, lang string) string {
	text := strings.TrimSpace(err.Error())
	var b *inBoth
	if lang == "ja" && errors.As(err, &b) {
		text = strings.Replace(text, b.en, b.ja, 1)
	}
	if lang == "ja" {
		text = beneath.Replace(text)
	}
	return text
}

// beneath are what the packages of certificates and sealed credentials say, in
// Japanese: they stand at the bottom of the house and know nothing of languages. What
// a path or the operating system says in between stays.
var beneath = strings.NewReplacer(
	" is there already: an authority is never overwritten", " がすでにある: 認証局は上書きしない",
	"opening the authority in ", "認証局を開けない: ",
	"\"sekisho ca init\" makes one, and --ca names where it is", "\"sekisho ca init\" で作るか、--ca で場所を指定する",
	"making an authority in ", "認証局を作れない: ",
	"issuing a certificate: ", "証明書の発行: ",
	"listing certificates: ", "証明書の一覧: ",
	"renewing the issuing key in ", "発行の鍵の更新: ",
	"no certificate that has not ended has that name or serial number: `sekisho ca list` shows all", "その名前かシリアル番号の、期限内の証明書はない: `sekisho ca list` で一覧を表示",
	"the endpoint's name is empty", "端末の名前が空である",
	"the endpoint's name begins with unverified@, which is for those without a certificate", "端末の名前を unverified@ で始めることはできない（証明書のない端末を表す）",
	"the endpoint's name holds a *: one certificate names one endpoint", "端末の名前に * がある: 証明書一つに端末一つ",
	"the endpoint's name begins or ends with a space", "端末の名前の前後に空白がある",
	"the endpoint's name holds a character that cannot be seen", "端末の名前に見えない文字がある",
	"reading the request: ", "要求を読めない: ",
	"reading a key: ", "鍵を読めない: ",
	"the passphrase is not this key's, or the file is damaged", "この鍵のパスフレーズではないか、ファイルが壊れている",
	"the file is too large to be one", "ファイルが大きすぎる",
	"reading a sealed credential: ", "封書を読めない: ",
	"this is none, or a later sekisho has made it", "封書ではないか、新しい sekisho が作ったもの",
	"opening a sealed credential: ", "封書を開けない: ",
	"its outer layer is off already: the other person opens it", "外側はすでに開いている: もう一人が開く",
	"this key opens nothing here", "この鍵では開かない",
	": it is for two of ", ": 次のうち二人が要る: ",
	"it takes two people: first one of them takes the outer layer off", "二人が要る: まず一人が外側を開く",
	"what stands outside is not what was sealed: somebody has changed the file", "外側の記載が封印した内容と違う: ファイルが変えられている",
	"sealing a credential: ", "封印できない: ",
	"no such file or directory", "ファイルもディレクトリもない",
	"permission denied", "許可がない",
)

// wrong is an error of whoever typed the command: what is wrong, how it is used, and
// an example that could be copied.
func wrong(c *cobra.Command, w *console.Teller, text string) error {
	text += "\n" + w.Say("cmd.usage", c.UseLine())
	if e := example(c, w); e != "" {
		text += "\n" + w.Say("cmd.example", e)
	}
	return usage{errors.New(text)}
}

// A place is what a command takes without a flag, as its usage line says.
type place struct {
	name           string
	optional, many bool
}

// places reads the usage line of a command up to its flags.
func places(c *cobra.Command) (list []place) {
	words := strings.Fields(c.Use)[1:]
	for i := 0; i < len(words); i++ {
		word := words[i]
		if strings.HasPrefix(word, "[") {
			for !strings.Contains(word, "]") && i+1 < len(words) { // [FILE or DIR]…
				i++
				word += " " + words[i]
			}
		}
		if bare := strings.TrimLeft(word, "[("); strings.HasPrefix(bare, "-") || bare == "|" || bare == "flags]" {
			break
		}
		if word == "…" {
			list[len(list)-1].many = true
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(word, "…"), "...")
		p := place{name: strings.Trim(name, "[]"), optional: name[0] == '[', many: name != word}
		list = append(list, p)
	}
	return list
}

// lacking is what a command needs and was not given: the places that are not filled,
// and the flags.
func lacking(c *cobra.Command, given []string, args error) (list []string) {
	if args != nil {
		for _, p := range places(c)[min(len(given), len(places(c))):] {
			if !p.optional {
				list = append(list, p.name)
			}
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if needed(f) && !f.Changed {
			list = append(list, "--"+f.Name)
		}
	})
	return list
}

func needed(f *pflag.Flag) bool {
	return slices.Equal(f.Annotations[cobra.BashCompOneRequiredFlag], []string{"true"})
}

// checked looks at what a command was given before it runs: at its arguments as args
// does, and at its flags, which cobra would look at later, in words of its own.
func checked(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		var err error
		if args != nil {
			err = args(c, given)
		}
		groups := c.ValidateFlagGroups()
		missing := lacking(c, given, err)
		if err == nil && groups == nil && len(missing) == 0 {
			return nil
		}
		w := speak(c)
		switch n := len(places(c)); {
		case len(missing) > 0:
			return wrong(c, w, w.Say("cmd.missing", w.Join(missing, "answer.comma")))
		case err != nil && n == 0:
			return wrong(c, w, w.Say("cmd.noargs", strings.Join(given, " ")))
		case err != nil && len(given) > n:
			return wrong(c, w, w.Say("cmd.surplus", strings.Join(given[n:], " ")))
		case err != nil:
			return wrong(c, w, w.Say("cmd.wrong", err))
		}
		return wrong(c, w, w.Say("cmd.flags"))
	}
}

// wrongFlag is what a command says of a flag that it cannot read.
func wrongFlag(c *cobra.Command, err error) error {
	w := speak(c)
	var nobody *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var value *pflag.InvalidValueError
	text := ""
	switch {
	case errors.As(err, &nobody):
		if nobody.GetSpecifiedShortnames() != "" {
			text = w.Say("cmd.unknownflag", "-"+nobody.GetSpecifiedShortnames())
			break
		}
		var flags []string
		c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		text = w.Say("cmd.unknownflag", "--"+nobody.GetSpecifiedName())
		if near := sheet.Near(nobody.GetSpecifiedName(), flags); near != "" {
			text += w.Say("cmd.near", "--"+near)
		}
	case errors.As(err, &empty):
		text = w.Say("cmd.novalue", "--"+empty.GetFlag().Name)
	case errors.As(err, &value):
		f := value.GetFlag()
		why := w.Code("cmd.takes", f.Name)
		if why == f.Name {
			why = w.Code("cmd.takes", f.Value.Type())
		}
		if why == f.Value.Type() {
			why = value.Unwrap().Error()
		}
		text = w.Say("cmd.badvalue", "--"+f.Name, value.GetValue(), why)
	default:
		text = err.Error()
	}
	return usage{errors.New(text + w.Say("cmd.help", c.CommandPath()))}
}

// example is a line that the command would take: the first of its own examples, or
// its usage line with something in each place.
func example(c *cobra.Command, w *console.Teller) string {
	for _, line := range strings.Split(strings.ReplaceAll(c.Example, "\\\n", ""), "\n") {
		if strings.Contains(line, c.CommandPath()+" ") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	words := []string{c.CommandPath()}
	for _, p := range places(c) {
		if !p.optional {
			words = append(words, sample(c, w, p.name))
		}
	}
	for _, name := range told(c) {
		words = append(words, "--"+name, sample(c, w, "--"+name))
	}
	if len(words) == 1 {
		return "" // the usage line is one
	}
	return strings.Join(words, " ")
}

// told are the flags that the usage line of a command names outside of brackets, of
// several ways the first, and those that it cannot do without.
func told(c *cobra.Command) (list []string) {
	words := strings.Fields(c.Use)
	for i, word := range words {
		if word == "|" || strings.HasPrefix(word, "(") {
			break
		}
		name, ok := strings.CutPrefix(word, "--")
		if ok && i+1 < len(words) && c.Flag(name) != nil {
			list = append(list, name)
		}
		if strings.Contains(word, "|--") {
			break
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if needed(f) && !slices.Contains(list, f.Name) {
			list = append(list, f.Name)
		}
	})
	return list
}

// samples are what stands in the places of examples: for one command, or for all.
var samples = map[string]string{
	"NUMBER": "412", "REFERENCE": "412", "INCIDENT": "412", "ENTRY": "455", "REQUEST": "455", "PLAN": "455", "MAILING": "455",
	"NAME": "sato", "FILE": "file.csv", "DIR": "policy", "TERMINAL": "pc-0417", "UNIT": "JTA", "--due": "2026-11-30", "--until": "2026-11-30", "--from": "2026-11-01",
	"--as": "sent", "--out": "file", "--version": "1042", "--kept": "\"safe 3\"", "--space": "member", "--role": "user", "--year": "2026",
	"FORM": "customer-notice", "DUTY": "M3a", "KIND": "inspection_visit", "NOUN": "server", "ACT": "sign", "SCENARIO": "jtb-2016", "COURSE": "customer-data",

	"breakglass import LOG":          "postgresql.csv",
	"breakglass import --login":      "breakglass",
	"breakglass key --out":           "sato.key",
	"breakglass open FILE":           "sealed.json",
	"breakglass open --key":          "sato.key",
	"breakglass open --out":          "opened",
	"breakglass seal --database":     "postgres://postgres@db.example/crm",
	"breakglass seal --login":        "breakglass",
	"breakglass seal --grant":        "crm_reader",
	"breakglass seal --person":       "sato=age1… --person ito=age1…",
	"breakglass seal --out":          "sealed.json",
	"breakglass status FILE":         "sealed.json",
	"budget simulate --config":       "proposed.yaml",
	"budget simulate --ledger":       "/var/lib/sekisho",
	"ca issue NAME":                  "pc-0417",
	"ca renew --root-key":            "/media/safe/root.key",
	"ca revoke NAME|SERIAL":          "pc-0417",
	"check plan NOUN":                "inspection",
	"clock fact NAME=yes|no|unknown": "encrypted=yes",
	"clock notice --source":          "provider",
	"clock reported REGIME/STEP":     "jp-appi/preliminary",
	"contain --system":               "crm",
	"desk allow --en":                "answer.en.txt",
	"desk allow --ja":                "answer.ja.txt",
	"desk answer --file":             "answer.txt",
	"desk answer --result":           "affected",
	"desk assign --to":               "sato",
	"desk close --reason":            "answered",
	"desk identify --customer":       "100234567",
	"desk identify --means":          "licence",
	"directory pull NAME":            "hr",
	"duty control INSTRUMENT":        "iso27001",
	"duty control CONTROL":           "A.5.1",
	"duty pack --out":                "pack.zip",
	"duty unit POPULATION":           "council",
	"duty unit NAME":                 "risk-council",
	"duty verify PACK":               "pack.zip",
	"incident close --outcome":       "resolved",
	"incident decide CODE":           "report",
	"incident decide --chosen":       "2",
	"incident fact CODE":             "first_malicious",
	"incident playbook NAME":         "malware",
	"incident role ROLE":             "incident_commander",
	"law clocks --known":             "2026-04-06T10:00",
	"ledger verify DIR":              "/var/lib/sekisho",
	"phishing propose --lure":        "itinerary",
	"phishing settle --as":           "sent",
	"policy simulate --policy":       "policy",
	"register asset NAME":            "backup-17",
	"register scan FILE":             "nmap.xml",
	"training import --system":       "lms",
}

// sample is something that could stand in a place, or behind a flag, of a command.
func sample(c *cobra.Command, w *console.Teller, place string) string {
	at := strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") + " " + place
	if s, ok := samples[at]; ok {
		return s
	}
	if s, ok := samples[place]; ok {
		return s
	}
	switch name, flag := strings.CutPrefix(place, "--"); {
	case !flag && strings.Contains(place, "|"):
		first, _, _ := strings.Cut(place, "|")
		return first
	case flag && strings.HasPrefix(c.Flag(name).Value.Type(), "string"):
		return `"` + w.Say("cmd.sampletext") + `"`
	case flag:
		return "3000"
	}
	return "?" + place
}
