package sensor

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/directory"
)

// Resources of SCIM, as far as the directory knows them.

type scimUser struct {
	Schemas    []string      `json:"schemas"`
	ID         string        `json:"id,omitempty"`
	ExternalID string        `json:"externalId,omitempty"`
	UserName   string        `json:"userName"`
	Name       *scimName     `json:"name,omitempty"`
	Display    string        `json:"displayName,omitempty"`
	Title      string        `json:"title,omitempty"`
	Type       string        `json:"userType,omitempty"`
	Language   string        `json:"preferredLanguage,omitempty"`
	Active     *scimBool     `json:"active,omitempty"`
	Emails     []scimValue   `json:"emails,omitempty"`
	Groups     []scimValue   `json:"groups,omitempty"`
	Enterprise *scimEmployee `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitempty"`
	Meta       *scimMeta     `json:"meta,omitempty"`
}

func (u scimUser) where() string { return u.Meta.Location }

type scimName struct {
	Formatted string `json:"formatted,omitempty"`
	Family    string `json:"familyName,omitempty"`
	Given     string `json:"givenName,omitempty"`
}

type scimEmployee struct {
	Number       string `json:"employeeNumber,omitempty"`
	Organization string `json:"organization,omitempty"`
	Division     string `json:"division,omitempty"`
	Department   string `json:"department,omitempty"`
}

type scimValue struct {
	Value   string   `json:"value"`
	Display string   `json:"display,omitempty"`
	Type    string   `json:"type,omitempty"`
	Primary scimBool `json:"primary,omitempty"`
}

type scimGroup struct {
	Schemas    []string    `json:"schemas"`
	ID         string      `json:"id,omitempty"`
	ExternalID string      `json:"externalId,omitempty"`
	Display    string      `json:"displayName"`
	Members    []scimValue `json:"members,omitempty"`
	Meta       *scimMeta   `json:"meta,omitempty"`
}

func (g scimGroup) where() string { return g.Meta.Location }

type scimMeta struct {
	Type     string `json:"resourceType"`
	Location string `json:"location"`
}

type scimListing struct {
	Schemas      []string `json:"schemas"`
	Total        int      `json:"totalResults"`
	Start        int      `json:"startIndex"`
	ItemsPerPage int      `json:"itemsPerPage"`
	Resources    []any    `json:"Resources"`
}

func scimListOf(total, from int) *scimListing {
	return &scimListing{Schemas: []string{scimList}, Total: total, Start: from, Resources: []any{}}
}

// scimBool is a truth value, which Entra ID writes as "True" now and then.
type scimBool bool

func (b *scimBool) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true":
		*b = true
	case "false", "null":
		*b = false
	default:
		return refuseSCIM(http.StatusBadRequest, "invalidValue", "a truth value is true or false")
	}
	return nil
}

func readUser(body []byte) (*scimUser, error) {
	var u scimUser
	if err := json.Unmarshal(body, &u); err != nil {
		return nil, refuseSCIM(http.StatusBadRequest, "invalidSyntax", "the body is no SCIM user")
	}
	return &u, nil
}

// user is a person as a resource.
func (s *scim) user(p *directory.Person) scimUser {
	now := sekisho.At(s.opt.Now())
	a := s.attributes(p)
	id := strconv.FormatUint(uint64(p.Staff), 10)
	name, _ := s.opt.Names.Key("staff", p.Staff)
	active := scimBool(p.Left == 0 || p.Left > now)
	u := scimUser{Schemas: []string{scimUsers, scimStaff}, ID: id, ExternalID: a.External, UserName: name, Display: a.Name,
		Type: p.Kind, Language: a.Language, Active: &active, Meta: &scimMeta{"User", "/scim/v2/Users/" + id}}
	if a.Name != "" {
		u.Name = &scimName{Formatted: a.Name}
	}
	if a.Mail != "" {
		u.Emails = []scimValue{{Value: a.Mail, Type: "work", Primary: true}}
	}
	e := &scimEmployee{}
	for _, one := range p.Postings {
		unit, _ := s.opt.Names.Key("unit", one.Unit)
		post, _ := s.opt.Names.Key("unit", one.Post)
		if one.As == "group" {
			title := ""
			if g := s.opt.Book.Unit(one.Unit, now); g != nil {
				title, _ = s.opt.Names.Key("said", g.Title)
			}
			u.Groups = append(u.Groups, scimValue{Value: strconv.FormatUint(uint64(one.Unit), 10), Display: title})
			continue
		}
		u.Title = strings.TrimPrefix(post, "post/")
		if rest, ok := strings.CutPrefix(unit, "department/"); ok {
			e.Organization, e.Department, _ = strings.Cut(rest, "/")
		} else if rest, ok := strings.CutPrefix(unit, "company/"); ok {
			e.Organization = rest
		}
	}
	if *e != (scimEmployee{}) {
		u.Enterprise = e
	}
	return u
}

