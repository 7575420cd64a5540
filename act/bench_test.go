package act

import (
	"strings"
	"testing"
)

// What one decision costs: the gate asks once for each kind of statement,
// session and hour, and remembers it for the rest.
func BenchmarkDecide(b *testing.B) {
	p, cases := shipped(b)
	for _, c := range cases[:6] {
		request, _, _ := strings.Cut(c.Text, " ->")
		b.Run(strings.Join(strings.Fields(request), "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(c.Request)
			}
		})
	}
}

func BenchmarkMemo(b *testing.B) {
	p, cases := shipped(b)
	r := cases[0].Request
	var memo Memo
	b.ReportAllocs()
	for b.Loop() {
		memo.Decide(p, &r)
	}
}
