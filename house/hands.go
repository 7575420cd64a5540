package house

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"sekisho/contain"
)

// HandsKey is the key that the house signs with what its hands are to do.
func (c *Config) HandsKey() string { return filepath.Join(c.Data, "hands.key") }

// OpenHands makes the hands of containment that the config names. Nothing is cut
// by it and nothing given back: what they have in force stays. It comes before
// OpenContain, whose keeper moves them.
func (h *House) OpenHands() error {
	if err := os.MkdirAll(h.Config.Data, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	key, err := contain.LoadOrMakeKey(h.Config.HandsKey())
	if err != nil {
		return err
	}
	h.Hands, err = contain.NewDoor(h.Config.Hands, contain.Outfit{
		Ledger: h.Config.Name, Dir: filepath.Join(h.Config.Data, "hands"), Key: key, Now: h.now, Log: h.Log.With("door", "hands"),
	})
	if err != nil {
		return err
	}
	h.moreHands = append(h.moreHands, h.Hands.Hands...)
	return nil
}

// ServeHands serves agents, firewalls and probes on l until ctx ends.
func (h *House) ServeHands(ctx context.Context, l net.Listener) error {
	srv := h.Hands.Server()
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.ServeTLS(l, h.Config.Hands.Cert, h.Config.Hands.Key); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the hands: %w", err)
	}
	return nil
}
