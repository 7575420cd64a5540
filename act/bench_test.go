package act

import "testing"

// What one decision costs: the gate asks once for each kind of statement,
// session and hour, and looks the key up for the rest.
func BenchmarkDecide(b *testing.B) {
	p, cases := shipped(b)
	for _, c := range cases {
		if c.Line != 8 && c.Line != 10+1 && c.Line != 7 {
			continue
		}
		b.Run(c.Text[:20], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(c.Request)
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	p, cases := shipped(b)
	cache := map[Key]Decision{}
	r := cases[0].Request
	cache[p.Key(&r)] = p.Decide(r)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := cache[p.Key(&r)]; !ok {
			b.Fatal("not found")
		}
	}
}
