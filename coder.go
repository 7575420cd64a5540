package sekisho

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// A coder writes fields to buf, or reads them from it, so that every body
// states its layout once. Reading never allocates more than the bytes at hand
// could fill, and stops at the first error.
type coder struct {
	buf     []byte
	pos     int
	reading bool
	err     error
}

func (c *coder) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: byte %d: %s", ErrMalformed, c.pos, fmt.Sprintf(format, args...))
	}
}

func (c *coder) byte(v *byte) {
	if !c.reading {
		c.buf = append(c.buf, *v)
		return
	}
	if c.err != nil {
		return
	}
	if c.pos >= len(c.buf) {
		c.fail("ends early")
		return
	}
	*v = c.buf[c.pos]
	c.pos++
}

func (c *coder) uint(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	if c.err != nil {
		return
	}
	x, n := binary.Uvarint(c.buf[c.pos:])
	if n <= 0 {
		c.fail("bad varint")
		return
	}
	if n > 1 && c.buf[c.pos+n-1] == 0 {
		c.fail("varint longer than needed")
		return
	}
	c.pos += n
	*v = x
}

func (c *coder) uint32(v *uint32) {
	x := uint64(*v)
	c.uint(&x)
	if x > math.MaxUint32 {
		c.fail("%d does not fit 32 bits", x)
		return
	}
	*v = uint32(x)
}

func (c *coder) time(v *Time) {
	x := uint64(*v)
	c.uint(&x)
	if x > 1<<62 {
		c.fail("time out of range")
		return
	}
	*v = Time(x)
}

func (c *coder) bool(v *bool) {
	var b byte
	if *v {
		b = 1
	}
	c.byte(&b)
	if b > 1 {
		c.fail("a truth value of %d", b)
	}
	*v = b == 1
}

// length reads or writes a count of things that take at least min bytes each.
func (c *coder) length(n, min int) int {
	x := uint64(n)
	c.uint(&x)
	if !c.reading {
		return n
	}
	if c.err == nil && x > uint64(len(c.buf)-c.pos)/uint64(min) {
		c.fail("a count of %d, more than the bytes that follow", x)
	}
	if c.err != nil {
		return 0
	}
	return int(x)
}

func (c *coder) string(v *string) {
	n := c.length(len(*v), 1)
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	if c.err == nil {
		*v = string(c.buf[c.pos : c.pos+n])
		c.pos += n
	}
}

func (c *coder) strings(v *[]string) {
	n := c.length(len(*v), 1)
	if c.reading && n > 0 {
		*v = make([]string, n)
	}
	for i := range n {
		c.string(&(*v)[i])
	}
}

func (c *coder) hash(v *[32]byte) {
	if !c.reading {
		c.buf = append(c.buf, v[:]...)
		return
	}
	if c.err != nil {
		return
	}
	if len(c.buf)-c.pos < len(v) {
		c.fail("ends early")
		return
	}
	copy(v[:], c.buf[c.pos:])
	c.pos += len(v)
}

// addr is a length of 0, 4 or 16, then the address. 0 is "none".
func (c *coder) addr(v *netip.Addr) {
	var raw [16]byte
	b := raw[:0]
	if !c.reading {
		b = v.WithZone("").Unmap().AsSlice()
	}
	n := c.length(len(b), 1)
	if !c.reading {
		c.buf = append(c.buf, b...)
		return
	}
	if c.err != nil || n == 0 {
		return
	}
	a, ok := netip.AddrFromSlice(c.buf[c.pos : c.pos+n])
	if !ok || a.Is4In6() {
		c.fail("an address of %d bytes", n)
		return
	}
	c.pos += n
	*v = a
}

// uints is a count, then each value.
func (c *coder) uints(v *[]uint64) {
	n := c.length(len(*v), 1)
	if c.reading && n > 0 {
		*v = make([]uint64, n)
	}
	for i := range n {
		c.uint(&(*v)[i])
	}
}

// ordinals is a count, then each ordinal as the zigzag difference from the one
// before (the first from 0), in the order given: one byte each for a sweep in
// key order.
func (c *coder) ordinals(v *[]uint32) {
	n := c.length(len(*v), 1)
	if !c.reading {
		c.buf = slices.Grow(c.buf, n)
		prev := int64(0)
		for _, o := range *v {
			c.buf = binary.AppendVarint(c.buf, int64(o)-prev)
			prev = int64(o)
		}
		return
	}
	if n == 0 || c.err != nil {
		return
	}
	out := make([]uint32, n)
	prev := int64(0)
	for i := range out {
		var z uint64
		if c.pos < len(c.buf) && c.buf[c.pos] < 0x80 {
			z = uint64(c.buf[c.pos])
			c.pos++
		} else if c.uint(&z); c.err != nil {
			return
		}
		prev += int64(z>>1) ^ -int64(z&1)
		if prev < 0 || prev > math.MaxUint32 {
			c.fail("ordinal %d out of range", prev)
			return
		}
		out[i] = uint32(prev)
	}
	*v = out
}
