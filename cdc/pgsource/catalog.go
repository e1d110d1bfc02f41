package pgsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
)

// catalog answers questions about tables and types. It is safe for use by several goroutines.
type catalog struct {
	mu    sync.Mutex
	adm   *admin
	types map[uint32]typeFacts
	// past gives what the schema history knows of a type, for those that are gone by now; nil when it knows nothing.
	past func(ctx context.Context, oid uint32) ([]byte, error)
	// pastKey gives the key that the schema history knows of a relation's columns, nil when it knows none.
	pastKey func(ctx context.Context, w wireRelation, at cdc.LSN) ([]string, error)
}

// compile prepares a relation for encoding.
func (c *catalog) compile(ctx context.Context, w wireRelation, prefix string, at cdc.LSN) (*relation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := make([]kind, len(w.columns))
	types := make([][]typeFacts, len(w.columns))
	for i, col := range w.columns {
		k, err := resolveKind(col.typeID, col.mod, func(oid uint32) (typeFacts, error) {
			f, err := c.lookup(ctx, oid)
			types[i] = append(types[i], f)
			return f, err
		})
		if err != nil {
			return nil, err
		}
		if k.enc == encMoney || k.elem == encMoney {
			k.mod = c.adm.cents
		}
		kinds[i] = k
	}
	names, err := c.keyAt(ctx, w, at)
	if err != nil {
		return nil, err
	}
	rel := compileRelation(w, prefix, keyOrder(w, names), kinds)
	rel.types = types
	return rel, nil
}

// lookup finds a type, one that is gone by now in the history; one that is nowhere is taken for unknown.
func (c *catalog) lookup(ctx context.Context, oid uint32) (typeFacts, error) {
	if f, ok := c.types[oid]; ok {
		return f, nil
	}
	f := typeFacts{OID: oid, Type: "b"}
	err := c.adm.conn.QueryRow(ctx, `
		select t.typname, t.typtype::text, t.typbasetype, t.typtypmod, case when t.typcategory = 'A' then t.typelem else 0 end
		from pg_type t where t.oid = $1`, oid).Scan(&f.Name, &f.Type, &f.Base, &f.BaseMod, &f.Elem)
	switch {
	case err == nil:
	case !errors.Is(err, pgx.ErrNoRows):
		return f, classify(fmt.Sprintf("look up type %d", oid), err)
	case c.past == nil:
		return f, nil
	default:
		known, err := c.past(ctx, oid)
		if err != nil || known == nil {
			return f, err
		}
		if err := json.Unmarshal(known, &f); err != nil {
			return f, fmt.Errorf("read type %d from the schema history: %w", oid, err)
		}
	}
	c.types[oid] = f
	return f, nil
}

// keyOf gives the columns of the primary key in its order, else of the first unique index by name without expressions.
func (c *catalog) keyOf(ctx context.Context, relation uint32) ([]string, error) {
	rows, err := c.adm.conn.Query(ctx, `
		with best as (
			select i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts
			from pg_index i join pg_class x on x.oid = i.indexrelid
			where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
			order by i.indisprimary desc, x.relname limit 1)
		select a.attname
		from best, unnest(best.indkey::int2[]) with ordinality k(attnum, n)
		join pg_attribute a on a.attrelid = $1 and a.attnum = k.attnum
		where k.n <= best.indnkeyatts order by k.n`, relation)
	if err != nil {
		return nil, classify("look up key", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return names, classify("look up key", err)
}

// schemaVersion is the shape of a relation for the schema history.
func schemaVersion(rel *relation, from cdc.LSN) cdc.SchemaVersion {
	w := rel.wireRelation
	type column struct {
		Name string `json:"name"`
		Type uint32 `json:"type"`
		Mod  int32  `json:"mod"`
		Key  bool   `json:"key,omitempty"`
		// InKey is the column's place in the key, from 1 on; Key is what the log marked.
		InKey int `json:"in_key,omitempty"`
		// Types are those of the column that not every server has, with what they are made of.
		Types []typeFacts `json:"types,omitempty"`
	}
	columns := make([]column, 0, len(w.columns))
	for i, c := range w.columns {
		columns = append(columns, column{c.name, c.typeID, c.mod, c.key, slices.Index(rel.key, i) + 1, rel.types[i]})
	}
	text, err := json.Marshal(columns)
	if err != nil {
		text = []byte("[]")
	}
	return cdc.SchemaVersion{Schema: w.schema, Table: w.table, From: from, Columns: text}
}

// widener gives 32-bit transaction ids their epoch.
type widener struct{ ref uint64 }

// newWidener takes the server's next xid as the reference.
func newWidener(ctx context.Context, adm *admin) (*widener, error) {
	w := &widener{}
	err := adm.conn.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&w.ref)
	return w, classify("ask for the current transaction id", err)
}

// widen gives the xid8 nearest to the newest one seen; xids of the log lie within two billion of it.
func (w *widener) widen(xid uint32) uint64 {
	wide := w.ref&^0xffffffff | uint64(xid)
	switch {
	case wide > w.ref+1<<31 && wide >= 1<<32:
		wide -= 1 << 32
	case wide+1<<31 < w.ref:
		wide += 1 << 32
	}
	w.ref = max(w.ref, wide)
	return wide
}
