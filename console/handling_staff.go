package console

import "net/http"

// At the employees' door: what may be done with what one handles.

var handlingAtTheDoor = []staffRoute{{pattern: "GET /my/handling", handle: (*StaffDoor).handling}}

// A myHandling is the page.
type myHandling struct {
	Edition string
	Version uint64
	Rows    []HandlingRow
}

func (d *StaffDoor) handling(v *staffVisit) error {
	if d.StaffSources.Handling == nil {
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	now := d.StaffSources.Handling()
	p := &myHandling{Edition: now.Rules.Edition, Version: now.Version}
	for _, r := range handlingRows(now.Rules, now.Used, v.tongue) {
		if r.Used {
			p.Rows = append(p.Rows, r)
		}
	}
	return d.print(v, http.StatusOK, "handling", v.say("title.handling"), p)
}
