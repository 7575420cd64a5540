package trace

import (
	"fmt"
	"strconv"
	"strings"
)

// Formula says how a number came about: a code and its figures, so that it
// can be told in any language, and the English.
type Formula struct {
	Code  string `json:"code"`
	Terms []Term `json:"terms,omitempty"`
	Text  string `json:"text"`
}

// Term is one figure of a formula.
type Term struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func term(name string, v uint64) Term { return Term{name, float64(v)} }

func formula(code string, result uint64, terms ...Term) Formula {
	f := Formula{Code: code, Terms: append(terms, term("result", result))}
	f.Text = f.English()
	return f
}

// formulaText holds each code's English; {name} stands for a term.
func formulaText(code string) string {
	switch code {
	case "worst_case":
		return "{customers} distinct customers in {accesses} access entries ({unverified} of them from unverified endpoints) = {result}"
	case "worst_case_any_row":
		return "{customers} distinct customers in {accesses} access entries ({unverified} of them from unverified endpoints) + {reach} whom {any_row} any-row accesses could have reached = {result}"
	case "worst_case_population":
		return "{customers} distinct customers in {accesses} access entries ({unverified} of them from unverified endpoints) + {reach} whom {any_row} any-row accesses could have reached, but no more than the {population} there are = {result}"
	case "suspected":
		return "{customers} distinct customers in the {accesses} access entries that {alerts} alerts judge extraction = {result}"
	case "sent_at_most":
		return "{bytes} bytes to hostile destinations in {connections} connections × {compression} (compression) ÷ {least} bytes, the least that a record read here can take = {result}"
	case "sent_worst_case":
		return "the worst case, {worst_case}, being less than {bytes} bytes to hostile destinations in {connections} connections × {compression} (compression) ÷ {least} bytes, the least that a record read here can take ({bound}) = {result}"
	case "sent_no_hostile":
		return "no destination is held to be hostile, so nothing bounds it but the worst case = {result}"
	case "sent_no_egress":
		return "no traffic of these endpoints was observed, so nothing bounds it but the worst case = {result}"
	case "sent_no_least":
		return "the size of the records read is not known, so nothing bounds it but the worst case = {result}"
	case "confirmed":
		return "{customers} distinct customers recognised among {rows} rows of {files} files ({damaged} rows match nobody) = {result}"
	case "sent_subjects":
		return "the most people whose records fit into {bytes} bytes to hostile destinations in {connections} connections × {compression} (compression), the smallest records first: {each} = {result}"
	case "subjects":
		return "{each} = {result}"
	case "no_file":
		return "no recovered or captured file was compared for this question = {result}"
	}
	return ""
}

// English tells the formula with its figures.
func (f Formula) English() string {
	text := strings.ReplaceAll(formulaText(f.Code), "{each}", f.Each(func(subject string, n float64) string { return figure(n) + " of " + subject }))
	for _, t := range f.Terms {
		text = strings.ReplaceAll(text, "{"+t.Name+"}", figure(t.Value))
	}
	return text
}

// Each tells the figures of a total, subject by subject, with a plus between them.
func (f Formula) Each(say func(subject string, n float64) string) string {
	var list []string
	for _, t := range f.Terms {
		switch t.Name {
		case "bytes", "compression", "connections", "result":
		default:
			list = append(list, say(t.Name, t.Value))
		}
	}
	return strings.Join(list, " + ")
}

// figure writes a number with a comma at each thousand.
func figure(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	whole, fraction, dotted := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if dotted {
		return whole + "." + fraction
	}
	return whole
}

// Span is a time in which something was observed.
type Span struct {
	How  string `json:"how"` // "enforced" (through the gate), "reported", "inferred" (from a sensor)
	By   string `json:"by"`  // "gate 1", or the sensor's name
	From string `json:"from"`
	To   string `json:"to"`
}

