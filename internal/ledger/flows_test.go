package ledger_test

import (
	"testing"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// A guard that still knows what was counted before a person resumed the flow stops nothing.
func TestAGuardStopsAFlowOnlyWhileSoMuchIsCounted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.Products)
	o := own(t, s, owning(time.Minute, "a")).Objects[0]
	settle(t, s, &ledger.Settling{Seq: 1, Settlements: []ledger.Settlement{delivered(o, "1")}})
	pause := func(p ledger.Pausing) bool {
		t.Helper()
		stands, err := s.Pause(t.Context(), env, mapper.Products, p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.FlowState(t.Context(), env, mapper.Products)
		if err != nil {
			t.Fatal(err)
		}
		if f.Paused != stands {
			t.Fatalf("said %t, the ledger holds %t", stands, f.Paused)
		}
		return stands
	}
	if pause(ledger.Pausing{Code: "guard_create", Action: "create", Limit: 2}) {
		t.Error("one create stops a flow that may make two")
	}
	if pause(ledger.Pausing{Code: "guard_archive", Action: "archive", Limit: 1}) {
		t.Error("a create counts as an archival")
	}
	if !pause(ledger.Pausing{Code: "guard_create", Action: "create", Limit: 1}) {
		t.Error("one create does not stop a flow that may make one")
	}
	if !pause(ledger.Pausing{Code: "guard_update", Action: "update", Limit: 1}) {
		t.Error("a flow that is paused already does not count as paused")
	}
	if f, err := s.FlowState(t.Context(), env, mapper.Products); err != nil || f.Code != "guard_create" {
		t.Errorf("the cause is %q, %v, want the first", f.Code, err)
	}
	if err := s.Resume(t.Context(), env, mapper.Products); err != nil {
		t.Fatal(err)
	}
	if pause(ledger.Pausing{Code: "guard_create", Action: "create", Limit: 1}) {
		t.Error("what was counted before the flow was resumed stops it again")
	}
	if !pause(ledger.Pausing{Code: "by_hand"}) {
		t.Error("a person cannot stop it")
	}
}
