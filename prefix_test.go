package sekisho_test

import (
	"net/netip"
	"strings"
	"testing"

	"sekisho"
)

// What people write as an address or a network, and what is said of what can be
// meant in two ways.
func TestParsePrefix(t *testing.T) {
	for _, c := range []struct{ text, is, says string }{
		{"203.0.113.9", "203.0.113.9/32", ""},
		{"203.0.113.0/24", "203.0.113.0/24", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"2001:DB8::9", "2001:db8::9/128", ""},
		{"2001:db8::/32", "2001:db8::/32", ""},
		{"64:ff9b::/96", "64:ff9b::/96", ""},
		{"", "", ""},
		{"example.com", "", ""},
		{"203.0.113", "", ""},
		{"203.0.113.010", "", ""},
		{" 203.0.113.9", "", ""},
		{"203.0.113.9:443", "", ""},
		{"203.0.113.0/33", "", ""},
		{"203.0.113.0/024", "", ""},
		{"203.0.113.0/24/24", "", ""},
		{"203.0.113.9/24", "", ": write 203.0.113.0/24 or 203.0.113.9"},
		{"2001:db8::9/32", "", ": write 2001:db8::/32 or 2001:db8::9"},
		{"::ffff:203.0.113.9", "", ": write 203.0.113.9"},
		{"::ffff:cb00:7109", "", ": write 203.0.113.9"},
		{"::ffff:203.0.113.0/120", "", ": write 203.0.113.0/24"},
		{"::ffff:203.0.113.9/120", "", ": write 203.0.113.0/24"},
		{"::ffff:0.0.0.0/64", "", ""},
		{"fe80::1%eth0", "", ": write fe80::1"},
		{"fe80::%eth0/64", "", ""},
	} {
		p, err := sekisho.ParsePrefix(c.text)
		if c.is != "" {
			if err != nil || p.String() != c.is {
				t.Errorf("%q is read as %v (%v)", c.text, p, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%q is taken for %v", c.text, p)
			continue
		}
		_, says, _ := strings.Cut(err.Error(), " is neither an address nor a prefix such as 203.0.113.0/24")
		if says != c.says || !strings.HasPrefix(err.Error(), `"`) {
			t.Errorf("of %q it is said: %v", c.text, err)
		}
	}
	if a, err := sekisho.ParseAddress("2001:db8::9"); err != nil || a.String() != "2001:db8::9" {
		t.Errorf("an address is read as %v (%v)", a, err)
	}
	for _, s := range []string{"203.0.113.9/32", "203.0.113.0/24", "::ffff:203.0.113.9", "x", ""} {
		if a, err := sekisho.ParseAddress(s); err == nil {
			t.Errorf("%q is taken for the address %v", s, a)
		}
	}
	if list, err := sekisho.ParsePrefixes([]string{"10.0.0.0/8", "x"}); err == nil || list != nil {
		t.Errorf("a list with a mistake is %v", list)
	}
}

// Whatever is taken has one form, which holds what it says and means itself.
func FuzzParsePrefix(f *testing.F) {
	for _, s := range []string{"203.0.113.9", "203.0.113.0/24", "203.0.113.9/24", "2001:db8::/32", "::ffff:1.2.3.4/128", "fe80::1%eth0/64", "::/0", "1.2.3.4/", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := sekisho.ParsePrefix(s)
		if err != nil {
			if p != (netip.Prefix{}) || len(s) < 1000 && !strings.Contains(err.Error(), "neither an address nor a prefix") {
				t.Fatalf("%q: %v, %v", s, p, err)
			}
			return
		}
		if !p.IsValid() || p.Masked() != p || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			t.Fatalf("%q gave %v", s, p)
		}
		again, err := sekisho.ParsePrefix(p.String())
		if err != nil || again != p {
			t.Fatalf("%q gave %v, which gave %v (%v)", s, p, again, err)
		}
	})
}