// Note is one thing that was not observed, or weakens a number. Only the
// fields that the code speaks of are set.
type Note struct {
	Code    string  `json:"code"`
	Name    string  `json:"name,omitempty"` // a sensor or an endpoint
	Count   uint64  `json:"count,omitempty"`
	Bytes   uint64  `json:"bytes,omitempty"`
	Reach   uint64  `json:"reach,omitempty"`
	From    string  `json:"from,omitempty"`
	To      string  `json:"to,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Text    string  `json:"text"`
}

// English tells the note.
func (n Note) English() string {
	count := figure(float64(n.Count))
	switch n.Code {
	case "before_ledger":
		return fmt.Sprintf("Nothing was recorded before the ledger began: %s to %s.", n.From, n.To)
	case "gate_down":
		return fmt.Sprintf("The gate was down %s to %s; what went to the database by another way then is not known.", n.From, n.To)
	case "gate_down_more":
		return fmt.Sprintf("The gate was down %s more times, %s seconds in all.", count, figure(n.Seconds))
	case "after_ledger":
		return fmt.Sprintf("The ledger ends before the window does: %s to %s.", n.From, n.To)
	case "sensor_rejected":
		return fmt.Sprintf("%s lines of the sensor %q could not be read; each may hide bytes.", count, n.Name)
	case "sensor_gap":
		return fmt.Sprintf("No sensor's records cover %s seconds of the window, in %s gaps, the first %s to %s.", figure(n.Seconds), count, n.From, n.To)
	case "no_sensor":
		return "No sensor's records cover any of the window."
	case "source_silent":
		return fmt.Sprintf("The source %q reported nothing from %s to %s: what it would have seen then is not known.", n.Name, n.From, n.To)
	case "source_never":
		return fmt.Sprintf("The source %q reported nothing at all between %s and %s.", n.Name, n.From, n.To)
	case "no_egress_record":
		return fmt.Sprintf("No sensor ever saw %q send anything in the window.", n.Name)
	case "egress_partial":
		return fmt.Sprintf("%s connections were not seen whole (%s of them to hostile destinations): their bytes are a lower bound.", count, figure(float64(n.Reach)))
	case "egress_unnamed":
		return fmt.Sprintf("%s connections to hostile destinations, %s bytes, came from sources that no endpoint's name is known for; they are counted.", count, figure(float64(n.Bytes)))
	case "unverified":
		return fmt.Sprintf("%s accesses came from endpoints that no certificate proved; they are counted, as they may be any terminal's.", count)
	case "terminal_unknown":
		return fmt.Sprintf("The terminal is not known for %s of the %s accesses from all endpoints in the window (%s): each may be any terminal's, and is counted.", count, figure(float64(n.Reach)), Share(n.Count, n.Reach))
	case "terminal_stated":
		return fmt.Sprintf("The terminal is known by an application's word alone for %s of the %s accesses from all endpoints in the window (%s).", count, figure(float64(n.Reach)), Share(n.Count, n.Reach))
	case "any_row":
		return fmt.Sprintf("%s accesses could have read any row; together they could reach %s customers, who are in no list and no breakdown.", count, figure(float64(n.Reach)))
	case "any_row_reach_unknown":
		return "Some any-row accesses do not say how many customers they could reach, and no roster says how many there are."
	case "written":
		return fmt.Sprintf("Besides, records of %s customers were created, changed or destroyed from these endpoints, and %s more writes may have been to anybody's. A write alone shows nothing, so they are in no number.", count, figure(float64(n.Reach)))
	case "no_roster":
		return "No roster was read: nothing is broken down by its dimensions, and the population is not known."
	case "no_roster_of":
		return fmt.Sprintf("No roster of %s was read: they are not broken down by its dimensions, and how many there are is not known.", n.Name)
	case "files_elsewhere":
		return fmt.Sprintf("Recovered or captured files that were compared for other incidents, or for none: %s. Whom they name is not counted here.", count)
	case "confirmed_outside":
		return fmt.Sprintf("Accounting gap: %s customers of the file are in no access that was counted. They were read another way, at another time, or from another endpoint.", count)
	case "passed_by":
		return fmt.Sprintf("The database reported what did not come through the gate: %s alerts, with %s rows of protected tables. Whose they are is not known, and no number holds them.", count, figure(float64(n.Reach)))
	}
	return n.Code
}

// Share writes a part of a whole in percent; a part that is not nothing, or not
// the whole, is never written as if it were.
func Share(part, whole uint64) string {
	if whole == 0 || part >= whole {
		return "100 %"
	}
	p := float64(part) / float64(whole) * 100
	switch {
	case part > 0 && p < 0.1:
		return "less than 0.1 %"
	case p > 99.9:
		return "more than 99.9 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}
