package house

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A log of names is followed as it grows and is rotated: a service stands in the
// ledger at its first sight of a day and once more when the day is over, also after
// a restart in between, and is listed until somebody has assessed it.
func TestNamesAreFollowed(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	log := filepath.Join(dir, "ssl.log")
	var c Config
	c.Name, c.Data = "crm", filepath.Join(dir, "data")
	c.Sensors.Names = []Names{{Name: "zeek-ssl", Path: log}}
	var h *House
	var f follower
	open := func() {
		var err error
		h, err = Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
		must(t, err)
		f = follower{house: h, log: c.Sensors.Names[0]}
	}
	grow := func(minutes int, name string) {
		file, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		must(t, err)
		at := now.Add(time.Duration(minutes) * time.Minute)
		fmt.Fprintf(file, `{"ts":%d,"id.orig_h":"10.1.4.17","server_name":%q}`+"\n", at.Unix(), name)
		must(t, file.Close())
	}
	look := func(want string) {
		t.Helper()
		must(t, f.look(t.Context()))
		must(t, h.Settle(t.Context()))
		got := ""
		h.Views.Read(func() {
			for _, s := range h.Duty.Checks().Services() {
				key, _ := h.Vault.Space("thing").Key(s.Ordinal)
				got += fmt.Sprintf("%s %d times on %d days; ", key, s.Times, s.Days)
			}
		})
		if got != want {
			t.Fatalf("%s\nwant %s", got, want)
		}
	}

	open()
	look("") // there is no log yet
	grow(0, "files.example-drive.com")
	grow(1, "www.example-drive.com")
	look("cloud/example-drive.com 2 times on 1 days; ")
	grow(2, "files.example-drive.com") // is told at the day's end
	grow(3, "chat.example.net")
	look("cloud/example-drive.com 2 times on 1 days; cloud/example.net 1 times on 1 days; ")

	// Rotated, with a line that was written in between.
	grow(4, "files.example-drive.com")
	must(t, os.Rename(log, log+".1"))
	grow(5, "new.example.org")
	look("cloud/example-drive.com 2 times on 1 days; cloud/example.net 1 times on 1 days; cloud/example.org 1 times on 1 days; ")

	now = now.Add(24 * time.Hour)
	look("cloud/example-drive.com 4 times on 1 days; cloud/example.net 1 times on 1 days; cloud/example.org 1 times on 1 days; ")
	grow(0, "files.example-drive.com")
	look("cloud/example-drive.com 5 times on 2 days; cloud/example.net 1 times on 1 days; cloud/example.org 1 times on 1 days; ")

	// The log is read again from its beginning, and says nothing new.
	must(t, f.file.Close())
	must(t, h.Close())
	open()
	defer h.Close()
	look("cloud/example-drive.com 5 times on 2 days; cloud/example.net 1 times on 1 days; cloud/example.org 1 times on 1 days; ")
	grow(9, "files.example-drive.com")
	look("cloud/example-drive.com 6 times on 2 days; cloud/example.net 1 times on 1 days; cloud/example.org 1 times on 1 days; ")
	defer f.close()

}
