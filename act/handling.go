package act

import (
	"fmt"
	"strings"

	"sekisho"
	"sekisho/catalog"
)

// HandlingFile is the name under which the rules made of the handling rules stand
// beside those of the policy's directory.
const HandlingFile = "handling rules" + PolicyExt

// OffSite makes of the handling rules what the gate refuses, masks or holds up
// outside the office: forbids alone, so that it can only narrow. A place that is
// not known is outside. approved says that these rules were approved; else
// everything is forbidden outside, and the client is told so.
func OffSite(h *catalog.Handling, approved bool) File {
	if !approved {
		h = h.Strictest()
	}
	// The first rule that refuses gives the client its words: what can never be
	// comes before what could be asked for.
	var b, conditions strings.Builder
	fmt.Fprintf(&b, "// Made of the handling rules, edition %s, SHA-256 %x.\n", h.Edition, h.SHA256)
	var personal []string
	for _, c := range sekisho.AllCategories() {
		r := h.Rule(c)
		name := c.String()
		personal = append(personal, fmt.Sprintf(`Category::"%s"`, name))
		o := offSite{b: &b, category: name, en: r.Name.En, ja: r.Name.Ja, edition: h.Edition}
		later := o
		later.b = &conditions
		switch {
		case r.Missing && !approved:
			o.forbid("", "nobody has approved handling rules yet, so data of category "+name+" is not handled outside the office",
				"取扱規則がまだ承認されていないため、区分 "+name+" の情報は社外で取り扱えません")
		case r.Missing:
			o.forbid("", "the handling rules (edition "+h.Edition+") do not speak of category "+name+", so it is not handled outside the office",
				"取扱規則（"+h.Edition+"）に区分 "+name+" の定めがないため、社外で取り扱えません")
		case r.OffSite.May == catalog.Forbidden:
			o.forbid("", "the handling rules (edition "+h.Edition+") forbid "+r.Name.En+" outside the office", "取扱規則（"+h.Edition+"）により、"+r.Name.Ja+"は社外で取り扱えません")
		case r.OffSite.May == catalog.Conditions:
			for _, with := range r.OffSite.With {
				later.condition(with)
			}
		}
	}
	fmt.Fprintf(&b, `
@id("handling-terminal")
@reason_en("the handling rules (edition %[1]s) let personal data be used outside the office only at a terminal that the register allows there, and this one is not")
@reason_ja("取扱規則（%[1]s）により、社外では台帳で社外利用を認めた端末だけが個人情報を取り扱えます。この端末は認められていません")
@hint_en("Come from the office, or have the terminal entered as managed, encrypted, patched and allowed off-site: sekisho register terminals.")
@hint_ja("社内から接続するか、端末を「管理・暗号化・更新済み・社外利用可」として台帳に登録してください（sekisho register terminals）。")
forbid (principal, action, resource)
when { context.place != Place::"office" && !context.offsite_ready && resource in [%[2]s] };
`, h.Edition, strings.Join(personal, ", "))
	b.WriteString(conditions.String())
	return File{Name: HandlingFile, Text: []byte(b.String())}
}

// offSite writes the rules of one category.
type offSite struct {
	b                         *strings.Builder
	category, en, ja, edition string
}

const (
	offSiteHintEn = "Leave out these columns, or do this work in the office. The console's page Handling shows what may be done where."
	offSiteHintJa = "該当の列を除くか、社内で作業してください。何をどこで行えるかは、コンソールの「取扱規則」で確認できます。"
)

func (o *offSite) id(more string) string {
	return "handling-" + o.category + "-off_site" + more
}

func (o *offSite) write(id, notes, action, when, en, ja, hintEn, hintJa string) {
	fmt.Fprintf(o.b, "\n@id(%q)\n%s@reason_en(%s)\n@reason_ja(%s)\n@hint_en(%s)\n@hint_ja(%s)\nforbid (principal, %s, resource == Category::%q)\nwhen { context.place != Place::\"office\"%s };\n",
		id, notes, cedarText(en), cedarText(ja), cedarText(hintEn), cedarText(hintJa), action, o.category, when)
}

func (o *offSite) forbid(more, en, ja string) {
	o.write(o.id(more), "", "action", "", en, ja, offSiteHintEn, offSiteHintJa)
}

func (o *offSite) condition(with string) {
	rules := "the handling rules (edition " + o.edition + ") "
	regeln := "取扱規則（" + o.edition + "）により、"
	switch with {
	case "masked":
		o.write(o.id("-masked"), "@mask(\"partial\")\n", `action in [Action::"read", Action::"export"]`, "",
			rules+"show "+o.en+" masked outside the office", regeln+o.ja+"は社外ではマスクされます", offSiteHintEn, offSiteHintJa)
	case "second_person":
		o.write(o.id("-second_person"), "@ask(\"second_person\")\n", "action", "",
			rules+"ask for a second person's agreement to use "+o.en+" outside the office", regeln+o.ja+"の社外での利用には二人目の承認が必要です", offSiteHintEn, offSiteHintJa)
	case "permit":
		o.write(o.id("-permit"), "", "action", fmt.Sprintf(` && !context.offsite_permits.contains(Category::%q)`, o.category),
			rules+"ask for a permit to use "+o.en+" outside the office, and there is none for you at this terminal now", regeln+o.ja+"の社外での利用には許可が必要です。この端末でのあなたの許可は現在ありません",
			"Ask for one at the console's page Terminals, for this terminal and this category; somebody else approves it. Or do this work in the office.",
			"コンソールの「端末」でこの端末と区分の許可を申請してください（別の人が承認します）。または社内で作業してください。")
	}
}

// cedarText is a string as Cedar's own: what ReadHandling lets through has no
// control characters.
func cedarText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
