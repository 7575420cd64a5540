package sekisho

import (
	"fmt"
	"net/netip"
	"strings"
)

// ParsePrefix reads an address or a prefix as a person writes it: 203.0.113.9,
// 203.0.113.0/24, 2001:db8::9 or 2001:db8::/32. What can be meant in two ways
// is refused, with what to write instead: an IPv4 address within an IPv6 one
// (it would be compared with neither), a zone, and bits behind the prefix's
// length (a machine, or its whole network?).
//
// Its errors are *NotPrefix.
func ParsePrefix(s string) (netip.Prefix, error) {
	wrong := func(instead ...string) (netip.Prefix, error) {
		return netip.Prefix{}, &NotPrefix{s, strings.Join(instead, ", ")}
	}
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			return wrong()
		case a.Zone() != "" || a.Is4In6():
			return wrong(a.WithZone("").Unmap().String())
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return wrong()
	case p.Addr().Is4In6() && p.Bits() >= 96:
		return wrong(netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked().String())
	case p.Addr().Is4In6():
		return wrong()
	case p.Masked() != p:
		return wrong(p.Masked().String(), p.Addr().String())
	}
	return p, nil
}

// NotPrefix: a text that ParsePrefix does not take, and what may have been
// meant, with commas between; empty if nobody can tell.
type NotPrefix struct{ Text, Instead string }

func (e *NotPrefix) Error() string {
	says := fmt.Sprintf("%q is neither an address nor a prefix such as 203.0.113.0/24", e.Text)
	if e.Instead != "" {
		says += ": write " + strings.ReplaceAll(e.Instead, ", ", " or ")
	}
	return says
}

// ParsePrefixes reads each of a list.
func ParsePrefixes(list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		p, err := ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// ParseAddress reads an address as strictly.
func ParseAddress(s string) (netip.Addr, error) {
	p, err := ParsePrefix(s)
	if err != nil || !p.IsSingleIP() || strings.Contains(s, "/") {
		return netip.Addr{}, fmt.Errorf("%q is no address such as 203.0.113.9", s)
	}
	return p.Addr(), nil
}
