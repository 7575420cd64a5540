package sensor

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/identity"
)

// Classes of OCSF that are taken in, by class_uid.
const (
	ClassFile    = 1001 // File System Activity
	ClassProcess = 1007
	ClassFinding = 2004 // Detection Finding
	ClassSignIn  = 3002 // Authentication
	ClassNetwork = 4001
	ClassDNS     = 4003
	ClassMail    = 4009 // Email Activity
	ClassDevice  = 5001 // Device Inventory Info, with what the reporter found wrong in status_code
)

// Traits: what is seen in names, addresses and verdicts while they can be read.
const (
	TraitAttachment   = "attachment"    // a mail with a file
	TraitLookalike    = "lookalike"     // the sender's domain is nearly one of ours or our partners'
	TraitSpoofed      = "spoofed"       // it is one of them, but the mail came from elsewhere, or failed SPF or DMARC
	TraitShared       = "shared"        // to a mailbox that many read
	TraitTable        = "table"         // a file named as a list or a dump
	TraitArchive      = "archive"       // a file named as a packed one
	TraitNoExtension  = "no_extension"  // a file whose name says nothing
	TraitProgram      = "program"       // a file that runs
	TraitPersonalData = "personal_data" // the reporter says that it holds personal data
	TraitDiskFull     = "disk_full"
	TraitNoBoot       = "no_boot"
	TraitFailed       = "failed" // it did not succeed
)

// Limits of one delivery.
const (
	MostEvents    = 5000
	MostEventText = 64 << 10 // bytes of one event
	mostFuture    = 24 * time.Hour
	mostTold      = 50 // rejections told one by one
)

// Events says how events are read.
type Events struct {
	Source   string                                      // who delivers them
	Domains  []string                                    // ours and our partners', in small letters
	Shared   []string                                    // mailboxes that many read, in small letters
	Bindings *Bindings                                   // which machine an address is, where an event names none; may be nil
	Ordinal  func(space string, key string) (ord uint32) // of the vault
	Now      time.Time
}

// Rejection says why one event was left out. It repeats nothing of the event.
type Rejection struct {
	Index  int    `json:"index"` // in the delivery, from 0
	Reason string `json:"reason"`
}

// Delivery is what was read of one batch.
type Delivery struct {
	Events       int
	Observations []*sekisho.Observation
	Egress       map[*sekisho.Observation]*sekisho.Egress // of those that tell how many bytes left
	Rejected     int
	Rejections   []Rejection // the first of them
}

// ErrNotEvents: the bytes are neither a JSON array of events, nor one event a
// line, or there are too many.
var ErrNotEvents = errors.New("not a batch of events")

// Read reads a batch: a JSON array, or one JSON object after the other, by
// whatever white space they are parted. An event that cannot be understood is
// left out and counted; text that is no JSON spoils what follows it, so that
// the whole batch is refused.
func (o *Events) Read(batch []byte) (*Delivery, error) {
	d := &Delivery{}
	dec := json.NewDecoder(bytes.NewReader(batch))
	array := false
	if text := bytes.TrimLeft(batch, " \t\r\n"); len(text) > 0 && text[0] == '[' {
		array = true
		dec.Token()
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("%w: event %d is not JSON", ErrNotEvents, d.Events)
		}
		if d.Events == MostEvents {
			return nil, fmt.Errorf("%w: more than %d events; send them in several batches", ErrNotEvents, MostEvents)
		}
		if b, sent, err := o.one(raw); err != nil {
			d.Rejected++
			if len(d.Rejections) < mostTold {
				d.Rejections = append(d.Rejections, Rejection{d.Events, err.Error()})
			}
		} else {
			d.Observations = append(d.Observations, b)
			if sent != nil {
				if d.Egress == nil {
					d.Egress = map[*sekisho.Observation]*sekisho.Egress{}
				}
				d.Egress[b] = sent
			}
		}
		d.Events++
	}
	if array {
		if end, err := dec.Token(); err != nil || end != json.Delim(']') {
			return nil, fmt.Errorf("%w: the array does not end", ErrNotEvents)
		}
	}
	// The decoder takes a stray bracket for an end, and would leave out what
	// follows it.
	if rest := bytes.TrimLeft(batch[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("%w: something follows event %d that is none", ErrNotEvents, d.Events)
	}
	return d, nil
}

