package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/mapper"
)

const objectColumns = `o.kind, o.key, o.token, o.doubt <> '{}', o.doubt_seq, o.known, o.remote_id, o.remote_key, o.stored_key, o.identity,
    o.parts, o.hashes, o.part_at, o.epoch, o.commit_lsn, o.tx_index`

// wanted begins a statement that looks objects up by name. Environment and kind come to the join as columns, see settleSQL.
const wanted = "with w as materialized (select distinct $1::text as environment, $2::text as kind, name from unnest($3::text[]) as w(name)) "

// ByRemoteKey finds objects by our name for them at NuORDER, as sent or as NuORDER stored it. The result maps each name
// asked for to the object that has it; bodies are not loaded.
func (s *Store) ByRemoteKey(ctx context.Context, environment string, kind mapper.Kind, names []string) (map[string]Object, error) {
	const sql = wanted + `select w.name, ` + objectColumns + ` from w join objects o
        on (o.environment, o.kind, o.remote_key) = (w.environment, w.kind, w.name) and o.remote_key <> ''
        union all select w.name, ` + objectColumns + ` from w join objects o
        on (o.environment, o.kind, o.stored_key) = (w.environment, w.kind, w.name) and o.stored_key <> o.remote_key and o.stored_key <> ''`
	return s.find(ctx, environment, sql, environment, kind, names)
}

// ByRemoteID finds objects by NuORDER's _id.
func (s *Store) ByRemoteID(ctx context.Context, environment string, kind mapper.Kind, ids []string) (map[string]Object, error) {
	const sql = wanted + `select o.remote_id, ` + objectColumns + ` from w join objects o
        on (o.environment, o.kind, o.remote_id) = (w.environment, w.kind, w.name) and o.remote_id <> ''`
	return s.find(ctx, environment, sql, environment, kind, ids)
}

// ByKey reads objects by key without owning them; those that were never touched are missing from the result.
func (s *Store) ByKey(ctx context.Context, environment string, kind mapper.Kind, keys []mapper.Key) (map[mapper.Key]Object, error) {
	const sql = wanted + `select o.key, ` + objectColumns + ` from w join objects o on (o.environment, o.kind, o.key) = (w.environment, w.kind, w.name)`
	found, err := s.find(ctx, environment, sql, environment, kind, keys)
	if err != nil {
		return nil, err
	}
	out := make(map[mapper.Key]Object, len(found))
	for k, o := range found {
		out[mapper.Key(k)] = o
	}
	return out, nil
}

// Known tells which of the documents are at NuORDER, by flow and key.
func (s *Store) Known(ctx context.Context, environment string, refs []mapper.Ref) (map[mapper.Ref]bool, error) {
	known := make(map[mapper.Ref]bool, len(refs))
	if len(refs) == 0 {
		return known, nil
	}
	kinds, keys := make([]string, len(refs)), make([]string, len(refs))
	for i, r := range refs {
		kinds[i], keys[i] = string(r.Flow.Kind()), string(r.Key)
	}
	rows, err := s.pool.Query(ctx, `with w as materialized (
            select $1::text as environment, w.* from unnest($2::text[], $3::text[]) with ordinality as w(kind, key, ord)
        ) select w.ord from w join objects o on (o.environment, o.kind, o.key) = (w.environment, w.kind, w.key) where o.known`, environment, kinds, keys)
	if err != nil {
		return nil, fmt.Errorf("look up %d parents: %w", len(refs), err)
	}
	var ord int64
	_, err = pgx.ForEachRow(rows, []any{&ord}, func() error { known[refs[ord-1]] = true; return nil })
	if err != nil {
		return nil, fmt.Errorf("look up %d parents: %w", len(refs), err)
	}
	return known, nil
}

// Parents reads those of the documents that are at NuORDER, as objects, by flow and key.
func (s *Store) Parents(ctx context.Context, environment string, refs []mapper.Ref) (map[mapper.Ref]Object, error) {
	found := make(map[mapper.Ref]Object, len(refs))
	keys := map[mapper.Flow][]mapper.Key{}
	for _, r := range refs {
		keys[r.Flow] = append(keys[r.Flow], r.Key)
	}
	for flow, list := range keys {
		objects, err := s.ByKey(ctx, environment, flow.Kind(), list)
		if err != nil {
			return nil, err
		}
		for key, o := range objects {
			if o.Known {
				found[mapper.Ref{Flow: flow, Key: key}] = o
			}
		}
	}
	return found, nil
}

func (s *Store) find(ctx context.Context, environment, sql string, args ...any) (map[string]Object, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("look up objects: %w", err)
	}
	defer rows.Close()
	found := map[string]Object{}
	for rows.Next() {
		name, o, err := scanObject(rows, environment)
		if err != nil {
			return nil, err
		}
		found[name] = o
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look up objects: %w", err)
	}
	return found, nil
}

func scanObject(rows pgx.Rows, environment string) (string, Object, error) {
	var (
		name                 string
		o                    Object
		identity             []byte
		parts                []string
		hashes               [][]byte
		at                   []time.Time
		epoch, commit, index int64
	)
	err := rows.Scan(&name, &o.Kind, &o.Key, &o.Token, &o.InDoubt, &o.doubtSeq, &o.Known, &o.RemoteID, &o.RemoteKey, &o.StoredKey, &identity,
		&parts, &hashes, &at, &epoch, &commit, &index)
	if err != nil {
		return "", o, fmt.Errorf("read an object: %w", err)
	}
	o.Environment, o.Parts = environment, makeParts(parts, hashes, at)
	o.Position = cdc.Position{Epoch: uint32(epoch), Commit: cdc.LSN(commit), Index: uint64(index)}
	if err := json.Unmarshal(identity, &o.Identity); err != nil {
		return "", o, fmt.Errorf("read the identity of an object: %w", err)
	}
	return name, o, nil
}

// Bodies loads the last delivered bodies of objects into their parts.
func (s *Store) Bodies(ctx context.Context, environment string, kind mapper.Kind, objects map[mapper.Key]*Object) error {
	keys := make([]mapper.Key, 0, len(objects))
	for k := range objects {
		keys = append(keys, k)
	}
	rows, err := s.pool.Query(ctx, wanted+`select b.key, b.part, b.body from w join bodies b
        on (b.environment, b.kind, b.key) = (w.environment, w.kind, w.name)`, environment, kind, keys)
	if err != nil {
		return fmt.Errorf("load bodies: %w", err)
	}
	var key mapper.Key
	var name string
	var packed []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &name, &packed}, func() error {
		o := objects[key]
		part, has := o.Parts[name]
		if !has {
			return nil
		}
		body, err := s.expand(packed)
		if err != nil {
			return err
		}
		part.Body = body
		o.Parts[name] = part
		return nil
	})
	if err != nil {
		return fmt.Errorf("load bodies: %w", err)
	}
	return nil
}
