package gate

import (
	"errors"
	"fmt"
	"io"
)

// A gate whose catalog protects no table has nothing to account for, and passes
// everything on as it comes: the client and the server speak with each other
// as if it were not there. What stays the gate's own: who may connect, TLS,
// the login upstream, cancel keys, and the entries of sessions.

// transparent: nothing is protected.
func (g *Gate) transparent() bool { return len(g.catalog.Tables) == 0 }

// relayClient passes on what the client says.
func (s *session) relayClient(*strand) error {
	var f framer
	buf := make([]byte, smallChunk)
	for {
		n, err := s.client.Read(buf)
		if n > 0 {
			bye := f.feed(buf[:n], 'X')
			if bye {
				s.leaving.Store(true)
			}
			s.server.Write(buf[:n]) // if this fails, the server side sees the end
			if bye {
				return nil
			}
			if n == len(buf) && n < chunkBytes {
				buf = make([]byte, chunkBytes)
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errClientGone, err)
		}
	}
}

// relayServer passes on what the server says.
func (s *session) relayServer(t *strand) error {
	f := &s.relaying
	size := smallChunk
	for {
		c := newChunk(size)
		n, err := s.server.Read(c.buf)
		if n > 0 {
			if size = smallChunk; n == len(c.buf) {
				size = chunkBytes
			}
			f.feed(c.buf[:n], 0)
			s.saidWhy = !f.between() // an error of the gate's own can stand between messages only
			c.buf = c.buf[:n]
			if err := s.out.put(c, nil, t); err != nil {
				return err
			}
		} else {
			c.recycle()
		}
		if e := s.ending.Load(); e != nil || err != nil && s.g.closing.Load() {
			s.saidWhy = !s.finish(f, t)
			return errServerGone
		}
		switch {
		case errors.Is(err, io.EOF):
			return errServerGone
		case err != nil:
			return fmt.Errorf("%w: %w", errServerGone, err)
		}
	}
}

// A framer follows messages through a stream of bytes.
type framer struct {
	head [5]byte
	have int    // of head
	left uint64 // bytes of the message's body to come
}

// feed takes the stream's next bytes, and says whether a message of this type
// ends in them.
func (f *framer) feed(b []byte, typ byte) (seen bool) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		n := copy(f.head[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have < len(f.head) {
			break
		}
		f.have = 0
		f.left = uint64(max(be.Uint32(f.head[1:]), 4)) - 4
		seen = seen || f.head[0] == typ
	}
	return seen
}

// between: the stream stands between two messages.
func (f *framer) between() bool { return f.left == 0 && f.have == 0 }
