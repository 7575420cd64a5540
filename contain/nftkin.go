package contain

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// A neighbour is a machine that the kernel has spoken with on a link.
type neighbour struct {
	link    string
	mac     string
	address netip.Addr
}

// mostOfOne is how many addresses a neighbour can have before it is taken for a
// router that answers for others: containing it by its hardware address would
// contain them all.
const mostOfOne = 32

// kinOf is what else the machines of a fence are known by: on direct links, the
// hardware addresses of their addresses, and all other addresses of those; and
// links that are theirs alone.
func (n *Nftables) kinOf(f Fence) (k kin) {
	if len(n.plan.direct) == 0 && len(n.plan.alone) == 0 {
		return k
	}
	single := map[netip.Addr]bool{}
	var wide []netip.Prefix
	for _, p := range f.Egress {
		if p.IsSingleIP() {
			single[p.Addr()] = true
		} else {
			wide = append(wide, p)
		}
	}
	contained := func(a netip.Addr) bool {
		return single[a] || covered(wide, netip.PrefixFrom(a, a.BitLen())) && !covered(f.Open, netip.PrefixFrom(a, a.BitLen()))
	}
	for link, a := range n.plan.alone {
		if contained(a) {
			k.links = append(k.links, link)
		}
	}
	slices.Sort(k.links)
	if len(n.plan.direct) == 0 {
		return k
	}
	all, err := n.neighbours()
	if err != nil {
		return k
	}
	type machine struct {
		addresses []netip.Addr
		cut, open bool
	}
	machines := map[string]*machine{}
	for _, one := range all {
		if !slices.Contains(n.plan.direct, one.link) {
			continue
		}
		m := machines[one.mac]
		if m == nil {
			m = &machine{}
			machines[one.mac] = m
		}
		m.addresses = append(m.addresses, one.address)
		m.cut = m.cut || contained(one.address)
		m.open = m.open || covered(f.Open, netip.PrefixFrom(one.address, one.address.BitLen()))
	}
	for mac, m := range machines {
		if !m.cut || m.open || len(m.addresses) > mostOfOne {
			continue
		}
		k.macs = append(k.macs, mac)
		for _, a := range m.addresses {
			if !single[a] && !a.IsLinkLocalUnicast() {
				k.addresses = append(k.addresses, a)
			}
		}
	}
	slices.Sort(k.macs)
	slices.SortFunc(k.addresses, netip.Addr.Compare)
	k.addresses = slices.Compact(k.addresses)
	return k
}

// neighbours asks the kernel for its tables of neighbours (rtnetlink(7)).
func neighbours() ([]neighbour, error) {
	raw, err := syscall.NetlinkRIB(syscall.RTM_GETNEIGH, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("asking for neighbours: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return nil, fmt.Errorf("reading neighbours: %w", err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("asking for links: %w", err)
	}
	names := map[int]string{}
	for _, i := range interfaces {
		names[i.Index] = i.Name
	}
	var out []neighbour
	for i := range messages {
		if messages[i].Header.Type != syscall.RTM_NEWNEIGH {
			continue
		}
		if one, link, ok := readNeighbour(messages[i].Data); ok {
			one.link = names[link]
			out = append(out, one)
		}
	}
	return out, nil
}

// readNeighbour reads one message: struct ndmsg, then attributes.
func readNeighbour(b []byte) (one neighbour, link int, ok bool) {
	const ndmsg, noARP, dst, lladdr = 12, 0x40, 1, 2
	if len(b) < ndmsg {
		return one, 0, false
	}
	link = int(int32(binary.NativeEndian.Uint32(b[4:])))
	if state := binary.NativeEndian.Uint16(b[8:]); state&noARP != 0 {
		return one, 0, false // multicast, loopback
	}
	for b = b[ndmsg:]; len(b) >= 4; {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return one, 0, false
		}
		switch value := b[4:size]; kind {
		case dst:
			one.address, _ = netip.AddrFromSlice(value)
		case lladdr:
			if len(value) == 6 {
				one.mac = net.HardwareAddr(value).String()
			}
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return one, link, one.address.IsValid() && one.mac != ""
}