// record is a resource as a person. was is what there is of them; their groups
// stay.
func (s *scim) record(u *scimUser, was *directory.Person) (*directory.Record, error) {
	if err := goodUser(u.UserName); err != nil {
		return nil, refuseSCIM(http.StatusBadRequest, "invalidValue", "userName: %v", err)
	}
	r := &directory.Record{User: u.UserName}
	r.External, r.Name = u.ExternalID, u.Display
	if r.Name == "" && u.Name != nil {
		if r.Name = u.Name.Formatted; r.Name == "" {
			r.Name = strings.TrimSpace(u.Name.Family + " " + u.Name.Given)
		}
	}
	r.Language, _, _ = strings.Cut(strings.ToLower(strings.ReplaceAll(u.Language, "_", "-")), "-")
	for i, m := range u.Emails {
		if i == 0 || bool(m.Primary) {
			r.Mail = m.Value
		}
	}
	for _, text := range []string{r.External, r.Name, r.Language, r.Mail} {
		if len(text) > 512 {
			return nil, refuseSCIM(http.StatusBadRequest, "invalidValue", "a value is longer than 512 bytes")
		}
	}
	var err error
	if r.Kind, err = employed(u.Type); err != nil {
		r.Kind = "employee" // what a company writes there is its own: Member, Staff, …
	}
	now := sekisho.At(s.opt.Now())
	if u.Active != nil && !bool(*u.Active) {
		r.Left = now
		if was != nil && was.Left != 0 && was.Left <= now {
			r.Left = was.Left
		}
	}
	var p directory.Place
	company, department := s.opt.Company, ""
	if e := u.Enterprise; e != nil {
		if e.Organization != "" {
			company = e.Organization
		}
		department = e.Department
	}
	if company == "" {
		department = ""
	}
	if _, err := place(&p, company, department, u.Title); err != nil {
		return nil, refuseSCIM(http.StatusBadRequest, "invalidValue", "%v", err)
	}
	if p.Unit != "" {
		p.As = "main"
		r.Places = []directory.Place{p}
	}
	if was != nil {
		for _, one := range was.Postings {
			if key, ok := s.opt.Names.Key("unit", one.Unit); ok && one.As == "group" {
				r.Places = append(r.Places, directory.Place{Unit: key, As: "group"})
			}
		}
	}
	return r, nil
}

// A scimFilter is one comparison, the only form that is answered.
type scimFilter struct{ attribute, value string }

// readFilter reads `userName eq "x"` (RFC 7644, section 3.4.2.2); nil for none.
func readFilter(text string) (*scimFilter, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	bad := refuseSCIM(http.StatusBadRequest, "invalidFilter", `a filter is one comparison, such as userName eq "x"`)
	attribute, rest, ok := strings.Cut(text, " ")
	op, value, ok2 := strings.Cut(strings.TrimSpace(rest), " ")
	if !ok || !ok2 || !strings.EqualFold(op, "eq") || len(text) > 2048 {
		return nil, bad
	}
	f := &scimFilter{attribute: strings.ToLower(attribute)}
	for _, schema := range []string{scimUsers, scimGroups, scimStaff} {
		f.attribute = strings.TrimPrefix(f.attribute, strings.ToLower(schema)+":")
	}
	if i := strings.IndexByte(f.attribute, '['); i >= 0 {
		return nil, bad
	}
	value = strings.TrimSpace(value)
	switch {
	case value == "true" || value == "false" || value == "True" || value == "False":
		f.value = value
	case json.Unmarshal([]byte(value), &f.value) != nil:
		return nil, bad
	}
	return f, nil
}

