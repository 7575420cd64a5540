package sensor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/porter"
)

// Limits of the door for SCIM.
const (
	mostSCIM     = 4 << 20 // bytes of one request
	scimPage     = 200     // resources of one answer
	scimWaiting  = 8       // requests at a time
	scimUsers    = "urn:ietf:params:scim:schemas:core:2.0:User"
	scimGroups   = "urn:ietf:params:scim:schemas:core:2.0:Group"
	scimStaff    = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	scimList     = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	scimPatch    = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	scimError    = "urn:ietf:params:scim:api:messages:2.0:Error"
	scimConfig   = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	scimResource = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
)

// SCIMOptions say who pushes a directory, and what becomes of it.
type SCIMOptions struct {
	Source  string // whose people they are
	Token   string // shown as Authorization: Bearer; never logged
	Company string // the code of the company of users whose organization is not said
	Book    *directory.Book
	Names   directory.Names
	// Compare makes a snapshot durable: what was answered stands in the ledger.
	Compare   func(ctx context.Context, s *directory.Snapshot) error
	Now       func() time.Time
	Log       *slog.Logger
	Cert, Key string // PEM files; empty: plain HTTP
}

// ServeSCIM is a SCIM 2.0 service provider (RFC 7643, 7644) for Users and
// Groups under /scim/v2, until ctx ends: Entra ID, Okta and others push to it.
func ServeSCIM(ctx context.Context, l net.Listener, opt SCIMOptions) error {
	door := newSCIM(opt)
	s := &http.Server{
		Handler: door, ConnState: door.porter.State, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if err := serve(ctx, s, l, opt.Cert, opt.Key); err != nil {
		return fmt.Errorf("serving SCIM: %w", err)
	}
	return nil
}

// scim is the door.
type scim struct {
	opt    SCIMOptions
	porter *porter.Porter
	slots  chan struct{}
	mux    *http.ServeMux

	one   sync.Mutex // one request reads and changes the directory at a time
	index scimIndex
}

// scimIndex finds people by what a client knows of them. It is made anew when
// somebody else changed the directory.
type scimIndex struct {
	seq      uint64 // of the book
	made     bool
	user     map[string]uint32 // user name in small letters
	external map[string]uint32
}

// A scimFailure is an error of RFC 7644, section 3.12.
type scimFailure struct {
	status int
	kind   string // scimType
	detail string
}

func (f *scimFailure) Error() string { return f.detail }

func refuseSCIM(status int, kind, format string, args ...any) error {
	return &scimFailure{status, kind, fmt.Sprintf(format, args...)}
}

func newSCIM(opt SCIMOptions) *scim {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &scim{opt: opt, porter: porter.New(), slots: make(chan struct{}, scimWaiting), mux: http.NewServeMux()}
	handle := func(pattern string, do func(r *http.Request, body []byte) (int, any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.HandleFunc(method+" /scim/v2"+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, do) })
	}
	handle("GET /ServiceProviderConfig", func(*http.Request, []byte) (int, any, error) { return 200, serviceProviderConfig(), nil })
	handle("GET /ResourceTypes", func(*http.Request, []byte) (int, any, error) { return 200, resourceTypes(), nil })
	handle("GET /Schemas", func(*http.Request, []byte) (int, any, error) { return 200, scimSchemas(), nil })
	handle("GET /Users", s.listUsers)
	handle("POST /Users", s.createUser)
	handle("GET /Users/{id}", s.getUser)
	handle("PUT /Users/{id}", s.putUser)
	handle("PATCH /Users/{id}", s.patchUser)
	handle("DELETE /Users/{id}", s.deleteUser)
	handle("GET /Groups", s.listGroups)
	handle("POST /Groups", s.createGroup)
	handle("GET /Groups/{id}", s.getGroup)
	handle("PUT /Groups/{id}", s.putGroup)
	handle("PATCH /Groups/{id}", s.patchGroup)
	handle("DELETE /Groups/{id}", s.deleteGroup)
	return s
}

