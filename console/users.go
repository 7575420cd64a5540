package console

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"sekisho/disk"
)

// A user may sign in at the console. The file keeps no password, only its
// argon2id hash with the parameters that made it, so that they can be raised
// later without locking anybody out.
type user struct {
	Name    string `json:"name"`
	Salt    []byte `json:"salt"`
	Hash    []byte `json:"hash"`
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory_kib"`
	Threads uint8  `json:"threads"`

	Role string   `json:"role,omitempty"` // one of userRoles; empty is administrator
	Also []string `json:"also,omitempty"` // other accounts of the same person: logins at the gate, accounts of the machine

	Until time.Time `json:"until,omitzero"` // of an auditor: from then on nobody gets in by it
}

// What a user may do beside looking and asking. An approver decides exports of
// others; an administrator does too.
const (
	administrator = "administrator"
	approver      = "approver"
	plainUser     = "user"
)

var userRoles = []string{administrator, approver, plainUser, hr, auditor}

// users is the file users.json in the data directory. It is small, and read
// whole.
type users struct {
	fs   disk.FS
	path string
	cost cost
	// hashing lets two passwords be hashed at a time: each takes 64 MiB.
	hashing chan struct{}

	mu     sync.Mutex
	byName map[string]user
}

// cost is the second recommended setting of RFC 9106 section 4; tests make it
// cheap.
type cost struct {
	time, memoryKiB uint32
	threads         uint8
}

var fullCost = cost{time: 3, memoryKiB: 64 << 10, threads: 4}

const (
	usersFile    = "users.json"
	maxUsersFile = 1 << 20
	maxName      = 64
	maxPassword  = 256
)

func openUsers(fsys disk.FS, dir string, c cost) (*users, error) {
	u := &users{fs: fsys, path: filepath.Join(dir, usersFile), cost: c,
		hashing: make(chan struct{}, 2), byName: map[string]user{}}
	if err := u.read(); err != nil {
		return nil, err
	}
	return u, nil
}

// read reads the file anew. Two consoles may share it, as those of the demo do.
// After an error what was known before stands. u.mu is held, or u is new.
func (u *users) read() error {
	f, err := u.fs.OpenFile(u.path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the console's users: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > maxUsersFile {
		return fmt.Errorf("reading the console's users: %s has %d bytes, at most %d are read (%v)", u.path, size, maxUsersFile, err)
	}
	raw := make([]byte, size)
	if n, err := f.ReadAt(raw, 0); n < len(raw) {
		return fmt.Errorf("reading the console's users: %w", err)
	}
	list, err := parseUsers(raw)
	if err != nil {
		return fmt.Errorf("reading the console's users: %s: %w; put back a copy, or remove the file and start again: a new administrator is then made", u.path, err)
	}
	clear(u.byName)
	for _, one := range list {
		u.byName[one.Name] = one
	}
	return nil
}

// parseUsers reads the users file, and refuses parameters that would make a
// sign-in exhaust the machine.
func parseUsers(raw []byte) ([]user, error) {
	var list []user
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	for _, one := range list {
		switch {
		case !goodName(one.Name):
			return nil, errors.New("a user's name is not one")
		case len(one.Salt) < 8 || len(one.Hash) != 32:
			return nil, errors.New("a user's salt or hash has the wrong length")
		case one.Time < 1 || one.Time > 64 || one.Memory < 8 || one.Memory > 1<<20 || one.Threads < 1:
			return nil, errors.New("a user's hash parameters are out of range")
		case one.Role != "" && !slices.Contains(userRoles, one.Role):
			return nil, errors.New("a user's role is not one")
		case (one.Role == auditor) == one.Until.IsZero():
			return nil, errors.New("an auditor's end is missing, or somebody else has one")
		}
	}
	return list, nil
}

// goodName: what a person can type and a log of another system can carry.
func goodName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' || r == '@')
	})
}

func (u *users) exists(name string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.byName[name]
	return ok
}

func (u *users) empty() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.byName) == 0
}

// check compares a password. It takes as long for a name that is nobody's.
func (u *users) check(name, password string) bool {
	u.mu.Lock()
	_ = u.read() // else the users that were known before
	one, known := u.byName[name]
	u.mu.Unlock()
	if !known {
		one = user{Salt: make([]byte, 16), Hash: make([]byte, 32), Time: u.cost.time, Memory: u.cost.memoryKiB, Threads: u.cost.threads}
	}
	if len(password) > maxPassword {
		return false
	}
	u.hashing <- struct{}{}
	hash := argon2.IDKey([]byte(password), one.Salt, one.Time, one.Memory, one.Threads, 32)
	<-u.hashing
	return subtle.ConstantTimeCompare(hash, one.Hash) == 1 && known
}

