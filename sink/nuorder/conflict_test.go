package nuorder_test

import (
	"testing"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

const (
	// nobody is an _id that the portal has nothing under.
	nobody  = "feedfeedfeedfeedfeedfeed"
	company = `{"name":"Acme","code":"C-1","currency_code":"USD","addresses":[{"type":"both","line_1":"1 Way","country":"US"}]}`
)

// TestConflictWithADocumentThatIsOursAdoptsIt answers a create with 409: whether the portal names an _id that it shows, one that it
// does not, or none, the document that has our name is updated.
func TestConflictWithADocumentThatIsOursAdoptsIt(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"named": "", "unknown": nobody, "unnamed": "-"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, nil)
			for _, c := range []struct {
				flow      mapper.Flow
				path      string
				key, body string
			}{
				{mapper.Products, "/api/product/new", "B-1", product("one", "")},
				{mapper.Customers, "/api/company/new", "C-1", company},
			} {
				there := w.must(c.flow, "before", c.key, c.body, ledger.Delivered).Object.RemoteID
				w.forgetLedger()
				told := id
				if told == "" {
					told = there
				}
				answer := `{"code":409,"message":"exists","_id":"` + told + `"}`
				if id == "-" {
					answer = `{"code":409,"message":"exists"}`
				}
				w.conflict.Store(&conflict{"PUT", c.path, answer})
				got := w.must(c.flow, "1", c.key, c.body, ledger.Delivered).Object
				if got.RemoteID != there || !got.Known {
					t.Errorf("%s: adopted %q, want %q", c.flow, got.RemoteID, there)
				}
			}
		})
	}
}

// TestConflictWithADocumentThatIsNotShownIsTriedAgain is no end for the key: the document may appear, or the conflict pass.
func TestConflictWithADocumentThatIsNotShownIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for _, c := range []struct {
		flow            mapper.Flow
		path, key, body string
	}{{mapper.Products, "/api/product/new", "B-1", product("one", "")}, {mapper.Customers, "/api/company/new", "C-1", company}} {
		w.conflict.Store(&conflict{"PUT", c.path, `{"code":409,"message":"exists","_id":"` + nobody + `"}`})
		if _, err := w.deliver(c.flow, "1", c.key, c.body); fault.KindOf(err) != fault.Retry || fault.CodeOf(err) != nuorder.CodeConflict {
			t.Errorf("%s: %v", c.flow, err)
		}
		w.must(c.flow, "1", c.key, c.body, ledger.Delivered)
	}
}

// TestAnObjectThatHasAnotherIDByNowIsFollowed updates what the ledger knows under an _id of before, and the portal under another.
func TestAnObjectThatHasAnotherIDByNowIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for _, c := range []struct {
		flow            mapper.Flow
		path, key, body string
	}{{mapper.Products, "/api/product/", "B-1", product("one", "")}, {mapper.Customers, "/api/company/", "C-1", company}} {
		there := w.must(c.flow, "1", c.key, c.body, ledger.Delivered).Object.RemoteID
		w.forgetLedger()
		o := w.object(c.flow, "1")
		o.Known, o.RemoteID, o.RemoteKey = true, nobody, c.key
		w.objects.mu.Lock()
		w.objects.objects[o.ObjectID] = o
		w.objects.mu.Unlock()
		w.conflict.Store(&conflict{"POST", c.path + nobody, `{"code":409,"message":"exists","_id":"` + there + `"}`})
		if got := w.must(c.flow, "1", c.key, c.body, ledger.Delivered).Object.RemoteID; got != there {
			t.Errorf("%s: followed to %q, want %q", c.flow, got, there)
		}
	}
}

// forgetLedger loses all that is known of objects.
func (w *world) forgetLedger() {
	w.objects.mu.Lock()
	defer w.objects.mu.Unlock()
	clear(w.objects.objects)
}
