package sensor

import (
	"encoding/json"
	"testing"
)

// Whatever a client sends, a filter is read as one comparison or refused.
func FuzzSCIMFilter(f *testing.F) {
	for _, s := range []string{`userName eq "a"`, `active eq true`, `urn:ietf:params:scim:schemas:core:2.0:User:userName Eq "\u0041"`, `emails[type eq "work"].value eq "x"`, `eq eq eq`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := readFilter(text); err == nil && got != nil && got.attribute == "" {
			t.Errorf("%q is a filter of nothing", text)
		}
	})
}

// Whatever a PatchOp says, what comes of it is a user that reads back as itself.
func FuzzSCIMPatch(f *testing.F) {
	for _, s := range []string{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"name.familyName","value":"x"}]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":"False","name":{"formatted":"y"}}}]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"emails[type eq \"work\"]"}]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":[1,{}]}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u := scimUser{UserName: "a", Name: &scimName{Family: "b"}, Emails: []scimValue{{Value: "c@d", Type: "work"}}}
		if patchSCIM(&u, body) != nil {
			return
		}
		raw, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readUser(raw); err != nil {
			t.Errorf("%s is no user", raw)
		}
	})
}
