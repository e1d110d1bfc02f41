package mapper

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Groups are those of equal values in the order of their first rows, however the rows lie, and the rows' own order stays as it was.
func TestGroupsAreThoseOfEqualValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := NewRows([]Column{{Name: "a"}, {Name: "b"}})
		n, kinds := rapid.IntRange(0, 80).Draw(t, "rows"), rapid.IntRange(1, 40).Draw(t, "kinds")
		var names []string
		var index []int32
		for i := range n {
			kind := rapid.IntRange(0, kinds).Draw(t, "kind")
			if i > 0 && rapid.Bool().Draw(t, "as before") {
				names = append(names, names[i-1])
			} else {
				names = append(names, fmt.Sprint(kind))
			}
			value := [][]byte{[]byte(names[i][:1]), []byte(names[i][1:])}
			if len(names[i]) == 1 {
				value[1] = nil
			}
			r.Append(value)
			index = append(index, int32(i))
		}
		before := slices.Clone(index)
		var want [][]int32
		at := map[string]int{}
		for i, name := range names {
			if _, ok := at[name]; !ok {
				at[name] = len(want)
				want = append(want, nil)
			}
			want[at[name]] = append(want[at[name]], int32(i))
		}
		got := groups(r, index, []int{0, 1})
		if !slices.EqualFunc(got, want, slices.Equal[[]int32]) || !slices.Equal(index, before) {
			t.Fatalf("%v: got %v of %v, want %v", names, got, index, want)
		}
	})
}