// patchSCIM applies a PatchOp (RFC 7644, section 3.5.2) to a resource, by way of
// its JSON.
func patchSCIM[R any](resource *R, body []byte) error {
	var patch struct {
		Schemas    []string `json:"schemas"`
		Operations []struct {
			Op    string          `json:"op"`
			Path  string          `json:"path"`
			Value json.RawMessage `json:"value"`
		} `json:"Operations"`
	}
	if err := json.Unmarshal(body, &patch); err != nil || !slices.Contains(patch.Schemas, scimPatch) || len(patch.Operations) == 0 || len(patch.Operations) > 1000 {
		return refuseSCIM(http.StatusBadRequest, "invalidSyntax", "the body is no PatchOp")
	}
	raw, err := json.Marshal(resource)
	if err != nil {
		return err
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	for _, o := range patch.Operations {
		var value any
		if len(o.Value) > 0 {
			d := json.NewDecoder(bytes.NewReader(o.Value))
			if err := d.Decode(&value); err != nil {
				return refuseSCIM(http.StatusBadRequest, "invalidSyntax", "a value of the PatchOp is no JSON")
			}
		}
		if err := patchOne(m, strings.ToLower(o.Op), o.Path, value); err != nil {
			return err
		}
	}
	if raw, err = json.Marshal(m); err != nil {
		return err
	}
	var fresh R
	if err := json.Unmarshal(raw, &fresh); err != nil {
		return refuseSCIM(http.StatusBadRequest, "invalidValue", "the PatchOp gives an attribute a value that it cannot have")
	}
	*resource = fresh
	return nil
}

func patchOne(m map[string]any, op, path string, value any) error {
	if op != "add" && op != "replace" && op != "remove" {
		return refuseSCIM(http.StatusBadRequest, "invalidSyntax", "an operation is add, replace or remove")
	}
	if path == "" {
		all, ok := value.(map[string]any)
		if !ok || op == "remove" {
			return refuseSCIM(http.StatusBadRequest, "noTarget", "an operation without a path adds or replaces attributes by their names")
		}
		for name, v := range all {
			inner, isObject := v.(map[string]any)
			if at := attributeOf(m, name); isObject && (name == scimStaff || m[at] != nil) {
				had, _ := m[at].(map[string]any)
				if had == nil {
					had = map[string]any{}
				}
				for k, x := range inner {
					had[attributeOf(had, k)] = x
				}
				m[at] = had
			} else if err := patchOne(m, op, name, v); err != nil {
				return err
			}
		}
		return nil
	}
	// urn:…:User:department, name.familyName, emails[type eq "work"].value, members[value eq "7"]
	for _, schema := range []string{scimUsers, scimGroups} {
		path = strings.TrimPrefix(path, schema+":")
	}
	if rest, ok := strings.CutPrefix(path, scimStaff); ok {
		inner, _ := m[scimStaff].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
		}
		m[scimStaff] = inner
		if rest = strings.TrimPrefix(rest, ":"); rest == "" {
			return patchOne(inner, op, "", value)
		}
		return patchOne(inner, op, rest, value)
	}
	if i := strings.IndexByte(path, '['); i >= 0 {
		return patchElement(m, op, path[:i], path[i+1:], value)
	}
	if outer, rest, ok := strings.Cut(path, "."); ok {
		at := attributeOf(m, outer)
		inner, _ := m[at].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
		}
		m[at] = inner
		return patchOne(inner, op, rest, value)
	}
	at := attributeOf(m, path)
	had, isList := m[at].([]any)
	switch {
	case op == "remove" && value == nil:
		delete(m, at)
	case op == "remove": // Entra ID: members, with those to take away as the value
		m[at] = slices.DeleteFunc(had, func(x any) bool {
			return slices.ContainsFunc(listOf(value), func(v any) bool { return valueOf(v) == valueOf(x) })
		})
	case op == "add" && (isList || at == "members" || at == "emails"):
		for _, v := range listOf(value) {
			if !slices.ContainsFunc(had, func(x any) bool { return valueOf(x) == valueOf(v) }) {
				had = append(had, v)
			}
		}
		m[at] = had
	case at == "name" || at == "displayName" && m["name"] != nil:
		m[at] = value
		if at == "displayName" {
			delete(m, "name")
		} else {
			delete(m, "displayName")
		}
	case at == "members" || at == "emails":
		m[at] = listOf(value)
	default:
		m[at] = value
	}
	return nil
}

