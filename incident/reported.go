package incident

import (
	"fmt"
	"slices"

	"sekisho"
	"sekisho/sheet"
)

// told says whether a detector's alert has words of its own in a timeline.
func told(detector string) bool {
	switch detector {
	case "sweep", "egress", "budget", "outside", "decoy", "decoy_mail",
		"bulk", "lure", "contact", "half_blocked", "finding", "file_birth", "large_file", "disk_full", "no_boot":
		return true
	}
	return false // "opened" is a lure's, and an incident's own
}

// lured: the attachment that was opened came with the mail that this incident
// began with, or holds.
func (i *Incident) lured(a *sekisho.Alert) bool {
	return a.Detector == "opened" && len(a.Basis) > 0 && slices.ContainsFunc(i.Alerts, func(b Alert) bool {
		return b.Body.Detector == "lure" && slices.Contains(b.Body.Basis, a.Basis[0])
	})
}

// reported tells what other machines reported.
func (f Fact) reported(person func(uint32) string) string {
	by := ""
	if f.Principal != 0 {
		by = " by " + person(f.Principal)
	}
	switch f.Code {
	case "bulk":
		return fmt.Sprintf("One statement of %s at %s gave out %s when the alert was raised; up to %d is quiet.", person(f.Principal), f.Endpoint, sheet.Of(f.Count, "row"), f.Limit)
	case "lure":
		return fmt.Sprintf("%s took in a mail with an attachment, from a sender who looks like somebody known and is not.", f.Endpoint)
	case "contact":
		return fmt.Sprintf("%s spoke to the hostile destination %v.", f.Endpoint, f.Target)
	case "half_blocked":
		return fmt.Sprintf("%d of %d known destinations are blocked; %s still reaches %v.", f.Count, f.Limit, f.Endpoint, f.Target)
	case "finding":
		return fmt.Sprintf("%s: another detector, or a provider, reported a grave finding.", f.Endpoint)
	case "file_birth":
		return fmt.Sprintf("A file of %d bytes, a list or an archive, appeared at %s%s, where no personal data belong.", f.Count, f.Endpoint, by)
	case "large_file":
		return fmt.Sprintf("A file of %d bytes whose name says nothing appeared at %s%s: what is it, and who made it?", f.Count, f.Endpoint, by)
	case "disk_full":
		return fmt.Sprintf("%s runs out of disk: what fills it?", f.Endpoint)
	case "no_boot":
		return fmt.Sprintf("%s does not start: why?", f.Endpoint)
	}
	return f.Code
}
