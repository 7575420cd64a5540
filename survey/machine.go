package survey

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// The machine that sekisho runs on.

const (
	// A segment of the ledger is made whole before it is needed, so less room
	// than a few of them stops the gate soon.
	roomFailure = 1 << 30
	roomWarning = 10 << 30
	slowSync    = 20 * time.Millisecond
	syncTries   = 25
	soon        = 30 * 24 * time.Hour // a certificate that ends within is told of
)

func (d *doctor) machine() {
	d.directory()
	d.secrets()
	d.certificate("gate_certificate", d.p.Gate)
	d.certificate("console_certificate", d.p.Console)
	switch {
	case d.p.Gate.Cert == "":
		d.note(Warning, "gate_tls")
	case !d.p.Gate.Require:
		d.note(Warning, "tls_optional")
	}
	if d.p.Gate.Cert != "" && d.p.Gate.ClientCA == "" {
		d.note(Warning, "terminals")
	}
	if host, _, err := net.SplitHostPort(d.p.Console.Listen); err == nil && d.p.Console.Cert == "" {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			d.note(Failure, "console_plain", d.p.Console.Listen)
		}
	}
	d.port("gate_port", d.p.Gate.Listen)
	d.port("console_port", d.p.Console.Listen)
	d.clock()
}

// directory: the ledger can be written there, and what is written stays.
func (d *doctor) directory() {
	dir := d.p.Data
	info, err := os.Stat(dir)
	at := dir
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// sekisho makes it. What counts is where.
		for ; errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at); _, err = os.Stat(at) {
			at = filepath.Dir(at)
		}
		d.note(OK, "data_new", dir)
	case err != nil:
		d.note(Failure, "data", dir, err)
		return
	case !info.IsDir():
		d.note(Failure, "data", dir, syscall.ENOTDIR)
		return
	case info.Mode().Perm()&0o077 != 0:
		d.note(Failure, "data_mode", dir, info.Mode().Perm().String())
	default:
		d.note(OK, "data_mode", dir)
	}
	var room syscall.Statfs_t
	if err := syscall.Statfs(at, &room); err != nil {
		d.note(Unknown, "room", err)
	} else {
		free := int64(room.Bavail) * int64(room.Bsize)
		level := OK
		if free < roomFailure {
			level = Failure
		} else if free < roomWarning {
			level = Warning
		}
		d.note(level, "room", free>>20)
		switch uint32(room.Type) { // magic numbers of linux/magic.h
		case 0x01021994, 0x858458f6:
			d.note(Failure, "disk_kind", "tmpfs")
		case 0x6969, 0xff534d42, 0xfe534d42, 0x517b:
			d.note(Warning, "disk_kind", "NFS, SMB")
		}
	}
	took, err := syncTimes(at)
	switch {
	case err != nil:
		d.note(Failure, "sync", err)
	case took[len(took)/2] > slowSync:
		d.note(Warning, "sync", took[len(took)/2], took[len(took)-1])
	default:
		d.note(OK, "sync", took[len(took)/2], took[len(took)-1])
	}
}

// syncTimes writes and syncs a small file again and again, as the ledger's
// committer does, and gives how long that took, sorted.
func syncTimes(dir string) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, ".sekisho-doctor-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	// Preallocated, as a segment is: a sync then writes data and no sizes.
	if _, err := f.Write(make([]byte, syncTries*len(block))); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	took := make([]time.Duration, syncTries)
	for i := range took {
		block[0] = byte(i + 1)
		if _, err := f.WriteAt(block, int64(i*len(block))); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took, nil
}

// secrets: keys and passwords are there, and nobody else can read them.
func (d *doctor) secrets() {
	type file struct {
		path   string
		needed bool
		login  string // whose password it is to hold
	}
	files := []file{{filepath.Join(d.p.Data, "vault.key"), false, ""}, {filepath.Join(d.p.Users, "users.json"), false, ""},
		{d.p.Gate.Key, true, ""}, {d.p.Console.Key, true, ""}, {d.p.Reader.PasswordFile, true, d.p.Reader.User}}
	for _, name := range sortedKeys(d.p.Roles) {
		files = append(files, file{d.p.Roles[name].PasswordFile, true, d.p.Roles[name].User})
	}
	good := 0
	seen := map[string]bool{}
	for _, f := range files {
		if f.path == "" || seen[f.path] {
			continue
		}
		seen[f.path] = true
		info, err := os.Stat(f.path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !f.needed:
			continue // made at the first start
		case errors.Is(err, fs.ErrNotExist) && f.login != "":
			d.note(Failure, "password_file", f.path, f.login)
			continue
		case err != nil:
			d.note(Failure, "secret", f.path, err)
			continue
		}
		owner := uint32(os.Geteuid())
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = s.Uid
		}
		switch {
		case info.Mode().Perm()&0o077 != 0:
			d.note(Failure, "secret_mode", f.path, info.Mode().Perm().String())
		case owner != uint32(os.Geteuid()) && owner != 0:
			d.note(Warning, "secret_owner", f.path, owner)
		default:
			good++
		}
	}
	if good > 0 {
		d.note(OK, "secret", good)
	}
}

func (d *doctor) certificate(check string, door Door) {
	if door.Cert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(door.Cert, door.Key)
	if err != nil {
		d.note(Failure, check, err)
		return
	}
	until := pair.Leaf.NotAfter.Format(time.DateOnly)
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left <= 0 || time.Now().Before(pair.Leaf.NotBefore):
		d.note(Failure, check, errors.New(pair.Leaf.NotBefore.Format(time.DateOnly)+" – "+until))
	case left < soon:
		d.note(Warning, check, until)
	default:
		d.note(OK, check, until)
	}
	if door.ClientCA == "" {
		return
	}
	pem, err := os.ReadFile(door.ClientCA)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = errors.New("no PEM certificate: " + door.ClientCA)
	}
	if err != nil {
		d.note(Failure, "client_ca", err)
	} else {
		d.note(OK, "client_ca")
	}
}

// port: somebody else there makes sekisho move to the next one, where no
// client looks.
func (d *doctor) port(check, addr string) {
	if addr == "" {
		return
	}
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		l.Close()
		d.note(OK, check, addr)
	case errors.Is(err, syscall.EADDRINUSE) && d.p.Running:
		d.note(OK, check, addr) // itself
	case errors.Is(err, syscall.EADDRINUSE):
		d.note(Warning, check, addr)
	default:
		d.note(Failure, check, addr, err)
	}
}

// clock: the kernel says whether something keeps it right (adjtimex(2)).
func (d *doctor) clock() {
	const staUnsync, timeError = 0x40, 5
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	switch {
	case err != nil:
		d.note(Unknown, "clock", err)
	case state == timeError || t.Status&staUnsync != 0:
		d.note(Warning, "clock")
	default:
		d.note(OK, "clock")
	}
}
