package console

import "strings"

// A DiffLine is a line of a text beside its earlier version.
type DiffLine struct {
	Sign string `json:"sign"` // "+" new, "-" gone, " " the same, "…" lines left out
	Text string `json:"text"`
}

// mostCompared bounds the work: beyond it a text is shown as all new.
const mostCompared = 4 << 20 // pairs of lines

// difference compares two texts line by line, by their longest common
// subsequence, and keeps three lines around each change.
func difference(before, after string) (lines []DiffLine, added, removed int) {
	if before == after {
		return nil, 0, 0
	}
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, "\n")
	}
	a, b := split(before), split(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	x, y := a[head:len(a)-tail], b[head:len(b)-tail]
	var all []DiffLine
	for _, s := range a[:head] {
		all = append(all, DiffLine{" ", s})
	}
	all = append(all, changed(x, y)...)
	for _, s := range a[len(a)-tail:] {
		all = append(all, DiffLine{" ", s})
	}
	near := func(n int) bool {
		for k := max(0, n-3); k <= min(len(all)-1, n+3); k++ {
			if all[k].Sign != " " {
				return true
			}
		}
		return false
	}
	for n, l := range all {
		switch l.Sign {
		case "+":
			added++
		case "-":
			removed++
		}
		if near(n) {
			lines = append(lines, l)
		} else if len(lines) == 0 || lines[len(lines)-1].Sign != "…" {
			lines = append(lines, DiffLine{"…", ""})
		}
	}
	return lines, added, removed
}

// changed is the difference of two lists that share neither beginning nor end.
func changed(x, y []string) (lines []DiffLine) {
	if len(x)*len(y) > mostCompared {
		for _, s := range x {
			lines = append(lines, DiffLine{"-", s})
		}
		for _, s := range y {
			lines = append(lines, DiffLine{"+", s})
		}
		return lines
	}
	// common[i][j] is the length of the longest common subsequence of x[i:], y[j:].
	width := len(y) + 1
	common := make([]int32, (len(x)+1)*width)
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			lines = append(lines, DiffLine{" ", x[i]})
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && common[(i+1)*width+j] >= common[i*width+j+1]:
			lines = append(lines, DiffLine{"-", x[i]})
			i++
		default:
			lines = append(lines, DiffLine{"+", y[j]})
			j++
		}
	}
	return lines
}
