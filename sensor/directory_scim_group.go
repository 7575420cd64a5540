package sensor

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/directory"
)

// Groups of SCIM are units of their own kind, and members are people with a
// posting there.

func (s *scim) groupOf(r *http.Request) (*directory.Unit, error) {
	n, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err == nil {
		if u := s.opt.Book.Unit(uint32(n), sekisho.At(s.opt.Now())); u != nil && u.Kind == "group" && u.Closed == 0 && u.Source == s.opt.Source {
			return u, nil
		}
	}
	return nil, refuseSCIM(http.StatusNotFound, "", "there is no such group")
}

func (s *scim) group(u *directory.Unit, members bool) scimGroup {
	id := strconv.FormatUint(uint64(u.Unit), 10)
	title, _ := s.opt.Names.Key("said", u.Title)
	key, _ := s.opt.Names.Key("unit", u.Unit)
	g := scimGroup{Schemas: []string{scimGroups}, ID: id, Display: title, ExternalID: strings.TrimPrefix(key, "group/"), Meta: &scimMeta{"Group", "/scim/v2/Groups/" + id}}
	if members {
		for _, p := range s.members(u.Unit) {
			g.Members = append(g.Members, scimValue{Value: strconv.FormatUint(uint64(p.Staff), 10)})
		}
	}
	return g
}

// members are the people of a group, those who are inactive too.
func (s *scim) members(unit uint32) (list []*directory.Person) {
	now := sekisho.At(s.opt.Now())
	for _, staff := range s.opt.Book.Everybody() {
		if p := s.opt.Book.Last(staff, now); s.mine(p) && slices.ContainsFunc(p.Postings, func(one directory.Posting) bool { return one.Unit == unit && one.As == "group" }) {
			list = append(list, p)
		}
	}
	return list
}

func withMembers(r *http.Request) bool {
	return !strings.Contains(strings.ToLower(r.URL.Query().Get("excludedAttributes")), "members")
}

func (s *scim) getGroup(r *http.Request, _ []byte) (int, any, error) {
	u, err := s.groupOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.group(u, withMembers(r)), nil
}

func (s *scim) listGroups(r *http.Request, _ []byte) (int, any, error) {
	f, err := readFilter(r.URL.Query().Get("filter"))
	if err != nil {
		return 0, nil, err
	}
	if f != nil && f.attribute != "displayname" && f.attribute != "externalid" && f.attribute != "id" {
		return 0, nil, refuseSCIM(http.StatusBadRequest, "invalidFilter", "groups are found by displayName, externalId or id")
	}
	var found []*directory.Unit
	for u := range s.opt.Book.UnitsAt("group", sekisho.At(s.opt.Now())) {
		if u.Source != s.opt.Source {
			continue
		}
		if g := s.group(u, false); f == nil || f.attribute == "displayname" && strings.EqualFold(g.Display, f.value) || f.attribute == "externalid" && g.ExternalID == f.value || f.attribute == "id" && g.ID == f.value {
			found = append(found, u)
		}
	}
	from, count, err := pageOf(r)
	if err != nil {
		return 0, nil, err
	}
	list := scimListOf(len(found), from)
	for _, u := range found[min(from-1, len(found)):min(from-1+count, len(found))] {
		list.Resources = append(list.Resources, s.group(u, withMembers(r)))
	}
	list.ItemsPerPage = len(list.Resources)
	return http.StatusOK, list, nil
}

func readGroupOf(body []byte) (*scimGroup, error) {
	var g scimGroup
	if err := json.Unmarshal(body, &g); err != nil {
		return nil, refuseSCIM(http.StatusBadRequest, "invalidSyntax", "the body is no SCIM group")
	}
	if g.Display == "" || len(g.Display) > 512 || len(g.ExternalID) > 256 {
		return nil, refuseSCIM(http.StatusBadRequest, "invalidValue", "a group has a displayName of 1 to 512 bytes")
	}
	return &g, nil
}

