package tell

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"

	"sekisho/disk"
)

// A Journal remembers, for the windows that are open, which letters may have
// been given to the mail server whole. It narrows what a crash leaves unclear
// from a window to the one letter of each connection whose answer was awaited.
//
// The ledger is the truth: the journal is asked only about MailStarted entries
// without a MailEnded. It fails towards "unclear": a window that it does not know,
// or a record that cannot be read, leaves whoever is not known to have been
// answered unclear. Records are of a fixed size; "going" is durable before the
// letter goes, an answer is not waited for: if it is lost, the letter is unclear.
type Journal struct {
	fs   disk.FS
	name string

	mu     sync.Mutex
	f      disk.File
	size   int64
	broken error
}

const (
	recordLen = 20
	begun     = 1 // of a window: number is a checksum of its people
	going     = 2
	// Answers follow: answer + Fate.
	answer = 16
)

// OpenJournal opens the file, which is made if need be.
func OpenJournal(fs disk.FS, name string) (*Journal, error) {
	j := &Journal{fs: fs, name: name}
	var err error
	if j.f, err = fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		j.size, err = j.f.Size()
	}
	if err != nil {
		return nil, fmt.Errorf("opening the journal of mails: %w", err)
	}
	return j, nil
}

// Close gives the file up. A nil journal has none.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	return j.f.Close()
}

// reset empties the journal. No window may be open.
func (j *Journal) reset() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size == 0 && j.broken == nil {
		return nil
	}
	err := j.f.Truncate(0)
	if err == nil {
		err = j.f.Sync()
	}
	if err == nil {
		j.size, j.broken = 0, nil
		return nil
	}
	// After a failed sync nothing is known of the file: another one.
	j.f.Close()
	if err = errors.Join(j.fs.Remove(j.name), j.fs.SyncDir(dirOf(j.name))); err == nil {
		j.f, err = j.fs.OpenFile(j.name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if j.size, j.broken = 0, err; err != nil {
		return fmt.Errorf("emptying the journal of mails: %w", err)
	}
	return nil
}

func dirOf(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if os.IsPathSeparator(name[i]) {
			return name[:i+1]
		}
	}
	return "."
}

func (j *Journal) add(kind uint32, mailing uint64, number uint32, durable bool) error {
	var b [recordLen]byte
	binary.LittleEndian.PutUint32(b[4:], kind)
	binary.LittleEndian.PutUint64(b[8:], mailing)
	binary.LittleEndian.PutUint32(b[16:], number)
	binary.LittleEndian.PutUint32(b[:], crc32.ChecksumIEEE(b[4:]))
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return fmt.Errorf("the journal of mails: %w", j.broken)
	}
	_, err := j.f.WriteAt(b[:], j.size)
	if err == nil && durable {
		err = j.f.Sync()
	}
	if err != nil {
		j.broken = err
		return fmt.Errorf("writing the journal of mails: %w", err)
	}
	j.size += recordLen
	return nil
}

// begin notes a window before its MailStarted, so that one that is killed between
// the two is known not to have written to anybody. It is durable with the first
// letter. Nobody is in two windows between two resets.
func (j *Journal) begin(mailing uint64, people []uint32) error {
	return j.add(begun, mailing, sumOf(people), false)
}

// going is durable on return: the letter may go.
func (j *Journal) going(mailing uint64, ord uint32) error { return j.add(going, mailing, ord, true) }

// answered notes what became of a letter.
func (j *Journal) answered(mailing uint64, ord uint32, f Fate) error {
	return j.add(answer+uint32(f), mailing, ord, false)
}

func sumOf(people []uint32) uint32 {
	var b []byte
	for _, o := range people {
		b = binary.LittleEndian.AppendUint32(b, o)
	}
	return crc32.ChecksumIEEE(b)
}

// remember reads what the journal knows of open windows: for each person whose
// letter was begun, its fate, Unclear if no answer is known. whole says whether
// who is not in known is certain not to have been written to.
func (j *Journal) remember(mailing uint64, people []uint32) (known map[uint32]Fate, whole bool) {
	known = map[uint32]Fate{}
	j.mu.Lock()
	defer j.mu.Unlock()
	whole = j.size%recordLen == 0
	var b [recordLen]byte
	seen := false
	for at := int64(0); at+recordLen <= j.size; at += recordLen {
		if _, err := j.f.ReadAt(b[:], at); err != nil || binary.LittleEndian.Uint32(b[:]) != crc32.ChecksumIEEE(b[4:]) {
			whole = false
			continue
		}
		kind, number := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[16:])
		if binary.LittleEndian.Uint64(b[8:]) != mailing {
			continue
		}
		switch kind {
		case begun:
			seen = seen || number == sumOf(people)
		case going:
			known[number] = Unclear
		case answer + uint32(Taken), answer + uint32(Later), answer + uint32(Denied):
			known[number] = Fate(kind - answer)
		default:
			whole = false
		}
	}
	if !seen {
		return map[uint32]Fate{}, false
	}
	return known, whole
}
