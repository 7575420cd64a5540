package contain_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"sekisho/contain"
)

// Whoever has an agent's word can keep its router from nothing that is ordered
// later, by speaking of a state with the highest of numbers.
func TestContainNumbersRiseWithTime(t *testing.T) {
	q := newHeadquarters(t, nil, netip.MustParseAddr("127.0.0.1"))
	key, err := contain.LoadOrMakeKey(q.write("unused", "") + ".key")
	mustDo(t, err)
	door, err := contain.NewDoor(q.conf, contain.Outfit{Ledger: "member-db", Dir: q.dir, Key: key, Log: slog.New(slog.DiscardHandler)})
	mustDo(t, err)
	s := httptest.NewServer(door.Server().Handler)
	defer s.Close()
	ask := func(method, query string, body []byte) int {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		r, err := http.NewRequestWithContext(ctx, method, s.URL+"/hands/edge"+query, bytes.NewReader(body))
		mustDo(t, err)
		r.Header.Set("Authorization", "Bearer edge-token-of-thirty-characters")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s %s: %v", method, query, err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for _, number := range []uint64{1<<62 - 2, 1 << 61} {
		if got := ask(http.MethodGet, fmt.Sprintf("?after=%d&look=0&has=x", number), nil); got != http.StatusBadRequest {
			t.Errorf("asking for what follows %d got %d", number, got)
		}
	}
	report := func(number uint64) []byte {
		found := contain.Observed{}
		text, err := json.Marshal(found)
		mustDo(t, err)
		sum := sha256.Sum256(text)
		body, err := json.Marshal(contain.Report{Number: number, Digest: hex.EncodeToString(sum[:]), Observed: &found})
		mustDo(t, err)
		return body
	}
	if got := ask(http.MethodPost, "", report(1<<64-1)); got != http.StatusBadRequest {
		t.Errorf("a report of the last of all numbers got %d", got)
	}
	if got := ask(http.MethodPost, "", report(uint64(time.Now().Add(24*time.Hour).UnixNano()))); got != http.StatusNoContent {
		t.Errorf("a clock that is a day ahead got %d", got)
	}
}
