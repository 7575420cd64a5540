package console

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"crypto/sha256"

	"sekisho"
	"sekisho/vault"
)

// Documents and photos that belong to a check, a finding or a line of a
// register. They are kept in the vault; the ledger has their SHA-256.

const (
	maxPaperUpload = 24 << 20 // bytes of a photo as it comes from a telephone
	maxPixels      = 50 << 20
	longestSide    = 2000 // pixels of a photo as it is kept
)

// paperKinds are what a paper can be.
var paperKinds = []string{"photo", "report", "minutes", "certificate", "contract", "competence", "proof"}

// A kept is a paper made ready for the vault.
type kept struct {
	media    string
	text     []byte
	original [32]byte
}

// errPaper: it is none that is taken.
var errPaper = errors.New("no photo, PDF or plain text")

// keep makes a document ready: a photo is drawn anew, smaller, so that nothing
// of what its camera, telephone or editor wrote beside the picture (place, owner,
// an earlier picture) is kept, and nothing that hides behind it. What a document
// of another kind says inside is the writer's own.
func keep(text []byte) (kept, error) {
	k := kept{text: text, original: sha256.Sum256(text)}
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xd8\xff")), bytes.HasPrefix(text, []byte("\x89PNG\r\n\x1a\n")):
		shape, kind, err := image.DecodeConfig(bytes.NewReader(text))
		if err != nil {
			return k, fmt.Errorf("%w: %w", errPaper, err)
		}
		if shape.Width <= 0 || shape.Height <= 0 || shape.Width > maxPixels/shape.Height {
			return k, fmt.Errorf("%w: %d by %d pixels", errPaper, shape.Width, shape.Height)
		}
		var picture image.Image
		turn := 1
		if kind == "png" {
			picture, err = png.Decode(bytes.NewReader(text))
		} else {
			picture, err = jpeg.Decode(bytes.NewReader(text))
			turn = orientation(text)
		}
		if err != nil {
			return k, fmt.Errorf("%w: %w", errPaper, err)
		}
		drawn := smaller(picture, turn, longestSide)
		for quality := 85; quality >= 40; quality -= 15 {
			var out bytes.Buffer
			if err := jpeg.Encode(&out, drawn, &jpeg.Options{Quality: quality}); err != nil {
				return k, err
			}
			if k.media, k.text = "image/jpeg", out.Bytes(); len(k.text) <= vault.MaxKey {
				return k, nil
			}
		}
	case bytes.HasPrefix(text, []byte("%PDF-")):
		k.media = "application/pdf"
	case len(text) > 0 && utf8.Valid(text) && !bytes.ContainsRune(text, 0):
		k.media = "text/plain; charset=utf-8"
	default:
		return k, errPaper
	}
	return k, nil
}

// smaller draws a picture upright, on white, no side longer than most. Each
// pixel is the mean of those that it stands for.
func smaller(from image.Image, turn, most int) *image.RGBA {
	b := from.Bounds()
	flat := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(flat, flat.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(flat, flat.Bounds(), from, b.Min, draw.Over)
	w, h := b.Dx(), b.Dy()
	n := max(1, (max(w, h)+most-1)/most)
	sw, sh := max(1, w/n), max(1, h/n)
	tw, th := sw, sh
	if turn >= 5 {
		tw, th = sh, sw
	}
	out := image.NewRGBA(image.Rect(0, 0, tw, th))
	for y := range sh {
		for x := range sw {
			var sum [3]int
			count := 0
			for dy := y * n; dy < min((y+1)*n, h); dy++ {
				for dx := x * n; dx < min((x+1)*n, w); dx++ {
					at := flat.PixOffset(dx, dy)
					sum[0] += int(flat.Pix[at])
					sum[1] += int(flat.Pix[at+1])
					sum[2] += int(flat.Pix[at+2])
					count++
				}
			}
			tx, ty := upright(x, y, sw, sh, turn)
			out.SetRGBA(tx, ty, color.RGBA{uint8(sum[0] / count), uint8(sum[1] / count), uint8(sum[2] / count), 255})
		}
	}
	return out
}

// upright is where a pixel goes, by Exif's eight orientations.
func upright(x, y, w, h, turn int) (int, int) {
	switch turn {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return h - 1 - y, x
	case 7:
		return h - 1 - y, w - 1 - x
	case 8:
		return y, w - 1 - x
	}
	return x, y
}

// orientation is what a JPEG's Exif says of how the camera was held (tag 0x0112
// of the first directory), 1 if it says nothing that can be read.
func orientation(b []byte) int {
	for b = b[2:]; len(b) >= 4 && b[0] == 0xff && b[1] != 0xda; {
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < 2 || size+2 > len(b) {
			return 1
		}
		segment := b[4 : 2+size]
		if exif, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); b[1] == 0xe1 && ok && len(exif) >= 8 {
			var order binary.ByteOrder = binary.BigEndian
			if exif[0] == 'I' {
				order = binary.LittleEndian
			}
			at := int64(order.Uint32(exif[4:]))
			if at+2 > int64(len(exif)) {
				return 1
			}
			for n := range int64(order.Uint16(exif[at:])) {
				line := at + 2 + 12*n
				if line+12 > int64(len(exif)) {
					return 1
				}
				if order.Uint16(exif[line:]) == 0x0112 {
					if turn := int(order.Uint16(exif[line+8:])); turn >= 1 && turn <= 8 {
						return turn
					}
					return 1
				}
			}
			return 1
		}
		b = b[2+size:]
	}
	return 1
}

