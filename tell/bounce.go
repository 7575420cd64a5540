package tell

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"

	"sekisho"
)

// A notice's return address says whose it was, so that what comes back need not
// be read to know that: b-TOKEN@the returns domain. The token holds the mailing
// and the ordinal, and a MAC, so that nobody makes up bounces for others.

var tokens = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const macLen = 10

func (o *Office) mac(purpose string, b []byte) []byte {
	h := hmac.New(sha256.New, o.Key[:])
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(b)
	return h.Sum(nil)
}

// ReturnAddress is the envelope's sender of one person's mail of a mailing.
func (o *Office) ReturnAddress(mailing uint64, subject uint32) string {
	b := binary.AppendUvarint(nil, mailing)
	b = binary.AppendUvarint(b, uint64(subject))
	b = append(b, o.mac("return", b)[:macLen]...)
	return "b-" + tokens.EncodeToString(b) + "@" + o.Config.Mail.Returns
}

// messageID is the same for one person and revision, however often a notice about
// it is sent: what knows a message by it shows it once.
func (o *Office) messageID(m Status, subject uint32) string {
	b := binary.AppendUvarint(nil, m.Asked.Incident)
	b = binary.AppendUvarint(b, m.Asked.Revision)
	b = binary.AppendUvarint(b, uint64(subject))
	from := o.Config.Mail.From
	return "n-" + tokens.EncodeToString(o.mac("message "+m.Asked.Space, b)[:20]) + from[strings.LastIndexByte(from, '@'):]
}

// Returned says whose notice a return address is of.
func (o *Office) Returned(address string) (mailing uint64, subject uint32, ok bool) {
	local, domain, _ := strings.Cut(address, "@")
	token, isOurs := strings.CutPrefix(strings.ToLower(local), "b-")
	if !isOurs || o.Config.Mail.Returns == "" || !strings.EqualFold(domain, o.Config.Mail.Returns) || len(token) > 64 {
		return 0, 0, false
	}
	b, err := tokens.DecodeString(token)
	if err != nil || len(b) <= macLen {
		return 0, 0, false
	}
	body, mac := b[:len(b)-macLen], b[len(b)-macLen:]
	if subtle.ConstantTimeCompare(mac, o.mac("return", body)[:macLen]) != 1 {
		return 0, 0, false
	}
	mailing, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, 0, false
	}
	s, n2 := binary.Uvarint(body[n:])
	return mailing, uint32(s), n2 == len(body)-n && n2 > 0
}

// Bounce takes in a message that came to a return address: what it says is
// durable on return. ours: it was addressed to one. Anything else than a delivery
// status report (RFC 3464), such as a note of absence, changes nothing.
func (o *Office) Bounce(ctx context.Context, to []string, text []byte) (ours bool, err error) {
	for _, a := range to {
		mailing, subject, ok := o.Returned(a)
		if !ok {
			continue
		}
		ours = true
		report, ok := ParseReport(text)
		if !ok {
			continue
		}
		var fate Fate
		o.Views.Read(func() { fate = o.Book.FateOf(mailing, subject) })
		switch {
		case fate == UnderWay:
			return true, fmt.Errorf("a mail came back before it was known to have gone out: mailing %d", mailing) // the sender tries again
		case report.Final && (fate == Taken || fate == Unclear || fate == HeldSent):
		case !report.Final && fate == Unclear: // so it did go out
		default:
			continue // once is enough
		}
		if _, err := o.append(ctx, &sekisho.MailBounced{Mailing: mailing, Status: report.Status, Final: report.Final, Subjects: []uint32{subject}}); err != nil {
			return true, fmt.Errorf("recording a bounce: %w", err)
		}
	}
	return ours, nil
}

// A Report is what a delivery status report says of one recipient.
type Report struct {
	Final  bool   // failed; else delayed, delivered, relayed or expanded
	Status string // "5.1.1", or empty
}

const maxParts = 20

// ParseReport reads a delivery status report: a multipart/report message with a
// part message/delivery-status. ok: it is one that says something of a recipient.
func ParseReport(text []byte) (r Report, ok bool) {
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return r, false
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || !strings.EqualFold(params["report-type"], "delivery-status") || params["boundary"] == "" {
		return r, false
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for range maxParts {
		p, err := parts.NextRawPart()
		if err != nil {
			return r, false
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || kind != "message/delivery-status" {
			continue
		}
		return readStatus(p)
	}
	return r, false
}

// readStatus reads the fields: a group about the message, then one for each
// recipient. Ours have one recipient.
func readStatus(in io.Reader) (r Report, ok bool) {
	fields := textproto.NewReader(bufio.NewReader(io.LimitReader(in, 64<<10)))
	for range maxParts {
		h, err := fields.ReadMIMEHeader()
		action, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(h.Get("Action"))), " ")
		switch action {
		case "failed", "delayed", "delivered", "relayed", "expanded":
			return Report{Final: action == "failed", Status: statusOf(h.Get("Status"))}, true
		}
		if err != nil && !errors.Is(err, io.EOF) || err != nil && len(h) == 0 {
			return r, false
		}
	}
	return r, false
}

// statusOf is a code of RFC 3463, or nothing: a stranger wrote it.
func statusOf(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	digits := 0
	for i, part := range strings.Split(s, ".") {
		if len(part) == 0 || len(part) > 3 || strings.Trim(part, "0123456789") != "" || i > 2 {
			return ""
		}
		digits = i
	}
	if digits != 2 {
		return ""
	}
	return s
}