// one reads one event. Its errors name what is wrong and never what it says.
func (o *Events) one(raw []byte) (*sekisho.Observation, *sekisho.Egress, error) {
	if len(raw) > MostEventText {
		return nil, nil, fmt.Errorf("longer than %d bytes", MostEventText)
	}
	var e ocsfEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, nil, fmt.Errorf("%s is not of its type", field(wrong.Field))
		}
		return nil, nil, errors.New("not an event")
	}
	switch e.Class {
	case ClassFile, ClassProcess, ClassFinding, ClassSignIn, ClassNetwork, ClassDNS, ClassMail, ClassDevice:
	case 0:
		return nil, nil, errors.New("class_uid is missing")
	default:
		return nil, nil, errors.New("class_uid is none that is taken in")
	}
	if e.Activity < 0 || e.Activity > 99 || e.Severity < 0 || e.Severity > 99 {
		return nil, nil, errors.New("activity_id or severity_id is out of range")
	}
	at := time.UnixMilli(e.Time)
	if e.Time <= 0 || e.Time > 1<<52 {
		return nil, nil, errors.New("time is missing or out of range: milliseconds since 1970")
	}
	if at.After(o.Now.Add(mostFuture)) {
		return nil, nil, errors.New("time is more than a day ahead of here")
	}
	b := &sekisho.Observation{
		Sensor: o.Source, Class: uint32(e.Class), Activity: uint32(e.Activity), Severity: uint32(e.Severity), At: sekisho.At(at),
		Blocked: e.Disposition == 2 || e.Action == 2 || e.Class == ClassNetwork && (e.Activity == 4 || e.Activity == 5),
	}
	if err := o.where(b, &e); err != nil {
		return nil, nil, err
	}
	if u := e.user(); u != "" {
		b.Actor = o.Ordinal("staff", limited(u))
	}
	if e.Status == 2 {
		b.Traits = append(b.Traits, TraitFailed)
	}
	o.what(b, &e)
	sent := o.sent(b, &e)
	uid := []byte(e.Metadata.UID)
	if len(uid) == 0 {
		uid = raw
	}
	b.Ref = o.ref(uid, b, sent, strings.ToLower(e.device().name()))
	if sent != nil {
		sent.Ref = hex.EncodeToString(b.Ref[:8])
	}
	return b, sent, nil
}

// ref is by what an event is known when it comes again: the source, its uid, and
// what was read of it. The uid alone would not do: they can be guessed, and who
// once held a source's token could use up those of the events to come, which
// would then count as repeated. So an event is left out only if the ledger says
// all of it already. It is made of ordinals, so that it tells nothing that the
// entry does not; named is the machine's name in the event, since what bindings
// know of an address can change between two deliveries.
func (o *Events) ref(uid []byte, b *sekisho.Observation, sent *sekisho.Egress, named string) [32]byte {
	sum := sha256.New()
	put := func(part []byte) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		sum.Write(part)
	}
	put([]byte(o.Source))
	put(uid)
	seen := *b
	seen.Endpoint = named
	put((&sekisho.Entry{Body: &seen}).AppendEncode(nil))
	if sent != nil {
		left := *sent
		left.Endpoint = named
		put((&sekisho.Entry{Body: &left}).AppendEncode(nil))
	}
	return [32]byte(sum.Sum(nil))
}

