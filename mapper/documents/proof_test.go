package documents_test

import (
	"context"
	"testing"

	"nubridge/cdc"
	"nubridge/internal/sandbox/oms"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// TestReadIsNeverOlderThanAsked holds a source transaction open: its key must wait alone until the snapshot sees it.
func TestReadIsNeverOlderThanAsked(t *testing.T) {
	t.Parallel()
	pool, m := reference(t, oms.Sizes{Seed: 1, Styles: 2, Colors: 1, Customers: 2, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	var xid uint64
	if err := tx.QueryRow(t.Context(), `update oms.styles set description_1 = 'new' where style_id = 1 returning pg_current_xact_id()::text::bigint`).Scan(&xid); err != nil {
		t.Fatal(err)
	}
	wants := []mapper.Want{{Key: "1", XID: xid}, {Key: "2"}, {Key: "1"}, {Key: "999999", XID: xid}}
	read := func() []mapper.Read {
		reads, err := reader.Read(t.Context(), mapper.Products, wants)
		if err != nil {
			t.Fatal(err)
		}
		return reads
	}
	got := read()
	if !got[0].NotYetVisible || got[0].Document != nil || !got[3].NotYetVisible {
		t.Errorf("before the commit: got %+v, want not yet visible", got[0])
	}
	if got[1].NotYetVisible || got[1].Document == nil || got[2].NotYetVisible || got[2].Document == nil {
		t.Error("a key that needs no proof waits too")
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = read()
	if got[0].NotYetVisible || got[0].Document == nil {
		t.Fatal("after the commit the key still waits")
	}
	if got[3].NotYetVisible || got[3].Document != nil {
		t.Error("a key whose row is gone must be visible and without a document")
	}
	b, err := m.Body(mapper.Products, "1", got[0].Document)
	if err != nil || !contains(b.JSON, `"description":"new `) {
		t.Errorf("the document is older than asked: %s", b.JSON)
	}
}

// TestOlderEpochNeedsNoProof reads for a record of an epoch whose xids mean nothing any more.
func TestOlderEpochNeedsNoProof(t *testing.T) {
	t.Parallel()
	pool, m := reference(t, oms.Sizes{Seed: 1, Styles: 2, Colors: 1, Customers: 2, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{Now: func() (uint32, int32) { return 3, 1 }})
	if err != nil {
		t.Fatal(err)
	}
	future := uint64(1) << 40
	reads, err := reader.Read(t.Context(), mapper.Products, []mapper.Want{{Key: "1", XID: future, Epoch: 2, Commit: cdc.LSN(1) << 50}, {Key: "2", XID: future, Epoch: 3}})
	if err != nil {
		t.Fatal(err)
	}
	if reads[0].NotYetVisible || reads[0].Document == nil {
		t.Error("a record of an older epoch waits")
	}
	if !reads[1].NotYetVisible {
		t.Error("a record of the present epoch is not proven")
	}
}

// TestBatchesOfManyKeysReadAll reads more keys than one query takes, some twice and some that do not exist.
func TestBatchesOfManyKeysReadAll(t *testing.T) {
	t.Parallel()
	pool, m := reference(t, oms.Sizes{Seed: 1, Styles: 30, Colors: 4, Customers: 2, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{BatchKeys: 7})
	if err != nil {
		t.Fatal(err)
	}
	wants := keys(t, pool, "select style_color_id::text from oms.style_colors order by 1")
	wants = append(wants, wants[3], mapper.Want{Key: "0"})
	reads, err := reader.Read(t.Context(), mapper.Products, wants)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reads {
		if r.Key != wants[i].Key || (r.Document == nil) != (r.Key == "0") {
			t.Errorf("read %d: key %s, want %s; document %v", i, r.Key, wants[i].Key, r.Document != nil)
			continue
		}
		if r.Document == nil {
			continue
		}
		if n := len(r.Document.Parts()[0].Index); n != 6 {
			t.Errorf("key %s has %d sizes, want 6", r.Key, n)
		}
	}
}

func contains(text []byte, s string) bool {
	for i := 0; i+len(s) <= len(text); i++ {
		if string(text[i:i+len(s)]) == s {
			return true
		}
	}
	return false
}
