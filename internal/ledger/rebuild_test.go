package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// TestRebuildRecordsWhatNobodyTouchedMeanwhile records objects that were read from NuORDER: new ones, and none that someone owns, has
// settled since, or is in doubt.
func TestRebuildRecordsWhatNobodyTouchedMeanwhile(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	join(t, s, mapper.Products)
	before := own(t, s, owning(time.Minute, "settled before", "owned", "in doubt", "settled since"))
	byKey := map[mapper.Key]ledger.Object{}
	for _, o := range before.Objects {
		byKey[o.Key] = o
	}
	m := delivered(byKey["settled before"], "old")
	settle(t, s, &ledger.Settling{Seq: 1, Settlements: []ledger.Settlement{m}})
	doubtful := delivered(byKey["in doubt"], "old")
	doubtful.Doubt = ledger.KeepDoubt
	settle(t, s, &ledger.Settling{Seq: 2, Settlements: []ledger.Settlement{doubtful}})
	since, err := s.Clock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, &ledger.Settling{Seq: 3, Settlements: []ledger.Settlement{delivered(byKey["settled since"], "old")}})

	seen := func(key mapper.Key, differs bool) ledger.Compared {
		o := ledger.Object{
			ObjectID: ledger.ObjectID{Environment: env, Kind: mapper.Product, Key: key}, Known: true, RemoteID: "r-" + string(key),
			RemoteKey: "B-" + string(key), StoredKey: "b-" + string(key), Identity: map[string]string{"size:S": "1"},
		}
		if !differs {
			o.Parts = map[string]ledger.Part{"body": {Hash: sha256.Sum256([]byte("new")), Body: []byte("new"), At: time.Now()}}
		}
		return ledger.Compared{Object: o, Differs: differs}
	}
	took, err := s.Rebuild(ctx, env, mapper.Products, since, []ledger.Compared{
		seen("new", false), seen("new and other", true), seen("settled before", true), seen("owned", false), seen("in doubt", false), seen("settled since", false),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(slices.Sorted(maps.Keys(took))); got != "[new new and other settled before]" {
		t.Errorf("recorded %v", got)
	}
	now, err := s.ByKey(ctx, env, mapper.Product, []mapper.Key{"new", "new and other", "settled before", "owned", "settled since"})
	if err != nil {
		t.Fatal(err)
	}
	if o := now["new"]; !o.Known || o.InDoubt || o.RemoteID != "r-new" || o.StoredKey != "b-new" || o.Identity["size:S"] != "1" ||
		o.Parts["body"].Hash != sha256.Sum256([]byte("new")) {
		t.Errorf("new: %+v", o)
	}
	o := now["new"]
	if err := s.Bodies(ctx, env, mapper.Product, map[mapper.Key]*ledger.Object{"new": &o}); err != nil || string(o.Parts["body"].Body) != "new" {
		t.Errorf("the body of new: %q, %v", o.Parts["body"].Body, err)
	}
	if o := now["new and other"]; !o.Known || !o.InDoubt || o.RemoteID != "r-new and other" || len(o.Parts) > 0 {
		t.Errorf("new and other: %+v", o)
	}
	if o := now["settled before"]; !o.InDoubt || o.RemoteID != "r-settled before" || o.Parts["body"].Hash != sha256.Sum256([]byte("old")) {
		t.Errorf("settled before: %+v", o)
	}
	if o := now["owned"]; o.Known || o.RemoteID != "" {
		t.Errorf("owned: %+v", o)
	}
	if o := now["settled since"]; o.RemoteID != "id-settled since" {
		t.Errorf("settled since: %+v", o)
	}
	asked, err := s.Claim(ctx, env, mapper.Products, "a", 10, held)
	if err != nil {
		t.Fatal(err)
	}
	var keys []mapper.Key
	for _, r := range asked {
		keys = append(keys, r.Key)
	}
	if slices.Sort(keys); !slices.Equal(keys, []mapper.Key{"new and other", "settled before"}) {
		t.Errorf("asked for %v", keys)
	}
}

// TestADirectoryFindsDocumentsByNamesThatWereFolded prefers the exact name, and tells what was not seen.
func TestADirectoryFindsDocumentsByNamesThatWereFolded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	d, err := s.NewDirectory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.Add(ctx, []ledger.Named{{"1", "AB-1", false}, {"2", "ab-1", false}, {"3", "CD-1", false}, {"4", "EF-1", false}, {"5", "GH-1", true}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.Index(ctx); err != nil || n != 5 {
		t.Fatalf("%d documents, %v", n, err)
	}
	found, err := d.Find(ctx, []string{"ab-1", "cd-1", "zz"})
	if err != nil || !maps.Equal(found, map[string]mapper.Key{"ab-1": "2", "cd-1": "3"}) {
		t.Errorf("found %v, %v", found, err)
	}
	for unwanted, want := range map[bool]string{false: "[1 4]", true: "[1 4 5]"} {
		rest, err := d.Rest(ctx, "", unwanted, 10)
		if err != nil {
			t.Fatal(err)
		}
		var keys []mapper.Key
		for _, r := range rest {
			keys = append(keys, r.Key)
		}
		if fmt.Sprint(keys) != want {
			t.Errorf("unwanted %v: the rest is %v, want %s", unwanted, keys, want)
		}
	}
}
