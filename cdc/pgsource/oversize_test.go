package pgsource_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nubridge/cdc/pgsource"
)

// oversized gives the feed with the columns that were left out behind each record.
func (w *world) oversized(columns ...string) []string {
	var out []string
	for _, r := range w.feed.all() {
		text := line(w.t, r, columns...)
		if left := w.feed.left[r.Position.String()]; left != "" {
			text += " without " + left
		}
		out = append(out, text)
	}
	return out
}

func TestRowsBeyondTheBoundComeWithoutTheirLargestValues(t *testing.T) { // I6
	t.Parallel()
	w := newWorld(t)
	w.cfg.RowBytes, w.cfg.ChunkRows = 10_000, 2
	big := func(n int) string { return fmt.Sprintf("repeat('x', %d)", n) }
	w.exec("create table item (id bigint primary key, name text, a text, b bytea, c jsonb)",
		"insert into item values (1, 'loaded', "+big(8000)+", convert_to("+big(3000)+", 'UTF8'), '{}'), (2, 'small', 'x', '\\x00', null), (3, 'loaded', "+big(20000)+", '\\x00', to_jsonb("+big(30000)+"))",
		"alter table item replica identity full")
	w.start()
	w.await(3)
	w.loaded()
	w.exec("insert into item values (4, 'streamed', "+big(8000)+", convert_to("+big(3000)+", 'UTF8'), '{}')",
		"update item set name = 'changed' where id = 4", "delete from item where id = 3", "insert into item values (5, 'next', 'x', '\\x00', null)")
	w.await(3 + 5)
	_ = w.stop()
	got := w.oversized("id", "name", "a", "b", "c")
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], strings.Repeat("x", 8000), "8000x")
		got[i] = strings.ReplaceAll(got[i], strings.Repeat("eHh4", 1000), "3000x")
	}
	want := []string{
		"r 1 loaded unavailable 3000x {} without a", "r 2 small x AA== null", "r 3 loaded unavailable AA== unavailable without c,a",
		"c 4 streamed unavailable 3000x {} without a", "u 4 changed unavailable unavailable {} without a,b", "d 3 loaded unavailable AA== unavailable without c,a", `x {"id":3}`, "c 5 next x AA== null",
	}
	if !slices.Equal(got, want) {
		t.Errorf("feed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// One bytea of half a gigabyte is more than a gigabyte as text, which no message of the server can hold.
func TestRowThatTheServerCannotSendHaltsAndIsPassedByANewSlot(t *testing.T) { // I8
	t.Parallel()
	w := newWorld(t)
	w.cfg.StatusInterval = 5 * time.Second // the server says nothing while it makes text of the row
	w.exec("create table item (id bigint primary key, name text, data bytea)", "insert into item values (1, 'first', '\\x00'), (2, 'second', '\\x00')")
	w.start()
	w.await(2)
	w.loaded()
	_ = w.stop()
	w.exec("insert into item values (3, 'before', '\\x00')", "delete from item where id = 1",
		"insert into item select 4, 'giant', convert_to(repeat('x', 540000000), 'UTF8')", "insert into item values (5, 'behind', '\\x00')")
	w.start()
	w.await(2 + 3) // what stands before it goes out
	if err := w.ended(); err == nil {
		t.Fatal("the capture did not halt")
	} else {
		wantHalt(t, err, pgsource.CodeRowTooLarge)
		if !strings.Contains(err.Error(), "accept-gap") || !strings.Contains(err.Error(), "LSN") {
			t.Errorf("got %q, want the place in the log and the command", err)
		}
	}
	if err := pgsource.DropSlot(t.Context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	if err := w.store.AcceptGap(t.Context(), "test", "the row cannot be sent"); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.await(5 + 4)
	w.loaded()
	w.exec("insert into item values (6, 'live', '\\x00')")
	w.await(5 + 5)
	_ = w.stop()
	want := []string{
		"r 1 first", "r 2 second", "c 3 before", "d 1 null", `x {"id":1}`,
		"r 2 second", "r 3 before", "r 4 giant without data", "r 5 behind", "c 6 live",
	}
	if got := w.oversized("id", "name"); !slices.Equal(got, want) {
		t.Errorf("feed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
