package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/config"
	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/internal/telemetry"
)

// foreignWorld is an OMS that has nothing in common with the reference, the bridge beside it, and a NuORDER sandbox.
type foreignWorld struct {
	t     *testing.T
	world *sandbox.World
	pool  *pgxpool.Pool
	cfg   *config.Config
	b     *bridge
	g     *lifecycle.Group
}

// foreignOMS says which one it is: the folder in testdata with schema.sql, data.sql and mapping, and what its portal demands.
type foreignOMS struct {
	folder, database string
	schemas          map[string][]nuorder.Field
}

// newForeign starts the world without the bridge. The database's tables have no replica identities.
func newForeign(t *testing.T) *foreignWorld {
	return newForeignOf(t, foreignOMS{folder: "foreign", database: "loom"})
}

// newForeignOf does so for any of them. The mapping folder is a copy that the test may change.
func newForeignOf(t *testing.T, o foreignOMS) *foreignWorld {
	server := pgtest.Server(t, postgres.Config{})
	ctx := t.Context()
	w, err := sandbox.Start(ctx, sandbox.Config{Server: server, Schemas: o.schemas, Sizes: oms.Sizes{Seed: 1, Styles: 1, Colors: 1, SizesPerRun: 1, Customers: 1, PurchaseOrders: 1, OldOrders: 1, RecentOrders: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := server.CreateDatabase(ctx, o.database); err != nil {
		t.Fatal(err)
	}
	f := &foreignWorld{t: t, world: w, pool: pgtest.PoolOf(t, server.URL(o.database))}
	for _, name := range []string{"schema.sql", "data.sql"} {
		text, err := os.ReadFile("testdata/" + o.folder + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f.exec(string(text))
	}
	api := httptest.NewServer(http.HandlerFunc(f.api))
	t.Cleanup(api.Close)
	if f.cfg, err = demoConfig(w); err != nil {
		t.Fatal(err)
	}
	f.cfg.OMS.URL, f.cfg.Ledger.URL = config.NewSecret(server.URL(o.database)), config.NewSecret(server.URL(o.database))
	f.cfg.Capture.Name, f.cfg.Capture.Slot, f.cfg.Capture.Publication = o.database, "nubridge_"+o.database, "nubridge_"+o.database
	e := f.cfg.Environments["sandbox"]
	e.Mapping = t.TempDir()
	if err := os.CopyFS(e.Mapping, os.DirFS("testdata/"+o.folder+"/mapping")); err != nil {
		t.Fatal(err)
	}
	e.MappingFS, e.OMSAPI.URL = nil, api.URL
	return f
}

// edit changes a file of the mapping folder.
func (f *foreignWorld) edit(file, before, after string) {
	f.t.Helper()
	path := filepath.Join(f.cfg.Environments["sandbox"].Mapping, file)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), before) {
		f.t.Fatalf("%s does not hold %q (%v)", file, before, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), before, after, 1)), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// start starts the bridge.
func (f *foreignWorld) start() {
	f.t.Helper()
	log := telemetry.NewLogger(&testWriter{f.t}, "text", "warn")
	tel, err := telemetry.New(f.t.Context(), telemetry.Config{Sample: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	if f.b, err = assemble(f.t.Context(), f.cfg, tel, log); err != nil {
		f.t.Fatal(err)
	}
	f.g = lifecycle.NewGroup(log, grace)
	if err := f.b.start(f.g); err != nil {
		f.t.Fatal(err)
	}
}

// stop stops the bridge in order.
func (f *foreignWorld) stop() {
	if f.g != nil {
		f.g.Stop()
		f.g = nil
	}
}

func (f *foreignWorld) exec(sql string) {
	f.t.Helper()
	if _, err := f.pool.Exec(f.t.Context(), sql); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

func (f *foreignWorld) text(sql string, args ...any) string {
	f.t.Helper()
	var s string
	if err := f.pool.QueryRow(f.t.Context(), sql, args...).Scan(&s); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// brand gives the portal's id of a colour.
func (f *foreignWorld) brand(item, colour string) string {
	f.t.Helper()
	return f.text(`select "PortalId"::text from "Loom"."ItemColour" where "ItemNo" = $1 and "ColourNo" = $2`, item, colour)
}

// portal finds what NuORDER holds of a kind under a field's value; more than one is an error.
func (f *foreignWorld) portal(kind, field, value string) (any, error) {
	s, err := f.world.NuORDER.State("")
	if err != nil {
		return nil, err
	}
	list := map[string][]map[string]any{"products": s.Products, "companies": s.Companies, "orders": s.Orders, "inventory": s.Inventory, "pricesheets": s.Pricesheets}[kind]
	var found []map[string]any
	for _, d := range list {
		if fmt.Sprint(d[field]) == value {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("NuORDER has %d %s with %s %s", len(found), kind, field, value)
	}
	return found[0], nil
}

// wanted is one thing that NuORDER shall show in the end: JSON that the document contains, or nothing at all if empty.
type wanted struct{ kind, field, value, contains string }

func (f *foreignWorld) differs(w wanted) error {
	got, err := f.portal(w.kind, w.field, w.value)
	if w.contains == "" {
		if err == nil {
			return fmt.Errorf("NuORDER has %s %s, expected none", w.kind, w.value)
		}
		return nil
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(w.contains))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		f.t.Fatalf("%s: %v", w.contains, err)
	}
	if problem := lacks("", got, want); problem != "" {
		return fmt.Errorf("%s %s: %s", w.kind, w.value, problem)
	}
	return nil
}

// lacks names the first place where got does not contain want: objects may have more fields, lists must have as many elements.
func lacks(path string, got, want any) string {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, expected an object", path, got)
		}
		for k, v := range want {
			if p := lacks(path+"."+k, m[k], v); p != "" {
				return p
			}
		}
		return ""
	case []any:
		l, ok := got.([]any)
		if !ok || len(l) != len(want) {
			return fmt.Sprintf("%s is %v, expected %d elements", path, got, len(want))
		}
		for i := range want {
			if p := lacks(fmt.Sprintf("%s[%d]", path, i), l[i], want[i]); p != "" {
				return p
			}
		}
		return ""
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Sprintf("%s is %v, expected %v", path, got, want)
	}
	return ""
}

// await waits until NuORDER shows everything that is wanted, and fails with all that is not there in time.
func (f *foreignWorld) await(story string, all ...wanted) {
	f.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var problems []string
		for _, w := range all {
			if err := f.differs(w); err != nil {
				problems = append(problems, err.Error())
			}
		}
		if len(problems) == 0 {
			return
		}
		select {
		case <-deadline.C:
			f.t.Errorf("%s:\n%s", story, strings.Join(problems, "\n"))
			f.parked()
			return
		case <-tick.C:
		}
	}
}

func (f *foreignWorld) parked() {
	if f.g == nil {
		return
	}
	if err := listParked(f.t.Context(), std{out: &testWriter{f.t}}, f.b); err != nil {
		f.t.Error(err)
	}
}

// check runs the check and gives its findings of one severity.
func (f *foreignWorld) check(status string) []string {
	k := &checker{cfg: f.cfg}
	k.online(f.t.Context(), k.folders())
	var out []string
	for _, c := range k.all {
		if c.Status == status {
			out = append(out, c.Area+": "+strings.TrimSpace(c.Text+" "+c.Hint))
		}
	}
	slices.Sort(out)
	return out
}

// api is the foreign OMS's own way of taking orders.
func (f *foreignWorld) api(w http.ResponseWriter, r *http.Request) {
	answer, err := f.document(r)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *foreignWorld) document(r *http.Request) (any, error) {
	ctx := r.Context()
	if r.Method == http.MethodGet {
		hits := []map[string]any{}
		rows, err := f.pool.Query(ctx, `select "DocNo" from "Loom"."Document" where "Foreign Ref" = $1`, r.URL.Query().Get("ref"))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var no int64
			if err := rows.Scan(&no); err != nil {
				return nil, err
			}
			hits = append(hits, map[string]any{"no": no})
		}
		return map[string]any{"hits": hits}, rows.Err()
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var no int64
	err = f.pool.QueryRow(ctx, `
		with d as (select $1::jsonb as j), doc as (
			insert into "Loom"."Document" ("Client", "Kind", "DocNo", "State", "AccNo", "Currency", "ShipFrom", "ShipUntil", "TheirRef", "Foreign Ref")
			select (j->>'client')::int, 'SO', (select max("DocNo") + 1000 from "Loom"."Document"), 'released', (j->>'account')::int, j->>'currency', (j->>'from')::date, (j->>'until')::date, j->>'theirRef', j->>'ref'
			from d returning *
		), lines as (
			insert into "Loom"."DocLine" ("Client", "Kind", "DocNo", "Pos", "ItemNo", "ColourNo", "Store", "N1", "N2", "N3", "Each")
			select doc."Client", doc."Kind", doc."DocNo", p.n, b."ItemNo", b."ColourNo", p.v->>'store',
				case b."Slot" when 1 then (p.v->>'pieces')::int else 0 end, case b."Slot" when 2 then (p.v->>'pieces')::int else 0 end,
				case b."Slot" when 3 then (p.v->>'pieces')::int else 0 end, (p.v->>'each')::numeric
			from d, doc, jsonb_array_elements(d.j->'positions') with ordinality as p(v, n) join "Loom"."Barcode" b on b."Ean" = p.v->>'ean'
		)
		select "DocNo" from doc`, string(text)).Scan(&no)
	return map[string]any{"ok": true, "document": map[string]any{"no": no}}, err
}
