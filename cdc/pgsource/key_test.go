package pgsource_test

import (
	"slices"
	"strings"
	"testing"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
)

// Under replica identity full the log does not mark the key, and the catalog is of now: rows of then keep the key of then.
func TestKeyIsThatOfTheRelationAtItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.exec("create table seen (a int not null, b int not null, v text, unique (b, a))", "create table unseen (z int, a int, y text, b int, v text, primary key (b, a))", "alter table unseen drop z",
		"create table gone (id int primary key, v text)",
		"alter table seen replica identity full", "alter table unseen replica identity full", "alter table gone replica identity full")
	w.start()
	w.exec("insert into seen values (1, 2, 'first')", "insert into gone values (1, 'first')")
	w.await(2)
	_ = w.stop()
	w.exec( // all of it is behind the capture when it comes back
		"insert into seen values (3, 4, 'x')", "alter table seen rename b to c", "insert into seen values (5, 6, 'x')",
		"alter table seen add extra int", "update seen set v = 'y' where a = 5",
		"insert into unseen values (1, null, 2, 'x')", "alter table unseen rename b to c", "alter table unseen drop y", "alter table unseen add w int", "insert into unseen values (3, 4, 'x')",
		"insert into gone values (2, 'x')", "delete from gone where id = 1", "drop table gone")
	w.start()
	records := w.await(10)
	_ = w.stop()
	var got []string
	for _, r := range records {
		c, err := cdc.DecodeChange(&r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(c.Table+" "+string(r.Key)))
	}
	want := []string{
		`seen {"b":2,"a":1}`, `gone {"id":1}`, `seen {"b":4,"a":3}`, `seen {"c":6,"a":5}`, `seen {"c":6,"a":5}`,
		`unseen {"b":2,"a":1}`, `unseen {"c":4,"a":3}`, `gone {"id":2}`, `gone {"id":1}`, `{"id":1}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the keys are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