func (s *scim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got, want := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(s.opt.Token))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || !ok || s.opt.Token == "" {
		w.Header().Set("Connection", "close") // and makes room
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeSCIM(w, http.StatusUnauthorized, failedSCIM(&scimFailure{status: 401, detail: "show the token: Authorization: Bearer TOKEN"}))
		return
	}
	s.porter.Knows(r)
	if _, pattern := s.mux.Handler(r); pattern == "" {
		writeSCIM(w, http.StatusNotFound, failedSCIM(&scimFailure{status: 404, detail: "there are /scim/v2/Users, /Groups, /ServiceProviderConfig, /ResourceTypes and /Schemas"}))
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *scim) answer(w http.ResponseWriter, r *http.Request, do func(r *http.Request, body []byte) (int, any, error)) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		writeSCIM(w, http.StatusTooManyRequests, failedSCIM(&scimFailure{status: 429, detail: "others are being served: send it again in a second"}))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostSCIM))
	if err != nil {
		writeSCIM(w, http.StatusRequestEntityTooLarge, failedSCIM(&scimFailure{status: 413, detail: fmt.Sprintf("a request has at most %d bytes, and comes whole", mostSCIM)}))
		return
	}
	s.one.Lock()
	defer s.one.Unlock()
	status, answer, err := do(r, body)
	var f *scimFailure
	switch {
	case errors.As(err, &f):
		writeSCIM(w, f.status, failedSCIM(f))
	case err != nil:
		s.opt.Log.Error("answering a SCIM request", "route", r.Pattern, "error", err)
		w.Header().Set("Retry-After", "5")
		writeSCIM(w, http.StatusServiceUnavailable, failedSCIM(&scimFailure{status: 503, detail: "it could not be recorded: send the same again"}))
	default:
		if at, ok := answer.(interface{ where() string }); ok && status == http.StatusCreated {
			w.Header().Set("Location", at.where())
		}
		writeSCIM(w, status, answer)
	}
}

func writeSCIM(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/scim+json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if answer != nil {
		json.NewEncoder(w).Encode(answer)
	}
}

func failedSCIM(f *scimFailure) map[string]any {
	m := map[string]any{"schemas": []string{scimError}, "status": strconv.Itoa(f.status), "detail": f.detail}
	if f.kind != "" {
		m["scimType"] = f.kind
	}
	return m
}

// compare makes what a request says durable. It holds s.one.
func (s *scim) compare(r *http.Request, body []byte, people []directory.Record, units []directory.UnitRecord) error {
	snap := &directory.Snapshot{Source: s.opt.Source, Form: "scim", SHA256: sha256.Sum256(body), People: people, Units: units, Effective: sekisho.At(s.opt.Now())}
	if err := s.opt.Compare(r.Context(), snap); err != nil {
		return err
	}
	if s.index.made {
		for i := range people {
			if staff, ok := s.opt.Names.Find("staff", people[i].User); ok {
				s.index.add(people[i].User, people[i].External, staff)
			}
		}
		s.index.seq = s.opt.Book.Seq()
	}
	return nil
}

func (x *scimIndex) add(user, external string, staff uint32) {
	x.user[strings.ToLower(user)] = staff
	if external != "" {
		x.external[external] = staff
	}
}

// find is the index as the directory is now. It holds s.one.
func (s *scim) find() *scimIndex {
	if seq := s.opt.Book.Seq(); !s.index.made || s.index.seq != seq {
		s.index = scimIndex{seq: seq, made: true, user: map[string]uint32{}, external: map[string]uint32{}}
		now := sekisho.At(s.opt.Now())
		for _, staff := range s.opt.Book.Everybody() {
			p := s.opt.Book.Last(staff, now)
			if user, ok := s.opt.Names.Key("staff", staff); ok && s.mine(p) {
				s.index.add(user, s.attributes(p).External, staff)
			}
		}
	}
	return &s.index
}

// mine says whether a person is a resource here: the source spoke of them last,
// and did not delete them.
func (s *scim) mine(p *directory.Person) bool {
	return p != nil && p.Source == s.opt.Source && !(p.Left != 0 && p.Left <= sekisho.At(s.opt.Now()) && len(p.Postings) == 0)
}

func (s *scim) attributes(p *directory.Person) directory.Attributes {
	key, ok := s.opt.Names.Key("staff_record", p.Record)
	if !ok {
		return directory.Attributes{}
	}
	a, err := directory.ReadAttributes(key)
	if err != nil {
		s.opt.Log.Error("reading a record of the vault", "error", err)
	}
	return a
}

// person is a resource by its identifier.
func (s *scim) person(r *http.Request) (*directory.Person, error) {
	n, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err == nil {
		if p := s.opt.Book.Last(uint32(n), sekisho.At(s.opt.Now())); s.mine(p) {
			return p, nil
		}
	}
	return nil, refuseSCIM(http.StatusNotFound, "", "there is no such user")
}

