package sensor

import "strings"

// LooksLike says whether a domain could be taken for another one that it is
// not: letters that look alike, a letter more, less or exchanged, the other's
// name as a word of its own, or as a subdomain. A subdomain of the other is
// the other's own. Both are in small letters.
func LooksLike(domain, real string) bool {
	if domain == real || strings.HasSuffix(domain, "."+real) || real == "" {
		return false
	}
	if strings.HasPrefix(domain, real+".") { // real.example.evil.example
		return true
	}
	label, of := nameOf(domain), nameOf(real)
	if len(of) < 4 {
		return false
	}
	if label == of { // under another top-level domain
		return true
	}
	if strings.Contains("-"+strings.ReplaceAll(domain, ".", "-")+"-", "-"+of+"-") {
		return true
	}
	a, b := skeleton(label), skeleton(of)
	if a == b {
		return true
	}
	most := 1
	if len(b) >= 10 {
		most = 2
	}
	return len(b) >= 5 && nearly(a, b, most)
}

// nameOf is the part of a domain that its owner chose. Second levels that
// registries keep for themselves, such as co.jp, are recognised by their
// length: no list of them is kept here.
func nameOf(domain string) string {
	parts := strings.Split(domain, ".")
	n := len(parts)
	switch {
	case n >= 3 && len(parts[n-1]) == 2 && len(parts[n-2]) <= 3:
		return parts[n-3]
	case n >= 2:
		return parts[n-2]
	}
	return domain
}

// skeleton writes letters that look alike in one way, and leaves out hyphens.
func skeleton(s string) string {
	s = strings.NewReplacer("rn", "m", "vv", "w", "cl", "d", "0", "o", "1", "l", "i", "l", "5", "s", "3", "e", "-", "").Replace(s)
	return s
}

// nearly says whether at most so many letters were added, left out, exchanged
// or swapped with their neighbour.
func nearly(a, b string, most int) bool {
	if max(len(a)-len(b), len(b)-len(a)) > most || len(a) > 63 || len(b) > 63 {
		return false
	}
	var rows [3][64]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, before, beyond := &rows[i%3], &rows[(i-1)%3], &rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(before[j]+1, row[j-1]+1, before[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], beyond[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)] <= most
}
