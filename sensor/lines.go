package sensor

import (
	"bufio"
	"bytes"
	"io"
)

// A lineReader cuts a stream at line feeds and never holds more than maxLine
// bytes of a line.
type lineReader struct {
	wide  byteOrder // of UTF-16, where a line feed is two bytes
	r     *bufio.Reader
	buf   []byte
	lines uint64 // that next has returned
	bytes int64  // of those lines, line ends included
	open  int    // bytes of the last line if it had no line feed yet; else 0
}

func newLineReader(r io.Reader) *lineReader { return newLineReaderSize(r, 1<<16) }

func newLineReaderSize(r io.Reader, size int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, size)}
}

// byteOrder is that of UTF-16; 0 for every encoding in which the byte 0x0A is
// always a line feed.
type byteOrder byte

const (
	littleEndian byteOrder = 1
	bigEndian    byteOrder = 2
)

// next gives the next line without its line feed; it is valid until the call
// after. A line of more than maxLine bytes is read over: line is then its
// beginning. What stands after the last line feed is a line too. The error is
// io.EOF at the end, or that of the reader; an unfinished line is lost with it.
func (l *lineReader) next() (line []byte, tooLong bool, err error) {
	l.buf, l.open = l.buf[:0], 0
	n := 0
	for {
		part, err := l.r.ReadSlice('\n')
		n += len(part)
		beforeLast := byte(1)
		if len(part) > 1 {
			beforeLast = part[len(part)-2]
		} else if len(l.buf) > 0 {
			beforeLast = l.buf[len(l.buf)-1]
		}
		if room := maxLine + 2 - len(l.buf); room > 0 {
			l.buf = append(l.buf, part[:min(room, len(part))]...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err == nil && l.wide == bigEndian && beforeLast != 0 {
			continue
		}
		if err == nil && l.wide == littleEndian {
			if zero, _ := l.r.Peek(1); len(zero) == 1 && zero[0] != 0 {
				continue
			} else if len(zero) == 1 {
				l.r.Discard(1)
				n++
			}
		}
		if err != nil && (err != io.EOF || n == 0) {
			return nil, false, err
		}
		if err == io.EOF {
			l.open = n
		}
		break
	}
	l.lines++
	l.bytes += int64(n)
	line = l.buf
	if l.open == 0 && len(line) <= maxLine+1 {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if l.wide == bigEndian {
			line = bytes.TrimSuffix(line, []byte{0})
		}
	}
	if len(line) > maxLine {
		return line[:maxLine], true, nil
	}
	return line, false, nil
}
