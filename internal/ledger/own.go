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

// Owning asks for leases.
type Owning struct {
	Environment string
	Kind        mapper.Kind
	// Flow tells whose parked keys are looked up.
	Flow mapper.Flow
	// Part is what the owner may change, see PartOf; it is marked in doubt until it is settled.
	Part string
	Keys []mapper.Key
	// Lease is how long the objects are owned, by the database's clock.
	Lease time.Duration
	// Owner names the instance, for people.
	Owner string
}

// Owned is what came of it.
type Owned struct {
	// Objects are now owned by the caller. InDoubt tells the doubt as it was before.
	Objects []Object
	// Taken are owned by someone else, with what is left of their lease.
	Taken map[mapper.Key]time.Duration
	// Parked are the hashes of rejected bodies, of those keys that are parked.
	Parked map[mapper.Key][]byte
	// Deadline is when the leases end, by this machine's clock and never later than by the database's.
	Deadline time.Time
}

// PartOf names the part of its remote object that a flow delivers. Flows of orders may keep further parts.
func PartOf(flow mapper.Flow) string {
	switch flow {
	case mapper.Inventory:
		return "stock"
	case mapper.Shipments:
		return "shipments"
	default:
		return "body"
	}
}

const ownSQL = `
with want as (
    select $1::text as environment, $2::text as kind, key from unnest($3::text[]) as w(key) order by key
), took as (
    insert into objects as o (environment, kind, key, lease_until, owner, doubt)
    select $1, $2, key, clock_timestamp() + make_interval(secs => $4), $5, array[$6::text] from want
    on conflict (environment, kind, key) do update set
        token = o.token + 1,
        lease_until = clock_timestamp() + make_interval(secs => $4),
        owner = $5,
        was_doubt = $6 = any(o.doubt) or '*' = any(o.doubt),
        doubt = array_remove(o.doubt, $6) || $6::text
    where o.lease_until is null or o.lease_until <= clock_timestamp()
    returning o.*
)
select want.key, took.key is not null, coalesce(extract(epoch from o.lease_until - clock_timestamp()), 0)::float8,
    took.token, took.was_doubt, took.doubt_seq, took.known, took.remote_id, took.remote_key, took.stored_key, took.identity,
    took.parts, took.hashes, took.part_at, took.epoch, took.commit_lsn, took.tx_index
from want
left join took on took.key = want.key
left join objects o on took.key is null and (o.environment, o.kind, o.key) = (want.environment, want.kind, want.key)`

const parkedSQL = `
with w as materialized (
    select $1::text as environment, $2::text as flow, key from unnest($3::text[]) as w(key)
)
select q.key, q.hash from w join parked q on (q.environment, q.flow, q.key) = (w.environment, w.flow, w.key)`

// Own takes leases on remote objects in one statement: those that are free or whose lease has ended. The same statement
// marks the part in doubt, so that a kill between here and the settlement leaves it so. Whoever marks the part meanwhile marks it a
// second time, which outlasts the settlement; marks of other parts are none of its affair. // decision 5, I3
// Bodies are not loaded; see Bodies.
func (s *Store) Own(ctx context.Context, ask Owning) (Owned, error) {
	owned := Owned{Taken: map[mapper.Key]time.Duration{}, Parked: map[mapper.Key][]byte{}, Deadline: time.Now().Add(ask.Lease)}
	if len(ask.Keys) == 0 {
		return owned, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(ownSQL, ask.Environment, ask.Kind, ask.Keys, ask.Lease.Seconds(), ask.Owner, ask.Part)
	batch.Queue(parkedSQL, ask.Environment, ask.Flow, ask.Keys)
	results := s.pool.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }()
	rows, err := results.Query()
	if err != nil {
		return owned, fmt.Errorf("own %d objects: %w", len(ask.Keys), err)
	}
	for rows.Next() {
		if err := scanOwned(rows, ask, &owned); err != nil {
			rows.Close()
			return owned, err
		}
	}
	if err := rows.Err(); err != nil {
		return owned, fmt.Errorf("own %d objects: %w", len(ask.Keys), err)
	}
	if rows, err = results.Query(); err != nil {
		return owned, fmt.Errorf("look up parked keys: %w", err)
	}
	var key mapper.Key
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &hash}, func() error {
		owned.Parked[key] = append([]byte{}, hash...)
		return nil
	})
	if err != nil {
		return owned, fmt.Errorf("look up parked keys: %w", err)
	}
	return owned, nil
}

func scanOwned(rows pgx.Rows, ask Owning, owned *Owned) error {
	var (
		key                         mapper.Key
		took                        bool
		left                        float64
		token, seq                  *int64
		doubt, known                *bool
		remoteID, remoteKey, stored *string
		identity                    []byte
		parts                       []string
		hashes                      [][]byte
		at                          []time.Time
		epoch, commit, index        *int64
	)
	err := rows.Scan(&key, &took, &left, &token, &doubt, &seq, &known, &remoteID, &remoteKey, &stored, &identity,
		&parts, &hashes, &at, &epoch, &commit, &index)
	if err != nil {
		return fmt.Errorf("read an owned object: %w", err)
	}
	if !took {
		owned.Taken[key] = time.Duration(max(left, 0) * float64(time.Second))
		return nil
	}
	o := Object{
		ObjectID: ObjectID{ask.Environment, ask.Kind, key}, Token: *token, InDoubt: *doubt, doubtSeq: *seq, Known: *known,
		RemoteID: *remoteID, RemoteKey: *remoteKey, StoredKey: *stored, Parts: makeParts(parts, hashes, at),
		Position: cdc.Position{Epoch: uint32(*epoch), Commit: cdc.LSN(*commit), Index: uint64(*index)},
	}
	if err := json.Unmarshal(identity, &o.Identity); err != nil {
		return fmt.Errorf("read the identity of an object: %w", err)
	}
	owned.Objects = append(owned.Objects, o)
	return nil
}

func makeParts(names []string, hashes [][]byte, at []time.Time) map[string]Part {
	parts := make(map[string]Part, len(names))
	for i, name := range names {
		var p Part
		if i < len(hashes) {
			copy(p.Hash[:], hashes[i])
		}
		if i < len(at) {
			p.At = at[i]
		}
		parts[name] = p
	}
	return parts
}