func (s *scim) getUser(r *http.Request, _ []byte) (int, any, error) {
	p, err := s.person(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.user(p), nil
}

func (s *scim) createUser(r *http.Request, body []byte) (int, any, error) {
	u, err := readUser(body)
	if err != nil {
		return 0, nil, err
	}
	if staff, ok := s.find().user[strings.ToLower(u.UserName)]; ok {
		if p := s.opt.Book.Last(staff, sekisho.At(s.opt.Now())); s.mine(p) {
			return 0, nil, refuseSCIM(http.StatusConflict, "uniqueness", "there is a user with this userName")
		}
	}
	return s.keepUser(r, body, u, nil, http.StatusCreated)
}

func (s *scim) putUser(r *http.Request, body []byte) (int, any, error) {
	p, err := s.person(r)
	if err != nil {
		return 0, nil, err
	}
	u, err := readUser(body)
	if err != nil {
		return 0, nil, err
	}
	return s.keepUser(r, body, u, p, http.StatusOK)
}

func (s *scim) patchUser(r *http.Request, body []byte) (int, any, error) {
	p, err := s.person(r)
	if err != nil {
		return 0, nil, err
	}
	u := s.user(p)
	if err := patchSCIM(&u, body); err != nil {
		return 0, nil, err
	}
	return s.keepUser(r, body, &u, p, http.StatusOK)
}

func (s *scim) deleteUser(r *http.Request, body []byte) (int, any, error) {
	p, err := s.person(r)
	if err != nil {
		return 0, nil, err
	}
	u := s.user(p)
	record, err := s.record(&u, p)
	if err != nil {
		return 0, nil, err
	}
	record.Places = nil
	if record.Left = sekisho.At(s.opt.Now()); p.Left != 0 {
		record.Left = min(record.Left, p.Left)
	}
	return http.StatusNoContent, nil, s.compare(r, body, []directory.Record{*record}, nil)
}

// keepUser records a user as a client wants it. was is what there is of it.
func (s *scim) keepUser(r *http.Request, body []byte, u *scimUser, was *directory.Person, status int) (int, any, error) {
	record, err := s.record(u, was)
	if err != nil {
		return 0, nil, err
	}
	if was != nil {
		if name, _ := s.opt.Names.Key("staff", was.Staff); name != record.User {
			// The user name is the key of the vault: another name is another person's
			// ordinal, and what was recorded of the old one stays the old one's.
			if _, taken := s.find().user[strings.ToLower(record.User)]; taken {
				return 0, nil, refuseSCIM(http.StatusConflict, "uniqueness", "there is a user with this userName")
			}
			return 0, nil, refuseSCIM(http.StatusBadRequest, "mutability", "a userName does not change here: delete the user, and create another")
		}
	}
	if err := s.compare(r, body, []directory.Record{*record}, nil); err != nil {
		return 0, nil, err
	}
	staff, _ := s.opt.Names.Find("staff", record.User)
	p := s.opt.Book.Last(staff, sekisho.At(s.opt.Now()))
	if p == nil {
		return 0, nil, errors.New("a user is not in the directory after it was recorded")
	}
	return status, s.user(p), nil
}

func (s *scim) listUsers(r *http.Request, _ []byte) (int, any, error) {
	f, err := readFilter(r.URL.Query().Get("filter"))
	if err != nil {
		return 0, nil, err
	}
	now := sekisho.At(s.opt.Now())
	var all []uint32
	switch {
	case f == nil:
		all = s.opt.Book.Everybody()
	case f.attribute == "username":
		if staff, ok := s.find().user[strings.ToLower(f.value)]; ok {
			all = []uint32{staff}
		}
	case f.attribute == "externalid":
		if staff, ok := s.find().external[f.value]; ok {
			all = []uint32{staff}
		}
	case f.attribute == "id":
		if n, err := strconv.ParseUint(f.value, 10, 32); err == nil {
			all = []uint32{uint32(n)}
		}
	case f.attribute == "emails" || f.attribute == "emails.value" || f.attribute == "active" || f.attribute == "displayname":
		all = s.opt.Book.Everybody()
	default:
		return 0, nil, refuseSCIM(http.StatusBadRequest, "invalidFilter", "users are found by userName, externalId, id, displayName, emails or active")
	}
	var found []*directory.Person
	for _, staff := range all {
		if p := s.opt.Book.Last(staff, now); s.mine(p) && (f == nil || s.fits(p, f)) {
			found = append(found, p)
		}
	}
	from, count, err := pageOf(r)
	if err != nil {
		return 0, nil, err
	}
	list := scimListOf(len(found), from)
	for _, p := range found[min(from-1, len(found)):min(from-1+count, len(found))] {
		list.Resources = append(list.Resources, s.user(p))
	}
	list.ItemsPerPage = len(list.Resources)
	return http.StatusOK, list, nil
}

// fits compares what the index has not compared.
func (s *scim) fits(p *directory.Person, f *scimFilter) bool {
	switch f.attribute {
	case "active":
		return strconv.FormatBool(p.Left == 0 || p.Left > sekisho.At(s.opt.Now())) == strings.ToLower(f.value)
	case "emails", "emails.value":
		return strings.EqualFold(s.attributes(p).Mail, f.value)
	case "displayname":
		return strings.EqualFold(s.attributes(p).Name, f.value)
	}
	return true
}

// pageOf is the page that a client asks for: from 1 on.
func pageOf(r *http.Request) (from, count int, err error) {
	from, count = 1, scimPage
	for name, to := range map[string]*int{"startIndex": &from, "count": &count} {
		if s := r.URL.Query().Get(name); s != "" {
			if *to, err = strconv.Atoi(s); err != nil {
				return 0, 0, refuseSCIM(http.StatusBadRequest, "invalidValue", "%s is a number", name)
			}
		}
	}
	return min(max(from, 1), 1<<30), min(max(count, 0), scimPage), nil // RFC 7644, section 3.4.2.4
}
