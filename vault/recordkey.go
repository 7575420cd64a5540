package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sekisho/disk"
)

// The file of record keys, beside the vault file. All numbers little-endian:
//
//	header, 512 bytes:
//	  0  "sekisho keys 1\n\n"
//	  16 the vault's id
//	  32 CRC-32C of the bytes before; zeros to 512
//	then slots of 40 bytes, the first of them number 1:
//	  0  state, 4 bytes: 1, a key; 2, destroyed
//	  4  the record's key, 32 random bytes; or, once it is destroyed, the
//	     record's commitment, HMAC-SHA256(salt, key text)
//	  36 CRC-32C of the slot's number (8 bytes) and the 36 bytes before
//
// Each record is under a key of its own, and then under the vault's: salt and
// key text are encrypted by AES-256 in counter mode under the record's key,
// with the row's nonce and its epoch's first half as the first counter block,
// before the row is sealed. Destroying the 32 bytes destroys the record, in
// every copy of the vault file too that was made without this file; the
// commitment in their place keeps the ledger's roots verifiable.
//
// Keys are drawn ahead, and are durable before a row is written that needs
// one. Slots behind the last one in use are worth nothing after a restart.
const (
	keysName   = "keys"
	keysMagic  = "sekisho keys 1\n\n"
	slotLen    = 40
	slotKey    = 1
	slotGone   = 2
	drawnFirst = 64 // keys in the first write and sync; then twice as many each time, up to
	drawnAhead = 1024
)

// errRecordKey: the file of record keys and the vault file do not belong
// together, or one is damaged. Unlike an incomplete group it is never dropped.
var errRecordKey = fmt.Errorf("%w: its record keys", ErrDamaged)

// recordKeys is the open file of record keys.
type recordKeys struct {
	file  disk.File
	name  string
	next  uint64 // the slot of the next record
	ready []byte // the keys of next and those behind it, durable
	size  int64
	ahead uint64 // so many are drawn next
}

func makeSlot(number uint64, state uint32, content []byte) []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, slotLen), state)
	b = append(b, content...)
	return binary.LittleEndian.AppendUint32(b, slotSum(number, b))
}

func slotSum(number uint64, b []byte) uint32 {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], number)
	return crc(append(n[:], b[:36]...))
}

func slotAt(number uint64) int64 { return fileHeader + int64(number-1)*slotLen }

// openKeys opens the file of record keys; there is none beside a vault of
// before.
func (v *Vault) openKeys() error {
	k := &v.records
	k.name, k.next = filepath.Join(v.cfg.Dir, keysName), max(k.next, 1)
	flag := os.O_RDWR
	if v.cfg.ReadOnly {
		flag = os.O_RDONLY
	}
	f, err := v.cfg.FS.OpenFile(k.name, flag, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k.file = f
	if v.cfg.ReadOnly {
		k.file = &foreseen{File: f, which: inKeys, v: v}
	}
	if k.size, err = f.Size(); err != nil {
		return err
	}
	var head [fileHeader]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("%w: %s ends within its header", errRecordKey, k.name)
	}
	if string(head[:]) != string(v.keysHeader()) {
		return fmt.Errorf("%w: %s does not belong to this vault file: put back the one that does", errRecordKey, k.name)
	}
	return nil
}

func (v *Vault) keysHeader() []byte {
	b := append(make([]byte, 0, fileHeader), keysMagic...)
	b = append(b, v.id[:]...)
	b = binary.LittleEndian.AppendUint32(b, crc(b))
	return b[:fileHeader]
}

// createKeys makes the file under another name first, so that one of its name
// always has a whole header.
func (v *Vault) createKeys() error {
	k := &v.records
	f, err := v.cfg.FS.OpenFile(k.name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(v.keysHeader(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = v.cfg.FS.Rename(k.name+".new", k.name)
	}
	if err == nil {
		err = v.cfg.FS.SyncDir(v.cfg.Dir)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("making the file of record keys: %w", err)
	}
	k.file, k.size = f, fileHeader
	return nil
}

// drawKeys makes at least n keys durable that no record has yet. A full disk
// loses nothing.
func (v *Vault) drawKeys(n uint64) error {
	k := &v.records
	have := uint64(len(k.ready)) / 32
	if have >= n {
		return nil
	}
	k.ahead = min(max(2*k.ahead, drawnFirst), drawnAhead)
	fresh := make([]byte, 32*max(n-have, k.ahead))
	rand.Read(fresh)
	var b []byte
	for i := range uint64(len(fresh)) / 32 {
		b = append(b, makeSlot(k.next+have+i, slotKey, fresh[32*i:32*i+32])...)
	}
	at := slotAt(k.next + have)
	if end := at + int64(len(b)); end > k.size {
		if err := k.file.Allocate(end); err != nil {
			return fmt.Errorf("making room for %d record keys: %w", len(fresh)/32, err)
		}
		k.size = end
	}
	if _, err := k.file.WriteAt(b, at); err != nil {
		return v.fail("writing record keys beside", err)
	}
	if err := k.file.Sync(); err != nil {
		return v.fail("syncing record keys beside", err)
	}
	k.ready = append(k.ready, fresh...)
	return nil
}

// take gives the next key.
func (k *recordKeys) take() (key [32]byte) {
	key = [32]byte(k.ready)
	clear(k.ready[:32])
	k.ready = k.ready[32:]
	k.next++
	return key
}

// slots reads the slots of count records.
func (v *Vault) slots(first uint64, count uint32) ([]byte, error) {
	k := &v.records
	if k.file == nil {
		return nil, fmt.Errorf("%w: there is no %s: put it back, or the records that it holds the keys of are lost", errRecordKey, k.name)
	}
	b := make([]byte, int(count)*slotLen)
	if _, err := k.file.ReadAt(b, slotAt(first)); err != nil && err != io.EOF {
		return nil, err
	} else if err == io.EOF {
		return nil, fmt.Errorf("%w: %s lacks slots of %d to %d: put back the one that belongs to this vault file", errRecordKey, k.name, first, first+uint64(count)-1)
	}
	for i := range uint64(count) {
		s := b[i*slotLen : (i+1)*slotLen]
		state := binary.LittleEndian.Uint32(s)
		if binary.LittleEndian.Uint32(s[36:]) != slotSum(first+i, s) || state != slotKey && state != slotGone {
			return nil, fmt.Errorf("%w: slot %d of %s is damaged", errRecordKey, first+i, k.name)
		}
	}
	return b, nil
}

// checkOf tells a record's key from another, and nothing else of it.
func checkOf(key []byte) [keyCheck]byte {
	sum := sha256.Sum256(append([]byte("sekisho record key "), key...))
	return [keyCheck]byte(sum[:])
}

// mask encrypts a row's content under its record's key, or decrypts it.
func mask(key []byte, epoch [epochLen]byte, nonce uint64, content []byte) error {
	b, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[:8], nonce)
	copy(iv[8:], epoch[:8])
	// The counter runs in the last 8 bytes, over at most 2^16 blocks of a row;
	// the nonce, in the first, never repeats in an epoch.
	cipher.NewCTR(b, iv[:]).XORKeyStream(content, content)
	return nil
}