func (s *scim) createGroup(r *http.Request, body []byte) (int, any, error) {
	g, err := readGroupOf(body)
	if err != nil {
		return 0, nil, err
	}
	if g.ExternalID == "" {
		g.ExternalID = g.Display
	}
	key := "group/" + g.ExternalID
	if unit, ok := s.opt.Names.Find("unit", key); ok {
		if u := s.opt.Book.Unit(unit, sekisho.At(s.opt.Now())); u != nil && u.Closed == 0 {
			return 0, nil, refuseSCIM(http.StatusConflict, "uniqueness", "there is such a group")
		}
	}
	return s.keepGroup(r, body, key, g, nil, http.StatusCreated)
}

func (s *scim) putGroup(r *http.Request, body []byte) (int, any, error) {
	u, err := s.groupOf(r)
	if err != nil {
		return 0, nil, err
	}
	g, err := readGroupOf(body)
	if err != nil {
		return 0, nil, err
	}
	key, _ := s.opt.Names.Key("unit", u.Unit)
	return s.keepGroup(r, body, key, g, u, http.StatusOK)
}

func (s *scim) patchGroup(r *http.Request, body []byte) (int, any, error) {
	u, err := s.groupOf(r)
	if err != nil {
		return 0, nil, err
	}
	g := s.group(u, true)
	if err := patchSCIM(&g, body); err != nil {
		return 0, nil, err
	}
	key, _ := s.opt.Names.Key("unit", u.Unit)
	return s.keepGroup(r, body, key, &g, u, http.StatusOK)
}

func (s *scim) deleteGroup(r *http.Request, body []byte) (int, any, error) {
	u, err := s.groupOf(r)
	if err != nil {
		return 0, nil, err
	}
	key, _ := s.opt.Names.Key("unit", u.Unit)
	title, _ := s.opt.Names.Key("said", u.Title)
	people, err := s.moved(u.Unit, key, nil)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.compare(r, body, people, []directory.UnitRecord{{Key: key, Title: title, Closed: true}})
}

// keepGroup records a group as a client wants it.
func (s *scim) keepGroup(r *http.Request, body []byte, key string, g *scimGroup, was *directory.Unit, status int) (int, any, error) {
	want := map[uint32]bool{}
	for _, m := range g.Members {
		n, err := strconv.ParseUint(m.Value, 10, 32)
		if err != nil || !s.mine(s.opt.Book.Last(uint32(n), sekisho.At(s.opt.Now()))) {
			return 0, nil, refuseSCIM(http.StatusBadRequest, "invalidValue", "a member is no user of this directory")
		}
		want[uint32(n)] = true
	}
	unit := uint32(0)
	if was != nil {
		unit = was.Unit
	}
	people, err := s.moved(unit, key, want)
	if err != nil {
		return 0, nil, err
	}
	if err := s.compare(r, body, people, []directory.UnitRecord{{Key: key, Title: g.Display}}); err != nil {
		return 0, nil, err
	}
	unit, _ = s.opt.Names.Find("unit", key)
	u := s.opt.Book.Unit(unit, sekisho.At(s.opt.Now()))
	if u == nil { // recorded, and not yet there by a clock that went back
		return 0, nil, refuseSCIM(http.StatusConflict, "", "the group is of a later time than now")
	}
	return status, s.group(u, withMembers(r)), nil
}

// moved are the people who come into a group or go out of it.
func (s *scim) moved(unit uint32, key string, want map[uint32]bool) (list []directory.Record, err error) {
	change := func(p *directory.Person, in bool) error {
		u := s.user(p)
		record, err := s.record(&u, p)
		if err != nil {
			return err
		}
		if in {
			record.Places = append(record.Places, directory.Place{Unit: key, As: "group"})
		} else {
			record.Places = slices.DeleteFunc(record.Places, func(one directory.Place) bool { return one.Unit == key && one.As == "group" })
		}
		list = append(list, *record)
		return nil
	}
	had := map[uint32]bool{}
	if unit != 0 {
		for _, p := range s.members(unit) {
			if had[p.Staff] = true; !want[p.Staff] {
				if err := change(p, false); err != nil {
					return nil, err
				}
			}
		}
	}
	for staff := range want {
		if !had[staff] {
			if err := change(s.opt.Book.Last(staff, sekisho.At(s.opt.Now())), true); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(list, func(x, y directory.Record) int { return strings.Compare(x.User, y.User) })
	return list, nil
}
