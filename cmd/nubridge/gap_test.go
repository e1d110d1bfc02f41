package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"nubridge/cdc/pgsource"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/migrations"
)

// What the log holds cannot be compared with anything recorded: only the instance that met it knows.
func TestHaltThatAcceptGapMendsIsAGap(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	store, err := ledger.Open(context.Background(), url, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	for _, c := range []struct{ code, state, mend, want string }{
		{pgsource.CodeRowTooLarge, "halted", "go on behind it with: nubridge accept-gap --reason TEXT", pgsource.CodeRowTooLarge},
		{pgsource.CodeRowTooLarge, "halted", "make the row smaller", ""},
		{pgsource.CodeRowTooLarge, "working", "nubridge accept-gap", ""},
		{"sequence_hole", "halted", "accept the gap with: nubridge accept-gap --reason TEXT", "sequence_hole"},
	} {
		text, err := json.Marshal(instanceState{Instance: "one", Parts: []partReport{{Part: "capture", State: c.state, Code: c.code, Cause: "the cause", Mend: c.mend, Since: time.Now()}}})
		if err == nil {
			err = store.Report(t.Context(), "one", text)
		}
		if err != nil {
			t.Fatal(err)
		}
		gap, err := standing(t.Context(), store)
		if err != nil || (gap != nil) != (c.want != "") || gap != nil && (fault.CodeOf(gap) != c.want || gap.Error() != "the cause") {
			t.Errorf("%+v: got %v, %v", c, gap, err)
		}
	}
}
