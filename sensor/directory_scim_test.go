package sensor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/sensor"
)

// A memory is a ledger and a vault as far as the directory asks.
type memory struct {
	mu   sync.Mutex
	book *directory.Book
	keys map[string][]string
	seq  uint64
	now  time.Time
	fail error
}

func newMemory() *memory {
	return &memory{book: directory.New(), keys: map[string][]string{}, now: time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)}
}

func (m *memory) names() directory.Names {
	find := func(space, key string) (uint32, bool) {
		for i, k := range m.keys[space] {
			if k == key {
				return uint32(i + 1), true
			}
		}
		return 0, false
	}
	return directory.Names{
		Find: func(space, key string) (uint32, bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return find(space, key)
		},
		Key: func(space string, o uint32) (string, bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if o == 0 || int(o) > len(m.keys[space]) {
				return "", false
			}
			return m.keys[space][o-1], true
		},
		Assign: func(space, key string) uint32 {
			m.mu.Lock()
			defer m.mu.Unlock()
			if o, ok := find(space, key); ok {
				return o
			}
			m.keys[space] = append(m.keys[space], key)
			return uint32(len(m.keys[space]))
		},
	}
}

func (m *memory) compare(_ context.Context, s *directory.Snapshot) error {
	if m.fail != nil {
		return m.fail
	}
	plan := m.book.Plan(s, m.names())
	if plan.Empty() {
		return nil
	}
	apply := func(b sekisho.Body) {
		m.seq++
		m.book.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: m.seq}, Time: sekisho.At(m.now), Body: b})
	}
	apply(plan.Read(0))
	bodies, err := plan.Bodies(m.names(), m.seq)
	for _, b := range bodies {
		apply(b)
	}
	return err
}

// A client of SCIM, on a real connection.
type scimClient struct {
	t   *testing.T
	url string
}

func scimDoor(t *testing.T, m *memory) *scimClient {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- sensor.ServeSCIM(ctx, l, sensor.SCIMOptions{Source: "entra", Token: "a-token-of-the-test", Company: "0001", Book: m.book, Names: m.names(), Compare: m.compare, Now: func() time.Time { return m.now }})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &scimClient{t, "http://" + l.Addr().String() + "/scim/v2"}
}

// do sends a request and gives the answer as compact JSON.
func (c *scimClient) do(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer a-token-of-the-test")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	var m map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &m); err != nil {
			c.t.Fatalf("%s %s: %s", method, path, raw)
		}
	}
	return resp.StatusCode, m
}

func (c *scimClient) want(status int, method, path, body string) map[string]any {
	c.t.Helper()
	got, m := c.do(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s %s: %d %v, want %d", method, path, body, got, m, status)
	}
	return m
}

const entraUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"%s","active":true,"emails":[{"primary":true,"type":"work","value":"%s@jalx.example"}],
"name":{"formatted":"鈴木 一郎","familyName":"鈴木","givenName":"一郎"},"displayName":"鈴木 一郎","title":"課長","preferredLanguage":"ja-JP",
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"organization":"0002","department":"営業本部/東京支店"}}`

// A user's life as Entra ID pushes it: looked for, created, moved, switched off,
// switched on, deleted.
func TestSCIMUser(t *testing.T) {
	m := newMemory()
	c := scimDoor(t, m)
	now := func() sekisho.Time { return sekisho.At(m.now) }
	if p := c.want(200, "GET", `/Users?filter=userName+eq+%22suzuki%22`, ""); p["totalResults"] != 0.0 {
		t.Errorf("nobody is there, and %v", p)
	}
	u := c.want(201, "POST", "/Users", fmt.Sprintf(entraUser, "suzuki", "suzuki"))
	id := u["id"].(string)
	if u["displayName"] != "鈴木 一郎" || u["preferredLanguage"] != "ja" || u["title"] != "課長" || u["active"] != true {
		t.Errorf("created %v", u)
	}
	c.want(409, "POST", "/Users", fmt.Sprintf(entraUser, "Suzuki", "suzuki"))
	for _, filter := range []string{`userName+eq+%22SUZUKI%22`, `externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22`, `active+eq+true`, `emails.value+eq+%22suzuki@jalx.example%22`} {
		p := c.want(200, "GET", "/Users?filter="+filter, "")
		if list := p["Resources"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != id {
			t.Errorf("%s finds %v", filter, p)
		}
	}
	staff, _ := m.names().Find("staff", "suzuki")
	sales, _ := m.names().Find("unit", "department/0002/営業本部/東京支店")
	if p := m.book.Person(staff, now()); p == nil || p.Main(now()).Unit != sales || p.Record == 0 {
		t.Fatalf("the book has %+v", p)
	}

	was := m.book.Seq()
	c.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"title","value":"課長"}]}`)
	if m.book.Seq() != was {
		t.Error("a change that changes nothing was recorded")
	}
	m.now = m.now.Add(24 * time.Hour)
	u = c.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"整備部"},
{"op":"Replace","path":"emails[type eq \"work\"].value","value":"ichiro@jalx.example"},{"op":"Add","path":"name.familyName","value":"鈴木"},{"op":"replace","value":{"title":"部長","preferredLanguage":"en"}}]}`)
	e := u["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"].(map[string]any)
	if e["department"] != "整備部" || e["organization"] != "0002" || u["title"] != "部長" || u["preferredLanguage"] != "en" || u["emails"].([]any)[0].(map[string]any)["value"] != "ichiro@jalx.example" {
		t.Errorf("after the move: %v", u)
	}
	if p := m.book.Person(staff, now()-1); p.Main(now()-1).Unit != sales {
		t.Error("the day before has moved as well")
	}

	m.now = m.now.Add(24 * time.Hour)
	u = c.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`)
	if u["active"] != false || m.book.Person(staff, now()) != nil {
		t.Errorf("switched off: %v", u)
	}
	c.want(200, "GET", "/Users/"+id, "")
	m.now = m.now.Add(24 * time.Hour)
	if u = c.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"True"}]}`); u["active"] != true || m.book.Person(staff, now()) == nil {
		t.Errorf("switched on: %v", u)
	}
	m.now = m.now.Add(24 * time.Hour)
	c.want(204, "DELETE", "/Users/"+id, "")
	c.want(404, "GET", "/Users/"+id, "")
	if m.book.Person(staff, now()) != nil {
		t.Error("deleted, and here")
	}
	m.now = m.now.Add(24 * time.Hour)
	if u = c.want(201, "POST", "/Users", fmt.Sprintf(entraUser, "suzuki", "suzuki")); u["id"] != id {
		t.Errorf("who comes back is %v", u["id"])
	}
	if past := m.book.Past(staff); past[len(past)-1].Action != "returned" {
		t.Errorf("who comes back: %+v", past[len(past)-1])
	}
}

func TestSCIMGroups(t *testing.T) {
	m := newMemory()
	c := scimDoor(t, m)
	var ids []string
	for _, name := range []string{"a", "b", "c"} {
		ids = append(ids, c.want(201, "POST", "/Users", fmt.Sprintf(entraUser, name, name))["id"].(string))
	}
	g := c.want(201, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"externalId":"g-1","displayName":"Reservation staff","members":[{"value":"`+ids[0]+`"}]}`)
	id := g["id"].(string)
	members := func() string {
		var list []string
		all, _ := c.want(200, "GET", "/Groups/"+id, "")["members"].([]any)
		for _, one := range all {
			list = append(list, one.(map[string]any)["value"].(string))
		}
		return strings.Join(list, " ")
	}
	patch := func(operation string) {
		t.Helper()
		m.now = m.now.Add(time.Hour)
		c.want(200, "PATCH", "/Groups/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operation+`]}`)
	}
	patch(`{"op":"Add","path":"members","value":[{"value":"` + ids[1] + `"},{"value":"` + ids[2] + `"}]}`)
	if got := members(); got != strings.Join(ids, " ") {
		t.Errorf("members %s", got)
	}
	patch(`{"op":"Remove","path":"members[value eq \"` + ids[0] + `\"]"},{"op":"Remove","path":"members","value":[{"value":"` + ids[2] + `"}]},{"op":"Replace","path":"displayName","value":"Reservations"}`)
	if got := members(); got != ids[1] {
		t.Errorf("members %s", got)
	}
	if p := c.want(200, "GET", "/Groups?excludedAttributes=members&filter=displayName+eq+%22reservations%22", ""); p["totalResults"] != 1.0 || strings.Contains(fmt.Sprint(p), "members") {
		t.Errorf("found %v", p)
	}
	// A user's own change leaves the groups.
	m.now = m.now.Add(time.Hour)
	c.want(200, "PUT", "/Users/"+ids[1], fmt.Sprintf(entraUser, "b", "other"))
	if got := members(); got != ids[1] {
		t.Errorf("after the user changed: %s", got)
	}
	c.want(400, "PATCH", "/Groups/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Add","path":"members","value":[{"value":"99"}]}]}`)
	m.now = m.now.Add(time.Hour)
	c.want(204, "DELETE", "/Groups/"+id, "")
	c.want(404, "GET", "/Groups/"+id, "")
	if u := c.want(200, "GET", "/Users/"+ids[1], ""); strings.Contains(fmt.Sprint(u), "groups") {
		t.Errorf("in a group that is gone: %v", u)
	}
}

func TestSCIMPagesAndRefuses(t *testing.T) {
	m := newMemory()
	c := scimDoor(t, m)
	for i := range 7 {
		c.want(201, "POST", "/Users", fmt.Sprintf(entraUser, fmt.Sprint("u", i), "x"))
	}
	seen := map[string]bool{}
	for from := 1; from <= 7; from += 3 {
		p := c.want(200, "GET", fmt.Sprintf("/Users?startIndex=%d&count=3", from), "")
		if p["totalResults"] != 7.0 {
			t.Errorf("%v", p)
		}
		for _, one := range p["Resources"].([]any) {
			seen[one.(map[string]any)["userName"].(string)] = true
		}
	}
	if len(seen) != 7 {
		t.Errorf("the pages have %v", seen)
	}
	for path, status := range map[string]int{"/ServiceProviderConfig": 200, "/ResourceTypes": 200, "/Schemas": 200, "/Users?filter=userName+co+%22u%22": 400, "/Users?filter=shoe+eq+%22u%22": 400,
		"/Users?count=many": 400, "/Users/99": 404, "/Users/x": 404, "/Groups/1": 404, "/Shoes": 404, "/Users?startIndex=-5&count=-1": 200, "/Users?startIndex=900": 200} {
		if got, p := c.do("GET", path, ""); got != status {
			t.Errorf("%s got %d %v, want %d", path, got, p, status)
		}
	}
	for _, body := range []string{"", "[]", `{"userName":""}`, `{"userName":"a\u0007"}`, `{"userName":"a","active":"maybe"}`} {
		if got, _ := c.do("POST", "/Users", body); got != 400 {
			t.Errorf("%s got %d", body, got)
		}
	}
	c.want(400, "PUT", "/Users/1", fmt.Sprintf(entraUser, "another", "x"))
	m.fail = fmt.Errorf("the disk is full")
	if got, p := c.do("POST", "/Users", fmt.Sprintf(entraUser, "late", "x")); got != 503 || strings.Contains(fmt.Sprint(p), "disk") {
		t.Errorf("without a ledger: %d %v", got, p)
	}
	for _, token := range []string{"", "Bearer", "Bearer ", "Bearer a-token-of-the-tes", "Basic a-token-of-the-test"} {
		r, _ := http.NewRequest("GET", c.url+"/Users", nil)
		r.Header.Set("Authorization", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 401 || bytes.Contains(body, []byte("u1")) {
			t.Errorf("the token %q got %d %s", token, resp.StatusCode, body)
		}
	}
}
