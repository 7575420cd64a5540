package contain

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// What nft says of a table is read whatever it is. What was read of a set can be
// written back, and is then read as the same.
func FuzzReadListing(f *testing.F) {
	listed, err := os.ReadFile("testdata/listing.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(listed)
	f.Add([]byte(`{"nftables":[{"set":{"name":"a","elem":["10.0.0.1",{"prefix":{"addr":"10.1.0.0","len":16}},{"range":["1","2"]},{"concat":["10.0.0.1","tcp",443]},{"elem":{"val":"1","comment":"x"}}]}}]}`))
	f.Add([]byte(`{"nftables":[{"rule":{"expr":[{"counter":{"packets":3,"bytes":9}}]}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := readListing(text)
		if err != nil {
			return
		}
		for name, set := range l.sets {
			raw, err := json.Marshal(sortedValues(plainOnly(set)))
			if err != nil {
				t.Fatal(err)
			}
			var of any
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber()
			if err := d.Decode(&of); err != nil {
				t.Fatal(err)
			}
			again, err := readElements(of)
			if err != nil || !sameElements(plainOnly(set), again) {
				t.Errorf("set %q: %v became %v, %v", name, set, again, err)
			}
		}
		l.prefixesOf(hosts4, nets4)
	})
}

func sortedValues(e elements) []any {
	out := []any{}
	for _, text := range sorted(e) {
		out = append(out, e[text])
	}
	return out
}

// plainOnly leaves out elements with a comment or a time, which are written
// without.
func plainOnly(e elements) elements {
	out := elements{}
	for text, v := range e {
		if !strings.Contains(text, " with ") {
			out[text] = v
		}
	}
	return out
}

// A report of an agent's is taken as it says, or refused.
func FuzzReadReport(f *testing.F) {
	o := Observed{Egress: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, Faults: []string{FaultRules}}
	for _, r := range []Report{{Number: 1, Digest: o.digest()}, {Number: 2, State: "00", Look: 3, Drift: true, Error: "e", Digest: o.digest(), Observed: &o}} {
		text, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := readReport(bytes.NewReader(text))
		if err != nil {
			return
		}
		if len(r.Error) > 500 || r.Observed != nil && (r.Observed.digest() != r.Digest || len(r.Observed.Faults) > mostFaults || len(r.Observed.Endpoints) > 0) {
			t.Errorf("%+v", r)
		}
	})
}

// A state is one that was signed for the hand, and can be enforced, or none.
func FuzzOpenState(f *testing.F) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	good, err := State{Ledger: "l", Hand: "edge", Number: 7, Egress: []Held{{Until: 5, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}}}.sign(key)
	if err != nil {
		f.Fatal(err)
	}
	_, body, _ := bytes.Cut(good, []byte("\n"))
	f.Add(body, false)
	f.Add(good, true)
	f.Fuzz(func(t *testing.T, text []byte, raw bool) {
		if !raw { // signed, whatever it is: what an old or a new sekisho could send
			line := base64.StdEncoding.EncodeToString(ed25519.Sign(key, slices.Concat([]byte(stateSigned), text)))
			text = slices.Concat([]byte(line+"\n"), text)
		}
		s, err := OpenState(text, "edge", []ed25519.PublicKey{key.Public().(ed25519.PublicKey)})
		if err != nil {
			return
		}
		if s.Hand != "edge" {
			t.Errorf("it is for %q", s.Hand)
		}
		fence, _ := s.fence(6, true)
		if err := fence.check(); err != nil {
			t.Error(err)
		}
		(&plan{table: "t"}).sets(fence, kin{})
	})
}

// A list, a webhook's answer, a probe's report, the kernel's neighbours, what ss
// says: each is read or refused.
func FuzzReadWhatOthersSay(f *testing.F) {
	neighbour := binary.NativeEndian.AppendUint32([]byte{2, 0, 0, 0}, 3)
	neighbour = append(neighbour, 2, 0, 0, 1, 8, 0, 1, 0, 10, 0, 0, 1, 10, 0, 2, 0, 2, 0, 0, 0, 0, 9, 0, 0)
	for _, s := range []string{"10.0.0.1\nfd00::/8\n" + ListEnd + "\n", `{"egress":["10.0.0.1/32"],"destinations":[]}`, `{"took":1,"outside":["a"],"names":null,"inside":null}`,
		string(neighbour), "ESTAB 0 0 [::ffff:10.2.0.2]:3128 [::ffff:10.1.1.2]:40000\n"} {
		f.Add([]byte(s))
	}
	if one, link, ok := readNeighbour(neighbour); !ok || link != 3 || one.mac != "02:00:00:00:00:09" || one.address.String() != "10.0.0.1" {
		f.Fatalf("%+v on %d, %v", one, link, ok)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if list, err := ReadList(text); err == nil {
			for _, p := range list {
				if !p.IsValid() || p.Bits() == 0 {
					t.Errorf("a list with %v", p)
				}
			}
			if again, err := ReadList(listText(list)); err != nil || !slices.Equal(list, again) {
				t.Errorf("%v became %v, %v", list, again, err)
			}
		}
		if o, err := readAnswer(text); err == nil {
			Compare(Observed{}, o)
		}
		if r, err := readProbeReport(bytes.NewReader(text)); err == nil && r.Took < 0 {
			t.Errorf("%+v", r)
		}
		if one, _, ok := readNeighbour(text); ok && (!one.address.IsValid() || one.mac == "") {
			t.Errorf("%+v", one)
		}
		for _, a := range peers(string(text)) {
			if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
				t.Errorf("a peer %v", a)
			}
		}
	})
}
