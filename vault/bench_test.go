package vault_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"sekisho/disk"
	"sekisho/vault"
)

const million = 1_000_000

func filled(b *testing.B) (*vault.Vault, []int64) {
	v := open(b, config(b.TempDir(), disk.OS{}))
	s := v.Space("member")
	keys := make([]int64, million)
	for i := range keys {
		keys[i] = 100_000_000 + int64(i)*7
		s.OfInt(keys[i])
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return v, keys
}

func BenchmarkOfIntExisting1M(b *testing.B) {
	v, keys := filled(b)
	s := v.Space("member")
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			s.OfInt(keys[i%million])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(million); pb.Next(); i++ {
				s.OfInt(keys[i%million])
			}
		})
	})
}

func BenchmarkOfTextExisting1M(b *testing.B) {
	v := open(b, config(b.TempDir(), disk.OS{}))
	s := v.Space("member")
	keys := make([][]byte, million)
	for i := range keys {
		keys[i] = []byte("JL" + string(rune('A'+i%26)) + string(rand.N(rune(90000))+40) + "x")
		keys[i] = append(keys[i], byte(i), byte(i>>8), byte(i>>16))
		s.OfText(keys[i])
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s.OfText(keys[i%million])
	}
}

func BenchmarkOfIntNew(b *testing.B) {
	s := open(b, config(b.TempDir(), disk.OS{})).Space("member")
	b.ReportAllocs()
	for i := range b.N {
		s.OfInt(int64(i))
	}
}

func BenchmarkFlush(b *testing.B) {
	v := open(b, config(b.TempDir(), disk.OS{}))
	s := v.Space("member")
	b.Run("nothing", func(b *testing.B) {
		for range b.N {
			v.Flush()
		}
	})
	n := int64(0)
	b.Run("one", func(b *testing.B) {
		for range b.N {
			n++
			s.OfInt(n)
			v.Flush()
		}
	})
	b.Run("million", func(b *testing.B) {
		for range b.N {
			for range million {
				n++
				s.OfInt(n)
			}
			v.Flush()
		}
	})
}

func BenchmarkOpen1M(b *testing.B) {
	c := config(b.TempDir(), disk.OS{})
	v := open(b, c)
	for i := range million {
		v.Space("member").OfInt(100_000_000 + int64(i)*7)
	}
	flush(b, v)
	v.Close()
	info, _ := os.Stat(filepath.Join(c.Dir, "vault"))
	b.ReportMetric(float64(info.Size())/million, "B/row")
	for range b.N {
		v, err := vault.Open(c)
		if err != nil {
			b.Fatal(err)
		}
		v.Close()
	}
}

func BenchmarkRoster1M(b *testing.B) {
	v := open(b, config(b.TempDir(), disk.OS{}))
	rows := people(0, million)
	b.Run("write", func(b *testing.B) {
		for range b.N {
			writeRoster(b, v, rows)
		}
	})
	b.Run("read", func(b *testing.B) {
		for range b.N {
			if _, err := v.Roster("member"); err != nil {
				b.Fatal(err)
			}
		}
	})
	r, err := v.Roster("member")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			r.FindBy(0, rows[i*7919%million].Match[0])
		}
	})
}
