package console

import (
	"cmp"

	"sekisho"
	"sekisho/incident"
)

// reportedLine puts an alert about what other machines reported into a
// timeline.
func (c *Console) reportedLine(v *visit, a incident.Alert, add func(at sekisho.Time, entry uint64, kind string, serious bool, args ...any)) {
	b := a.Body
	who := cmp.Or(c.named("staff", b.Principal), "–")
	switch b.Detector {
	case "bulk":
		add(b.From, a.Seq, "alert_bulk", true, b.Endpoint, who, number(b.Observed), number(b.Limit))
	case "lure":
		add(b.From, a.Seq, "alert_lure", true, b.Endpoint, number(b.Observed))
	case "opened":
		add(b.From, a.Seq, "alert_opened", true, b.Endpoint, who)
	case "contact":
		add(b.From, a.Seq, "alert_contact", true, b.Endpoint, b.Target.String())
	case "half_blocked":
		add(b.From, a.Seq, "alert_half_blocked", true, number(b.Observed), number(b.Limit), b.Endpoint, b.Target.String())
	case "finding":
		add(b.From, a.Seq, "alert_finding", true, b.Endpoint)
	case "file_birth":
		add(b.From, a.Seq, "alert_file_birth", true, v.bytes(b.Observed), b.Endpoint, who)
	case "large_file":
		add(b.From, a.Seq, "alert_large_file", true, v.bytes(b.Observed), b.Endpoint, who)
	case "disk_full", "no_boot":
		add(b.From, a.Seq, "alert_"+b.Detector, true, b.Endpoint)
	default:
		add(b.From, a.Seq, "alert", true, v.code("reason", b.Detector), b.Endpoint)
	}
}
