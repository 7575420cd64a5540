package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// The vault, which is made durable first, may be who finds the disk full: that ends
// with room, and is no failure after which sekisho has to be started again.
func TestHealthWhenWhatComesFirstFindsADiskFull(t *testing.T) {
	cfg := config(disk.NewForgetful(6), dir)
	var full atomic.Bool
	cfg.Before = func() ([]sekisho.Body, error) {
		if full.Load() {
			return nil, fmt.Errorf("making room for keys: %w", syscall.ENOSPC)
		}
		return nil, nil
	}
	l := mustOpen(t, cfg)
	full.Store(true)
	if err := l.Health(t.Context()); !errors.Is(err, ledger.ErrFull) {
		t.Errorf("a full disk: %v", err)
	}
	full.Store(false)
	if err := l.Health(t.Context()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	mustClose(t, l)
}

func TestHealthOfAFullDisk(t *testing.T) {
	fs := disk.NewForgetful(5)
	cfg := config(fs, dir)
	l := mustOpen(t, cfg)
	if err := l.Health(t.Context()); err != nil {
		t.Errorf("a new ledger: %v", err)
	}
	fs.Room(cfg.SegmentBytes + 1000)
	large := access(1)
	large.Subjects = make([]uint32, 1000)
	for n := 0; ; n++ {
		_, err := l.Append(t.Context(), large)
		if errors.Is(err, ledger.ErrFull) {
			break
		}
		if err != nil || n > 100 {
			t.Fatalf("the disk never got full: %v", err)
		}
	}
	last := l.Last()
	for range 2 {
		if err := l.Health(t.Context()); !errors.Is(err, ledger.ErrFull) {
			t.Errorf("a full disk: %v", err)
		}
	}
	fs.Room(-1)
	if err := l.Health(t.Context()); err != nil || l.Last() != last {
		t.Errorf("with room again: %v, and %d entries more", err, l.Last()-last)
	}
	mustAppend(t, l, large)
	mustClose(t, l)
	if err := l.Health(t.Context()); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("a closed ledger: %v", err)
	}
	if r := verify(t, fs); !r.OK() {
		t.Error(r.Problems)
	}
}

func TestHealthOfAFailedLedger(t *testing.T) {
	fs := disk.NewForgetful(5)
	var broken bool
	fs.Inject = func(op, _ string) disk.Fault {
		if broken && op == "sync" {
			return disk.Fault{Err: io.ErrUnexpectedEOF}
		}
		return disk.Fault{}
	}
	l := mustOpen(t, config(fs, dir))
	broken = true
	if _, err := l.Append(t.Context(), access(1)); !errors.Is(err, ledger.ErrFailed) {
		t.Fatalf("append: %v", err)
	}
	broken = false
	if err := l.Health(t.Context()); !errors.Is(err, ledger.ErrFailed) {
		t.Errorf("after a failed sync: %v", err)
	}
	l.Close()
}

// TestHealthDoesNotWaitForever: a disk that does not answer is an answer.
func TestHealthDoesNotWaitForever(t *testing.T) {
	fs := disk.NewForgetful(5)
	cfg := config(fs, dir)
	stuck, entered := make(chan struct{}), make(chan struct{})
	var stick bool
	l := mustOpen(t, cfg)
	fs.Inject = func(op, _ string) disk.Fault {
		if stick && op == "sync" {
			stick = false
			close(entered)
			<-stuck
		}
		return disk.Fault{}
	}
	stick = true
	done := make(chan error, 1)
	go func() { _, err := l.Append(context.Background(), access(1)); done <- err }()
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Health(gone); !errors.Is(err, ledger.ErrBusy) {
		t.Errorf("while a sync hangs: %v", err)
	}
	close(stuck)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Health(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
	mustClose(t, l)
}