// sent is the connection of an event that says how many bytes left for the
// outside; nil if it says nothing of the sort.
func (o *Events) sent(b *sekisho.Observation, e *ocsfEvent) *sekisho.Egress {
	if b.Class != ClassNetwork || b.Blocked || e.Traffic.Out == nil || *e.Traffic.Out < 0 || !b.Target.IsValid() || b.Target.IsPrivate() || b.Target.IsLoopback() {
		return nil
	}
	g := &sekisho.Egress{Sensor: o.Source, Endpoint: b.Endpoint, Source: b.Address, Target: b.Target, Port: b.Port, Protocol: "tcp",
		Start: b.At, End: b.At, Out: uint64(*e.Traffic.Out), In: uint64(max(0, e.Traffic.In))}
	if p := strings.ToLower(e.Connection.Protocol); p == "udp" || p == "icmp" {
		g.Protocol = p
	}
	if e.Start > 0 && e.Start < e.Time {
		g.Start = sekisho.At(time.UnixMilli(e.Start))
	}
	return g
}

// where fills in the machine and the other end.
func (o *Events) where(b *sekisho.Observation, e *ocsfEvent) error {
	here := e.device()
	b.Endpoint = strings.ToLower(here.name())
	var err error
	if b.Address, err = here.addr(); err != nil {
		return err
	}
	if b.Endpoint != "" {
		if err := identity.CheckName(b.Endpoint); err != nil {
			return errors.New("the device's name cannot be an endpoint's")
		}
	} else if b.Address.IsValid() && o.Bindings != nil {
		b.Endpoint = o.Bindings.Endpoint(b.Address, b.At)
	}
	there := e.Dst
	switch e.Class {
	case ClassMail:
		there = e.Src // the server that sent it
	case ClassFinding:
		for _, v := range e.Evidences {
			if v.Dst.IP != "" {
				there = v.Dst
				break
			}
		}
		for _, s := range e.Observables {
			if there.IP == "" && s.Type == 2 { // IP Address
				there.IP = s.Value
			}
		}
	}
	if b.Target, err = there.addr(); err != nil {
		return err
	}
	if there.Port < 0 || there.Port > 65535 {
		return errors.New("a port is out of range")
	}
	b.Port = uint32(there.Port)
	return nil
}

// what fills in what was touched, and the traits of its name.
func (o *Events) what(b *sekisho.Observation, e *ocsfEvent) {
	object := func(text string) {
		if text != "" {
			b.Object = o.Ordinal("object", limited(text))
		}
	}
	switch e.Class {
	case ClassFile:
		object(e.File.path())
		o.file(b, &e.File)
	case ClassProcess:
		object(e.Process.text())
		o.file(b, &e.Process.File)
	case ClassFinding:
		object(e.Finding.Title)
		for _, v := range e.Evidences {
			if v.File.Name != "" {
				o.file(b, &v.File)
				break
			}
		}
		for _, t := range append(slices.Clone(e.Finding.Types), e.StatusCode) {
			b.Traits = with(b.Traits, health(t)...)
		}
	case ClassDNS:
		object(e.Query.Hostname)
		o.domain(b, e.Query.Hostname)
	case ClassDevice:
		object(e.Message)
		b.Size = uint64(max(0, e.Unmapped.FreeBytes))
		b.Traits = with(b.Traits, health(e.StatusCode)...)
	case ClassMail:
		o.mail(b, e)
	}
}

func (o *Events) mail(b *sekisho.Observation, e *ocsfEvent) {
	if e.Email.Subject != "" {
		b.Object = o.Ordinal("object", limited(e.Email.Subject))
	}
	from := strings.ToLower(address(e.Email.From))
	if from != "" {
		b.Sender = o.Ordinal("mailbox", limited(from))
	}
	domain := from[strings.LastIndexByte(from, '@')+1:]
	o.domain(b, domain)
	for i, to := range append(slices.Clone(e.Email.To), e.Email.Cc...) {
		if i == 100 {
			break
		}
		to = strings.ToLower(address(to))
		if to == "" {
			continue
		}
		b.To = append(b.To, o.Ordinal("mailbox", limited(to)))
		if slices.Contains(o.Shared, to) {
			b.Traits = with(b.Traits, TraitShared)
		}
	}
	files := e.Email.Files
	if e.File.Name != "" {
		files = append(files, e.File)
	}
	for i := range files {
		b.Traits = with(b.Traits, TraitAttachment)
		if b.Content == ([32]byte{}) {
			o.file(b, &files[i])
		} else {
			b.Traits = with(b.Traits, named(files[i].path())...)
		}
	}
	switch {
	case domain == "":
	case slices.Contains(o.Domains, domain):
		path := strings.ToLower(address(e.SMTPFrom + e.Email.SMTPFrom))
		other := path != "" && path[strings.LastIndexByte(path, '@')+1:] != domain
		if other || failed(e.Auth.SPF) || failed(e.Auth.DMARC) {
			b.Traits = with(b.Traits, TraitSpoofed)
		}
	case slices.ContainsFunc(o.Domains, func(d string) bool { return LooksLike(domain, d) }):
		b.Traits = with(b.Traits, TraitLookalike)
	}
}