// A PaperLine is a paper as a page lists it.
type PaperLine struct {
	Entry    uint64       `json:"entry"`
	Time     sekisho.Time `json:"time"`
	What     string       `json:"what"`
	Media    string       `json:"media"`
	Size     uint64       `json:"size"`
	SHA256   string       `json:"sha256"`
	Original string       `json:"original,omitempty"`
	Title    string       `json:"title"`
	By       string       `json:"by"`
	Here     bool         `json:"here"` // it is kept in the vault
	Picture  bool         `json:"picture"`
}

// A PaperAsk attaches a document, or names one that is kept elsewhere.
type PaperAsk struct {
	What   string `json:"what"`
	Title  string `json:"title"`
	Text   []byte `json:"text,omitempty"`   // the document; empty: it is kept elsewhere
	SHA256 string `json:"sha256,omitempty"` // of one that is kept elsewhere
	Size   uint64 `json:"size,omitempty"`
}

// paper makes the entry of a document, which is in the vault when that is
// durable.
func (c *Console) paper(v *visit, about uint64, ask PaperAsk) (*sekisho.PaperAdded, error) {
	b := &sekisho.PaperAdded{About: about, What: ask.What, By: v.who.staff}
	if !slices.Contains(paperKinds, b.What) {
		return nil, fail(http.StatusBadRequest, "paper_what")
	}
	title := strings.TrimSpace(ask.Title)
	if title == "" || len(title) > maxSaid {
		return nil, fail(http.StatusBadRequest, "paper_title")
	}
	var err error
	if b.Title, err = c.write(title); err != nil {
		return nil, err
	}
	if len(ask.Text) == 0 {
		raw, err := hex.DecodeString(strings.TrimSpace(ask.SHA256))
		if err != nil || len(raw) != 32 || ask.Size == 0 {
			return nil, fail(http.StatusBadRequest, "paper_elsewhere")
		}
		copy(b.SHA256[:], raw)
		b.Original, b.Size, b.Media = b.SHA256, ask.Size, "application/octet-stream"
		return b, nil
	}
	if len(ask.Text) > maxPaperUpload {
		return nil, fail(http.StatusRequestEntityTooLarge, "paper_large")
	}
	c.drawing.Lock() // one photo is drawn at a time: it takes 200 MB
	k, err := keep(ask.Text)
	c.drawing.Unlock()
	if err != nil {
		return nil, &failure{status: http.StatusUnsupportedMediaType, key: "paper_kind", cause: err}
	}
	if (b.What == "photo") != (k.media == "image/jpeg") && b.What == "photo" {
		return nil, fail(http.StatusUnsupportedMediaType, "paper_kind")
	}
	if len(k.text) > vault.MaxKey {
		return nil, fail(http.StatusRequestEntityTooLarge, "paper_large")
	}
	if b.Document = c.cfg.Vault.Space("document").OfText(k.text); b.Document == 0 {
		return nil, fmt.Errorf("keeping a document: the vault takes no more")
	}
	b.Media, b.Size, b.SHA256, b.Original = k.media, uint64(len(k.text)), sha256.Sum256(k.text), k.original
	return b, nil
}

// paperForm reads an attachment from a page's form.
func paperForm(v *visit) (ask PaperAsk, err error) {
	// In memory: nothing of it lies in a temporary file.
	if err := v.r.ParseMultipartForm(maxPaperUpload); err != nil {
		return ask, tooLarge(err)
	}
	defer v.r.MultipartForm.RemoveAll()
	ask = PaperAsk{What: v.r.FormValue("what"), Title: v.r.FormValue("title"), SHA256: v.r.FormValue("sha256")}
	if s := strings.ReplaceAll(strings.TrimSpace(v.r.FormValue("size")), ",", ""); s != "" {
		if ask.Size, err = strconv.ParseUint(s, 10, 64); err != nil {
			return ask, fail(http.StatusBadRequest, "paper_elsewhere")
		}
	}
	f, _, err := v.r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return ask, nil
	}
	if err != nil {
		return ask, tooLarge(err)
	}
	defer f.Close()
	ask.Text, err = io.ReadAll(f)
	return ask, tooLarge(err)
}

// showPaper gives a document out. Pictures are shown; all else is saved, so that
// nothing that somebody handed in runs in a page of ours.
func (c *Console) showPaper(v *visit) (page, error) {
	seq, err := v.pathNumber("entry", "paper")
	if err != nil {
		return nil, err
	}
	var b *sekisho.PaperAdded
	c.cfg.Views.Read(func() { b = c.cfg.Checks.Paper(seq) })
	if b == nil {
		return nil, fail(http.StatusNotFound, "paper")
	}
	text, ok := c.cfg.Vault.Space("document").Key(b.Document)
	if !ok {
		return nil, fail(http.StatusNotFound, "paper")
	}
	if b.Media != "image/jpeg" {
		ending := ".pdf"
		if strings.HasPrefix(b.Media, "text/") {
			ending = ".txt"
		}
		// What it holds nobody has said.
		if err := c.gives(v, fmt.Sprintf("%s-%d%s", b.What, seq, ending), b.Media, "paper", ending[1:], seq, sekisho.Unclassified); err != nil {
			return nil, err
		}
	}
	h := v.w.Header()
	h.Set("Content-Type", b.Media)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(v.w, text)
	return nil, errDone
}
