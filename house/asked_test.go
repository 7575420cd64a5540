package house

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sekisho"
	"sekisho/sensor"
)

// Names that events of DNS tell of are listed as services, each at its first sight
// of a day, and after a restart no event counts twice; names of other events are
// not services.
func TestEventsOfDNSListServices(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	var h *House
	open := func() {
		var err error
		h, err = Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
		must(t, err)
	}
	asks := func(class uint32, minutes int, name string) sekisho.Body {
		return &sekisho.Observation{Sensor: "edr", Class: class, At: sekisho.At(now.Add(time.Duration(minutes-10) * time.Minute)), Endpoint: "pc-0417",
			Object: h.Vault.Space("object").OfText([]byte(name))}
	}
	take := func(want string, bodies ...sekisho.Body) {
		t.Helper()
		must(t, h.takeEvents(bodies))
		must(t, h.Settle(t.Context()))
		got := ""
		h.Views.Read(func() {
			for _, s := range h.Duty.Checks().Services() {
				key, _ := h.Vault.Space("thing").Key(s.Ordinal)
				got += fmt.Sprintf("%s %d times; ", key, s.Times)
			}
		})
		if got != want {
			t.Fatalf("%s\nwant %s", got, want)
		}
	}
	open()
	take("", asks(sensor.ClassProcess, 0, "chat.example.net"))
	take("cloud/example-drive.com 2 times; ", asks(sensor.ClassDNS, 0, "files.example-drive.com"), asks(sensor.ClassDNS, 1, "www.example-drive.com."))
	must(t, h.Close())
	open()
	defer h.Close()
	take("cloud/example-drive.com 2 times; cloud/example.org 1 times; ", asks(sensor.ClassDNS, 1, "www.example-drive.com"), asks(sensor.ClassDNS, 2, "new.example.org"))
	take("cloud/example-drive.com 3 times; cloud/example.org 1 times; ", asks(sensor.ClassDNS, 3, "files.example-drive.com"))
}
