package pgsource

import (
	"slices"
	"strings"
)

// lighten leaves out the largest columns of a row, in both of its images, until it is within limit bytes as the server sent it, and
// gives their names with commas. The key stays: readers find the row by it.
func (rel *relation) lighten(before, after []cell, limit int) string {
	size := textBytes(before) + textBytes(after)
	lengths := make([]int, len(rel.columns))
	for _, cells := range [][]cell{before, after} {
		for i := range min(len(cells), len(lengths)) {
			lengths[i] += len(cells[i].text)
		}
	}
	var order []int
	for i, n := range lengths {
		if n > leastLeftOut && !slices.Contains(rel.key, i) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return lengths[b] - lengths[a] })
	var names []string
	for _, i := range order {
		if size <= limit {
			break
		}
		size -= lengths[i]
		names = append(names, rel.columns[i].name)
		for _, cells := range [][]cell{before, after} {
			if i < len(cells) && cells[i].kind == 't' {
				cells[i] = cell{kind: 'u'}
			}
		}
	}
	return strings.Join(names, ",")
}

// leastLeftOut is the length from which it helps to leave a value out: its placeholder is not much shorter.
const leastLeftOut = 64

// textBytes is how long the values of an image are in all.
func textBytes(cells []cell) int {
	n := 0
	for i := range cells {
		n += len(cells[i].text)
	}
	return n
}