// set gives name a new password, and makes the user if there is none. On
// return the file is durable; after a crash before that, the old one stands.
func (u *users) set(name, password string) error {
	return u.write(user{Name: name}, password)
}

// add makes a user with a role; until is an auditor's end.
func (u *users) add(line UserLine, until time.Time, password string) error {
	return u.write(user{Name: line.Name, Role: line.Role, Also: line.Also, Until: until}, password)
}

// until is when an auditor's account ends; false for everybody else.
func (u *users) until(name string) (time.Time, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.read() // else the users that were known before
	one := u.byName[name]
	return one.Until, one.Role == auditor
}

func (u *users) write(who user, password string) error {
	name := who.Name
	one := user{Name: name, Salt: make([]byte, 16), Time: u.cost.time, Memory: u.cost.memoryKiB, Threads: u.cost.threads}
	rand.Read(one.Salt)
	u.hashing <- struct{}{}
	one.Hash = argon2.IDKey([]byte(password), one.Salt, one.Time, one.Memory, one.Threads, 32)
	<-u.hashing

	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.read(); err != nil { // nobody whom another console wrote is lost
		return err
	}
	one.Role, one.Also, one.Until = who.Role, who.Also, who.Until
	if before, ok := u.byName[name]; ok && who.Role == "" { // only the password is new
		one.Role, one.Also, one.Until = before.Role, before.Also, before.Until
	}
	list := []user{one}
	for n, other := range u.byName {
		if n != name {
			list = append(list, other)
		}
	}
	if err := u.keep(list); err != nil {
		return err
	}
	u.byName[name] = one
	return nil
}

// remove takes a user away. On return the file is durable.
func (u *users) remove(name string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.read(); err != nil {
		return err
	}
	var list []user
	for n, other := range u.byName {
		if n != name {
			list = append(list, other)
		}
	}
	if err := u.keep(list); err != nil {
		return err
	}
	delete(u.byName, name)
	return nil
}

// list gives every user, by name.
func (u *users) list() []UserLine {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.read() // else the users that were known before
	lines := []UserLine{}
	for _, one := range u.byName {
		line := UserLine{Name: one.Name, Role: cmp.Or(one.Role, administrator), Also: one.Also}
		if !one.Until.IsZero() {
			line.Until = one.Until.UTC().Format(time.RFC3339)
		}
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b UserLine) int { return strings.Compare(a.Name, b.Name) })
	return lines
}

// role is a user's, as the file says now; a stranger has the least.
func (u *users) role(name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.read() // else the users that were known before
	one, ok := u.byName[name]
	if !ok {
		return plainUser
	}
	return cmp.Or(one.Role, administrator)
}

// person is who stands behind an account: the user of that name, or the one who
// has it as another account; else the account is its own person.
func (u *users) person(account string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.byName[account]; ok {
		return account
	}
	for _, one := range u.byName {
		if slices.Contains(one.Also, account) {
			return one.Name
		}
	}
	return account
}

// names are an account's, and the others of the same person.
func (u *users) names(account string) (list []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if one, ok := u.byName[account]; ok {
		list = append([]string{one.Name}, one.Also...)
	}
	return list
}

// keep writes the file. u.mu is held.
func (u *users) keep(list []user) error {
	slices.SortFunc(list, func(a, b user) int { return strings.Compare(a.Name, b.Name) })
	raw, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the console's users: %w", err)
	}
	if err := u.replace(append(raw, '\n')); err != nil {
		return fmt.Errorf("writing the console's users: %w", err)
	}
	return nil
}

func (u *users) replace(raw []byte) error {
	dir := filepath.Dir(u.path)
	if err := u.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next := u.path + ".new"
	f, err := u.fs.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(raw, 0)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := u.fs.Rename(next, u.path); err != nil {
		return err
	}
	return u.fs.SyncDir(dir)
}

// newPassword is twenty letters and digits that cannot be mistaken for each
// other, in groups of five: 98 bits.
func newPassword() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	raw := make([]byte, 20)
	rand.Read(raw)
	var b strings.Builder
	for i, x := range raw {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[int(x)%len(alphabet)])
	}
	return b.String()
}
