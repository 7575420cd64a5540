package house

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/law"
	"sekisho/pack"
)

// packsDir is where packs are kept to be fetched. Anybody who has the ledger can
// make them again, so the oldest go.
func packsDir(data string) string { return filepath.Join(data, "packs") }

const (
	keptPacks = 20
	making    = ".making-"
)

// MakePack makes an auditor's pack, checks it as an auditor would, and records
// that it was made; only then can it be fetched. After a crash before that there
// is no pack, and what was begun goes with the next.
func (h *House) MakePack(ctx context.Context, ask console.PackAsk, by uint32, progress func(done, total uint64)) (made pack.Made, err error) {
	h.packing.Lock()
	defer h.packing.Unlock()
	if err := h.Settle(ctx); err != nil {
		return made, err
	}
	dir := packsDir(h.Config.Data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return made, fmt.Errorf("making an auditor's pack: %w", err)
	}
	if err := h.tidyPacks(dir); err != nil {
		return made, err
	}
	work, err := os.MkdirTemp(dir, making)
	if err != nil {
		return made, fmt.Errorf("making an auditor's pack: %w", err)
	}
	defer os.RemoveAll(work)
	s := pack.Source{FS: disk.OS{}, Dir: ledgerDir(h.Config.Data), Through: h.Ledger.Last(), Register: h.Duty.Register(), Law: []fs.FS{law.Shipped()},
		Software: Software, By: by, Now: ask.Until, From: ask.From, Whole: ask.Whole, Named: h.nameOf, Readme: pack.Readme, Progress: progress,
		Settings: pack.Settings{Zone: h.Zone.String(), YearBegins: h.Config.Duties.YearBegins, Since: h.Config.Duties.Since, People: h.Config.Duties.People,
			Company: h.company, FirstDayExclusive: h.Config.Law.PreliminaryFirstDay == "exclusive", Drill: h.drill != ""}}
	if h.Config.Law.Rules != "" {
		s.Law = append(s.Law, os.DirFS(h.Config.Law.Rules))
	}
	m, sum, err := pack.Make(ctx, s, filepath.Join(work, "pack"))
	if err != nil {
		return made, err
	}
	checked, err := pack.Verify(ctx, os.DirFS(filepath.Join(work, "pack")), pack.Check{})
	if err == nil && !checked.OK() {
		err = fmt.Errorf("the pack does not verify, so it is not given out: %s", checked.Problem)
	}
	if err != nil {
		return made, err
	}
	zipped := filepath.Join(work, "pack.zip")
	out, err := os.OpenFile(zipped, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return made, fmt.Errorf("making an auditor's pack: %w", err)
	}
	if err := errors.Join(pack.Zip(filepath.Join(work, "pack"), out), out.Sync(), out.Close()); err != nil {
		return made, err
	}
	chain, err := hex.DecodeString(m.Chain)
	if err != nil || len(chain) != 32 {
		return made, errors.New("making an auditor's pack: the ledger is empty")
	}
	body := &sekisho.PackMade{From: ask.From, Until: ask.Until, Through: m.Through, Chain: [32]byte(chain), Whole: m.Whole, Entries: m.Entries, Stated: uint64(len(m.Stated)), SHA256: sum, By: by}
	id, err := h.Ledger.Append(ctx, body)
	if err != nil {
		return made, fmt.Errorf("recording an auditor's pack: %w", err)
	}
	if err := os.Rename(zipped, packFile(h.Config.Data, sum)); err != nil {
		return made, fmt.Errorf("making an auditor's pack: %w", err)
	}
	return pack.Made{Seq: id.Seq, At: sekisho.At(h.now()), Body: body}, h.Settle(ctx)
}

func packFile(data string, sum [32]byte) string {
	return filepath.Join(packsDir(data), hex.EncodeToString(sum[:])+".zip")
}

// tidyPacks removes what a crash left, and the oldest packs.
func (h *House) tidyPacks(dir string) error {
	there, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("making an auditor's pack: %w", err)
	}
	for _, e := range there {
		if strings.HasPrefix(e.Name(), making) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	var old []pack.Made
	h.Views.Read(func() { old = h.Packs.Made() })
	for _, m := range old[min(len(old), keptPacks-1):] {
		if e := os.Remove(packFile(h.Config.Data, m.Body.SHA256)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// OpenPack opens the zip file of a pack.
func (h *House) OpenPack(sum [32]byte) (io.ReadCloser, int64, error) {
	f, err := os.Open(packFile(h.Config.Data, sum))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// MakePack has the house make a pack; it can take minutes.
func (c *Caller) MakePack(ctx context.Context, ask console.PackOrder) (p console.PackLine, err error) {
	return p, c.tell(ctx, "/api/packs", ask, &p)
}

// FetchPack writes a pack's zip file to w.
func (c *Caller) FetchPack(ctx context.Context, entry uint64, w io.Writer) error {
	return c.send(ctx, "GET", fmt.Sprintf("/api/packs/%d/file", entry), "", nil, func(r io.Reader) error {
		_, err := io.Copy(w, r)
		return err
	})
}
