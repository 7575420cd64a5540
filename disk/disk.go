// Package disk is the file layer under everything that must survive a crash.
// It is an interface so that tests can put a layer under the house that
// forgets: see Forgetful.
package disk

import "io"

// FS is a place for files. Two implementations: OS, and Forgetful, which
// loses at a crash what was not synced.
//
// The contract, which both keep:
//   - Bytes written are safe only after Sync of that file returned nil.
//   - A file's existence, name or removal is safe only after SyncDir of its
//     directory returned nil.
//   - After a crash an unsynced write may be there, be absent, or be there in
//     part, in sectors of 512 bytes, whatever was written after it.
//   - After Sync returned an error nothing is known of the bytes since the
//     last Sync. Do not retry: close, and recover as after a crash.
type FS interface {
	// OpenFile is os.OpenFile.
	OpenFile(name string, flag int, perm uint32) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// List gives the names in a directory, sorted.
	List(dir string) ([]string, error)
	MkdirAll(dir string, perm uint32) error
	SyncDir(dir string) error
	// Lock takes the exclusive lock on a file, made if need be, and fails at
	// once if another holder has it. It ends with Close or with the process.
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Allocate makes the file size bytes long with real, zero-filled blocks, so
	// that later writes within it cannot fail for want of room. ENOSPC leaves
	// the file usable at its old size.
	Allocate(size int64) error
	// Start has the n bytes at off begin their way to the disk, and waits for
	// nothing. It promises nothing: it only makes the Sync that follows quicker,
	// and what goes wrong shows there.
	Start(off, n int64)
	// Sync is fdatasync.
	Sync() error
}