func (o *Events) file(b *sekisho.Observation, f *ocsfFile) {
	b.Size = uint64(max(0, f.Size))
	for _, h := range f.Hashes {
		if sum, err := hex.DecodeString(h.Value); h.Algorithm == 3 && err == nil && len(sum) == 32 { // SHA-256
			b.Content = [32]byte(sum)
		}
	}
	b.Traits = with(b.Traits, named(f.path())...)
	if len(f.Classification) > 0 || f.OneClassification != nil {
		b.Traits = with(b.Traits, TraitPersonalData)
	}
}

func (o *Events) domain(b *sekisho.Observation, name string) {
	if name = strings.TrimSuffix(strings.ToLower(name), "."); name != "" {
		b.Domain = o.Ordinal("domain", limited(name))
	}
}

// named says what the name of a file tells.
func named(path string) []string {
	name := path[strings.LastIndexAny(path, `/\`)+1:]
	if name == "" {
		return nil
	}
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return []string{TraitNoExtension}
	}
	switch strings.ToLower(name[dot+1:]) {
	case "csv", "tsv", "xls", "xlsx", "xlsb", "ods", "mdb", "accdb", "sql", "dump", "dmp", "parquet", "jsonl", "ndjson", "sqlite":
		return []string{TraitTable}
	case "zip", "rar", "7z", "gz", "tgz", "bz2", "xz", "zst", "lzh", "cab", "tar", "iso", "img":
		return []string{TraitArchive}
	case "exe", "dll", "scr", "com", "bat", "cmd", "ps1", "vbs", "js", "jse", "wsf", "hta", "lnk", "msi", "jar", "cpl", "pif":
		return []string{TraitProgram}
	}
	return nil
}

// health is the trait of what a reporter found wrong with a machine.
func health(code string) []string {
	switch strings.ToLower(code) {
	case "disk_space", "disk_full":
		return []string{TraitDiskFull}
	case "no_boot", "boot_fail":
		return []string{TraitNoBoot}
	}
	return nil
}

func failed(verdict string) bool {
	return strings.EqualFold(verdict, "fail") || strings.EqualFold(verdict, "softfail")
}

// address is what stands in the angle brackets of a From line, or all of it.
func address(s string) string {
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		s, _, _ = strings.Cut(s[i+1:], ">")
	}
	return strings.TrimSpace(s)
}

// limited cuts what becomes a key of the vault.
func limited(s string) string {
	const most = 1024
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "")
}

// field is the path of a field, if it is one of ours and no key of a sender's.
func field(path string) string {
	if path == "" || len(path) > 60 {
		return "a field"
	}
	return path
}

func with(list []string, more ...string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// The fields of OCSF that are read. Nothing else of an event is kept.
type ocsfEvent struct {
	Class       int64  `json:"class_uid"`
	Activity    int64  `json:"activity_id"`
	Severity    int64  `json:"severity_id"`
	Status      int64  `json:"status_id"`
	StatusCode  string `json:"status_code"`
	Disposition int64  `json:"disposition_id"` // 2: Blocked
	Action      int64  `json:"action_id"`      // 2: Denied
	Time        int64  `json:"time"`           // milliseconds since 1970
	Message     string `json:"message"`
	Metadata    struct {
		UID string `json:"uid"`
	} `json:"metadata"`
	Device ocsfMachine `json:"device"`
	Src    ocsfMachine `json:"src_endpoint"`
	Dst    ocsfMachine `json:"dst_endpoint"`
	User   ocsfUser    `json:"user"`
	Actor  struct {
		User ocsfUser `json:"user"`
	} `json:"actor"`
	File    ocsfFile    `json:"file"`
	Process ocsfProcess `json:"process"`
	Query   struct {
		Hostname string `json:"hostname"`
	} `json:"query"`
	Finding struct {
		Title string   `json:"title"`
		Types []string `json:"types"`
	} `json:"finding_info"`
	Evidences []struct {
		Device ocsfMachine `json:"device"`
		Src    ocsfMachine `json:"src_endpoint"`
		Dst    ocsfMachine `json:"dst_endpoint"`
		File   ocsfFile    `json:"file"`
	} `json:"evidences"`
	Observables []struct {
		Type  int64  `json:"type_id"`
		Value string `json:"value"`
	} `json:"observables"`
	Email struct {
		From     string     `json:"from"`
		SMTPFrom string     `json:"smtp_from"`
		To       []string   `json:"to"`
		Cc       []string   `json:"cc"`
		Subject  string     `json:"subject"`
		Files    []ocsfFile `json:"files"`
	} `json:"email"`
	Auth struct {
		SPF   string `json:"spf"`
		DMARC string `json:"dmarc"`
	} `json:"email_auth"`
	SMTPFrom string `json:"smtp_from"`
	Traffic  struct {
		Out *int64 `json:"bytes_out"`
		In  int64  `json:"bytes_in"`
	} `json:"traffic"`
	Connection struct {
		Protocol string `json:"protocol_name"`
	} `json:"connection_info"`
	Start    int64 `json:"start_time"` // milliseconds since 1970
	Unmapped struct {
		FreeBytes int64 `json:"free_bytes"`
	} `json:"unmapped"`
}

type ocsfMachine struct {
	Hostname string `json:"hostname"`
	Name     string `json:"name"`
	IP       string `json:"ip"`
	Port     int64  `json:"port"`
}

func (m *ocsfMachine) name() string {
	if m.Hostname != "" {
		return m.Hostname
	}
	return m.Name
}

func (m *ocsfMachine) addr() (netip.Addr, error) {
	if m.IP == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(m.IP)
	if err != nil {
		return netip.Addr{}, errors.New("an address is none")
	}
	return a.WithZone("").Unmap(), nil
}

type ocsfUser struct {
	Name  string `json:"name"`
	Email string `json:"email_addr"`
}

type ocsfFile struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Hashes []struct {
		Algorithm int64  `json:"algorithm_id"`
		Value     string `json:"value"`
	} `json:"hashes"`
	Classification    []json.RawMessage `json:"data_classifications"`
	OneClassification json.RawMessage   `json:"data_classification"`
}

func (f *ocsfFile) path() string {
	if f.Path != "" {
		return f.Path
	}
	return f.Name
}

type ocsfProcess struct {
	Name    string   `json:"name"`
	Command string   `json:"cmd_line"`
	File    ocsfFile `json:"file"`
}

// text is the program, never its arguments: they can hold passwords.
func (p *ocsfProcess) text() string {
	if p.File.Path != "" {
		return p.File.Path
	}
	return p.Name
}

// device is the machine that an event is about.
func (e *ocsfEvent) device() *ocsfMachine {
	for _, m := range []*ocsfMachine{&e.Device, &e.Src} {
		if e.Class == ClassMail && m == &e.Src {
			continue // the sender's
		}
		if m.name() != "" || m.IP != "" {
			return m
		}
	}
	for i := range e.Evidences {
		for _, m := range []*ocsfMachine{&e.Evidences[i].Device, &e.Evidences[i].Src} {
			if m.name() != "" || m.IP != "" {
				return m
			}
		}
	}
	return &e.Device
}

func (e *ocsfEvent) user() string {
	for _, u := range []*ocsfUser{&e.Actor.User, &e.User} {
		if u.Name != "" {
			return u.Name
		}
		if u.Email != "" {
			return strings.ToLower(u.Email)
		}
	}
	return ""
}
