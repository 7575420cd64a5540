package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Handling rules as a text that people read and approve. The rules themselves
// stand in it to the byte, so that what is approved is what holds.

var actWords = map[string]Say{
	"store": {"store", "保管"}, "send": {"send", "送信"}, "print": {"print", "印刷"}, "carry_out": {"carry out", "持ち出し"},
	"retain": {"keep for", "保存期間"}, "destroy": {"destroy", "廃棄"}, "off_site": {"use outside the office", "社外での利用"},
}

// HandlingActs are the seven acts, in the order in which they are shown.
func HandlingActs() []string {
	return []string{"store", "send", "print", "carry_out", "retain", "destroy", "off_site"}
}

// ActName is what an act is called.
func ActName(act string) Say { return actWords[act] }

// Cell says in one line what holds of an act.
func (h *Handling) Cell(r *HandlingRule, act, lang string) string {
	ja := lang == "ja"
	with := func(list []Coded, ids []string) string {
		var words []string
		for _, id := range ids {
			words = append(words, SayOf(list, id).In(lang))
		}
		if ja {
			return strings.Join(words, "、")
		}
		return strings.Join(words, ", ")
	}
	add := func(text string, more Say) string {
		if m := more.In(lang); m != "" {
			if ja {
				return text + "(" + m + ")"
			}
			return text + " (" + m + ")"
		}
		return text
	}
	switch act {
	case "retain":
		n := r.Retain
		switch {
		case r.Missing && ja:
			return "保存しない"
		case r.Missing:
			return "not kept"
		case ja:
			return add(fmt.Sprintf("%d日", n.Days), n.Say) + fmt.Sprintf("。持ち出した写しは%d日", n.Copies)
		}
		text := fmt.Sprintf("%d days", n.Days)
		if n.Say.En != "" {
			text += " " + n.Say.En
		}
		return text + fmt.Sprintf("; a copy taken out %d days", n.Copies)
	case "destroy":
		text := with(h.Methods, r.Destroy.How)
		if n := r.Destroy.Witnesses; n > 0 && ja {
			text += fmt.Sprintf("。立会い%d名", n)
		} else if n > 0 {
			text += fmt.Sprintf("; %d to witness it", n)
		}
		return add(text, r.Destroy.Say)
	}
	for _, a := range r.Acts() {
		if a.Act != act {
			continue
		}
		switch a.May.May {
		case Allowed:
			return add(Say{"allowed", "可"}.In(lang), a.May.Say)
		case Conditions:
			return add(with(h.Conditions, a.May.With), a.May.Say)
		}
		return add(Say{"forbidden", "禁止"}.In(lang), a.May.Say)
	}
	return ""
}

// Markdown is the text for people, with the rules at its end.
func (h *Handling) Markdown(lang string) string {
	ja := lang == "ja"
	var b strings.Builder
	pick := func(en, j string) string {
		if ja {
			return j
		}
		return en
	}
	fmt.Fprintf(&b, "# %s\n\n", pick("How information is handled", "情報の取扱い"))
	fmt.Fprintf(&b, "%s %s · %s %s\n\n", pick("Edition", "版"), h.Edition, pick("meant to hold from", "適用予定日"), h.Effective)
	for _, r := range h.Rules {
		sep := pick(": ", ":")
		fmt.Fprintf(&b, "## %s (%s)\n\n**%s**\n\n", r.Name.In(lang), r.Category, SayOf(h.Classes, r.Class).In(lang))
		for _, act := range HandlingActs() {
			fmt.Fprintf(&b, "- %s%s%s\n", ActName(act).In(lang), sep, h.Cell(&r, act, lang))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "## %s\n\n%s\n\n", pick("Whatever is not in here", "記載のない情報"), pick("It is handled as the strictest: nothing is allowed.", "最も厳しい扱いとし、いずれの行為も認めません。"))
	fmt.Fprintf(&b, "## %s\n\nSHA-256 %s\n\n%s\n%s\n%s\n", pick("The rules as machines read them", "機械が読む規則"), hex.EncodeToString(h.SHA256[:]), fence, bytes.TrimRight(h.Text, "\n"), closing)
	return b.String()
}

const (
	fence   = "```yaml"
	closing = "```"
)

var errNoRules = errors.New("the text has no rules for machines in it: make it with sekisho handling propose")

// HandlingOf reads the rules out of a text that Markdown made.
func HandlingOf(text string) (*Handling, error) {
	_, rules, ok := strings.Cut(text, "\n"+fence+"\n")
	if !ok {
		return nil, errNoRules
	}
	rules, _, ok = strings.Cut(rules, "\n"+closing)
	if !ok {
		return nil, errNoRules
	}
	h, err := ReadHandling([]byte(rules))
	if err != nil {
		return nil, err
	}
	// What people read and what machines read is one thing.
	if text = strings.TrimSpace(text); text != strings.TrimSpace(h.Markdown("en")) && text != strings.TrimSpace(h.Markdown("ja")) {
		return nil, errors.New("the text is not what the rules in it say: make it with sekisho handling propose")
	}
	return h, nil
}