// patchElement changes the elements of a list that a filter in brackets
// chooses; one that is not there is made.
func patchElement(m map[string]any, op, list, rest string, value any) error {
	filter, sub, ok := strings.Cut(rest, "]")
	f, err := readFilter(filter)
	if !ok || err != nil || f == nil {
		return refuseSCIM(http.StatusBadRequest, "invalidPath", "a path chooses elements by one comparison, such as emails[type eq \"work\"].value")
	}
	sub = strings.TrimPrefix(sub, ".")
	at := attributeOf(m, list)
	had, _ := m[at].([]any)
	chosen := func(x any) bool {
		one, _ := x.(map[string]any)
		s, isText := one[attributeOf(one, f.attribute)].(string)
		return isText && s == f.value
	}
	if op == "remove" && sub == "" {
		m[at] = slices.DeleteFunc(had, chosen)
		return nil
	}
	if !slices.ContainsFunc(had, chosen) {
		had = append(had, map[string]any{f.attribute: f.value})
	}
	for _, x := range had {
		if !chosen(x) {
			continue
		}
		one := x.(map[string]any)
		switch inner, isObject := value.(map[string]any); {
		case sub != "" && op == "remove":
			delete(one, attributeOf(one, sub))
		case sub != "":
			one[attributeOf(one, sub)] = value
		case isObject:
			for k, v := range inner {
				one[attributeOf(one, k)] = v
			}
		}
	}
	m[at] = had
	return nil
}

// attributeOf is the name that an attribute has here: names are compared
// without regard to case (RFC 7643, section 2.1).
func attributeOf(m map[string]any, name string) string {
	for _, known := range []string{"userName", "externalId", "displayName", "name", "title", "userType", "preferredLanguage", "active", "emails", "members",
		"formatted", "familyName", "givenName", "employeeNumber", "organization", "division", "department", "value", "type", "primary", "display", scimStaff} {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	for known := range m {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return name
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

func valueOf(v any) string {
	if m, ok := v.(map[string]any); ok {
		v = m["value"]
	}
	s, _ := v.(string)
	return s
}

func serviceProviderConfig() any {
	no := map[string]any{"supported": false}
	return map[string]any{"schemas": []string{scimConfig}, "patch": map[string]any{"supported": true},
		"bulk":   map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter": map[string]any{"supported": true, "maxResults": scimPage}, "changePassword": no, "sort": no, "etag": no,
		"authenticationSchemes": []any{map[string]any{"type": "oauthbearertoken", "name": "Bearer", "description": "a token, in the header Authorization", "primary": true}}}
}

func resourceTypes() any {
	list := scimListOf(2, 1)
	list.ItemsPerPage = 2
	list.Resources = []any{
		map[string]any{"schemas": []string{scimResource}, "id": "User", "name": "User", "endpoint": "/Users", "schema": scimUsers,
			"schemaExtensions": []any{map[string]any{"schema": scimStaff, "required": false}}},
		map[string]any{"schemas": []string{scimResource}, "id": "Group", "name": "Group", "endpoint": "/Groups", "schema": scimGroups},
	}
	return list
}

func scimSchemas() any {
	of := func(id, name string, attributes ...string) any {
		var list []any
		for _, a := range attributes {
			kind := "string"
			switch a {
			case "active":
				kind = "boolean"
			case "emails", "members", "groups", "name":
				kind = "complex"
			}
			list = append(list, map[string]any{"name": a, "type": kind, "multiValued": a == "emails" || a == "members" || a == "groups",
				"required": a == "userName" || id == scimGroups && a == "displayName", "mutability": map[bool]string{true: "readOnly", false: "readWrite"}[a == "groups"], "returned": "default"})
		}
		return map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": id, "name": name, "attributes": list}
	}
	list := scimListOf(3, 1)
	list.ItemsPerPage = 3
	list.Resources = []any{
		of(scimUsers, "User", "userName", "externalId", "name", "displayName", "title", "userType", "preferredLanguage", "active", "emails", "groups"),
		of(scimGroups, "Group", "displayName", "externalId", "members"),
		of(scimStaff, "EnterpriseUser", "organization", "department"),
	}
	return list
}
