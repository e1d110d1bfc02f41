package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/mapper"
)

// Directory tells which document has which name at NuORDER while all documents of a flow are compared. It is as large as the flow, so
// that it lies in a temporary table of the ledger's database and not in memory. // I6
type Directory struct {
	conn *pgxpool.Conn
}

// Named is a document with its name at NuORDER.
type Named struct {
	Key  mapper.Key
	Name string
	// Unwanted tells that the document is not selected, so that nobody misses it at NuORDER.
	Unwanted bool
}

// NewDirectory makes an empty one, which holds a connection until it is closed.
func (s *Store) NewDirectory(ctx context.Context) (*Directory, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("make a directory of names: %w", err)
	}
	_, err = conn.Exec(ctx, "create temp table directory (key text not null, name text not null, folded text not null, unwanted boolean not null, seen boolean not null default false)")
	if err != nil {
		conn.Release()
		return nil, fmt.Errorf("make a directory of names: %w", err)
	}
	return &Directory{conn}, nil
}

// Add adds documents. Names are found after Index.
func (d *Directory) Add(ctx context.Context, list []Named) error {
	_, err := d.conn.CopyFrom(ctx, pgx.Identifier{"directory"}, []string{"key", "name", "folded", "unwanted"},
		pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
			n := list[i]
			return []any{string(n.Key), n.Name, strings.ToLower(n.Name), n.Unwanted}, nil
		}))
	if err != nil {
		return fmt.Errorf("fill the directory of names: %w", err)
	}
	return nil
}

// Index ends the filling and tells how many documents there are.
func (d *Directory) Index(ctx context.Context) (int, error) {
	var n int
	for _, sql := range []string{"create index on directory (folded)", "create index on directory (key)", "analyze directory"} {
		if _, err := d.conn.Exec(ctx, sql); err != nil {
			return 0, fmt.Errorf("index the directory of names: %w", err)
		}
	}
	if err := d.conn.QueryRow(ctx, "select count(*) from directory").Scan(&n); err != nil {
		return 0, fmt.Errorf("count the directory of names: %w", err)
	}
	return n, nil
}

// Find gives the documents that have the names, which NuORDER may have folded, and remembers that they were seen.
func (d *Directory) Find(ctx context.Context, names []string) (map[string]mapper.Key, error) {
	rows, err := d.conn.Query(ctx, `
        with found as (
            select distinct on (w.name) w.name, d.key from unnest($1::text[], $2::text[]) as w(name, folded) join directory d on d.folded = w.folded
            order by w.name, (d.name = w.name) desc, d.key
        ), seen as (
            update directory d set seen = true from found where d.key = found.key and not d.seen
        )
        select name, key from found`, names, lowered(names))
	if err != nil {
		return nil, fmt.Errorf("look names up: %w", err)
	}
	found := make(map[string]mapper.Key, len(names))
	var name string
	var key mapper.Key
	if _, err := pgx.ForEachRow(rows, []any{&name, &key}, func() error { found[name] = key; return nil }); err != nil {
		return nil, fmt.Errorf("look names up: %w", err)
	}
	return found, nil
}

func lowered(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}

// Rest gives documents that were not seen, in the order of their keys, after a key. Unwanted ones are left out unless asked for.
func (d *Directory) Rest(ctx context.Context, after mapper.Key, unwanted bool, limit int) ([]Named, error) {
	rows, err := d.conn.Query(ctx, "select key, name, unwanted from directory where key > $1 and not seen and (not unwanted or $2) order by key limit $3",
		string(after), unwanted, limit)
	if err != nil {
		return nil, fmt.Errorf("list what was not seen: %w", err)
	}
	rest, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Named])
	if err != nil {
		return nil, fmt.Errorf("list what was not seen: %w", err)
	}
	return rest, nil
}

// Close drops the directory and gives its connection back.
func (d *Directory) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := d.conn.Exec(ctx, "drop table directory"); err != nil {
		_ = d.conn.Conn().Close(ctx) // the session ends, and the table with it
	}
	d.conn.Release()
}
