package sink

import (
	"testing"

	"nubridge/cdc"
	"nubridge/mapper"
)

func TestAReplayShowsItsPlanAndCallsOnlyForWhatIsNotInStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 2, keys(10)...)
	w.write(nil, 1, "nobody", "hopk3")
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	calls := w.counts(mapper.Products).Calls
	// Two documents change without an event, as after a gap that a person accepted.
	w.mu.Lock()
	w.docs["k1"] = doc{version: 7}
	delete(w.docs, "k2")
	records := append([]cdc.Record(nil), w.log[0]...)
	records = append(append(records, w.log[1]...), w.log[2]...)
	w.mu.Unlock()
	r, err := NewReplayer(w, w, w.store, testEnv, mapper.Products)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Keys(t.Context(), func(see func(*cdc.Record) error) error {
		for i := range records {
			if err := see(&records[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Judge(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	if plan.Records != 22 || len(plan.Keys) != 10 || plan.Routeless != 1 || plan.InStep != 8 || plan.Updates != 1 || plan.Archivals != 1 || plan.Calls() != 2 {
		t.Fatalf("got %+v", plan)
	}
	for range 2 {
		if err := r.Apply(t.Context(), plan, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both are sent", func() bool { return w.last(mapper.Products, "k1") == 7 && w.last(mapper.Products, "k2") == 0 })
	eventually(t, "all requests are answered", func() bool {
		b, err := w.store.Backlog(t.Context(), testEnv, mapper.Products)
		return err == nil && b.Requested == 0
	})
	if c := w.counts(mapper.Products); c.Calls != calls+2 || c.Sum() != c.Read {
		t.Fatalf("got %+v after %d calls", c, calls)
	}
}
