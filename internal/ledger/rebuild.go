package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"nubridge/mapper"
)

// ReasonVerify marks requests for objects that a comparison with NuORDER found to differ.
const ReasonVerify = "verify"

// Compared is what a comparison with NuORDER found of one object.
type Compared struct {
	// Object is as NuORDER shows it: whether it is known, its names and its identity, which replace what the ledger has. A part
	// that is given replaces the one that the ledger has.
	Object Object
	// Differs tells that NuORDER holds something else than it should: the part is marked in doubt and the flow is asked to deliver it.
	Differs bool
}

// Clock gives the database's time, by which leases and settlements are kept.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var at time.Time
	if err := s.pool.QueryRow(ctx, "select clock_timestamp()").Scan(&at); err != nil {
		return at, fmt.Errorf("ask the ledger for the time: %w", err)
	}
	return at, nil
}

const rebuildSQL = `
with c as (
    select * from unnest($5::text[], $6::boolean[], $7::boolean[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bytea[],
        $13::timestamptz[], $14::bytea[], $15::bigint[], $16::bigint[], $17::bigint[])
    as c(key, differs, known, remote_id, remote_key, stored_key, identity, hash, at, body, epoch, commit_lsn, tx_index)
), took as (
    insert into objects as o (environment, kind, key, known, remote_id, remote_key, stored_key, identity, parts, hashes, part_at,
        doubt, doubt_seq, epoch, commit_lsn, tx_index, settled_at)
    select $1, $3, c.key, c.known, c.remote_id, c.remote_key, c.stored_key, c.identity::jsonb,
        case when c.hash = '' then '{}' else array[$4::text] end, case when c.hash = '' then '{}' else array[c.hash] end,
        case when c.hash = '' then '{}' else array[c.at] end, case when c.differs then array[$4::text] else '{}' end,
        case when c.differs then 1 else 0 end, c.epoch, c.commit_lsn, c.tx_index, clock_timestamp()
    from c order by c.key
    on conflict (environment, kind, key) do update set known = excluded.known, remote_id = excluded.remote_id,
        remote_key = excluded.remote_key, stored_key = excluded.stored_key, identity = excluded.identity,
        parts = case when excluded.parts = '{}' then o.parts else excluded.parts end,
        hashes = case when excluded.parts = '{}' then o.hashes else excluded.hashes end,
        part_at = case when excluded.parts = '{}' then o.part_at else excluded.part_at end,
        doubt = o.doubt || excluded.doubt, doubt_seq = o.doubt_seq + excluded.doubt_seq,
        epoch = case when (excluded.epoch, excluded.commit_lsn, excluded.tx_index) > (o.epoch, o.commit_lsn, o.tx_index) then excluded.epoch else o.epoch end,
        commit_lsn = case when (excluded.epoch, excluded.commit_lsn, excluded.tx_index) > (o.epoch, o.commit_lsn, o.tx_index) then excluded.commit_lsn else o.commit_lsn end,
        tx_index = case when (excluded.epoch, excluded.commit_lsn, excluded.tx_index) > (o.epoch, o.commit_lsn, o.tx_index) then excluded.tx_index else o.tx_index end,
        settled_at = excluded.settled_at
    where (o.lease_until is null or o.lease_until <= clock_timestamp()) and (o.settled_at is null or o.settled_at < $18)
        and not o.doubt && array[$4::text, '*']
    returning o.key
), bod as (
    insert into bodies (environment, kind, key, part, body)
    select $1, $3, c.key, $4, c.body from c join took on took.key = c.key where c.body <> ''
    on conflict (environment, kind, key, part) do update set body = excluded.body
), asked as (
    insert into requests as r (environment, flow, key, reason, rank)
    select $1, $2, c.key, $19, $20 from c join took on took.key = c.key where c.differs order by c.key
    on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now()
    returning 1
), woken as (
    select count(pg_notify($21, $1 || '|' || $2)) as n from (select from asked limit 1) x
)
select coalesce((select array_agg(key) from took), '{}'), woken.n from woken`

// Rebuild records objects of a flow that were compared with NuORDER: what is in step counts as delivered, what differs is in doubt
// and asked for. An object that someone owns, that was settled after since (by the database's clock, before NuORDER was read), or that
// is in doubt is left alone: what was read of it may be old. // decision 5, I3
// It returns the keys that were recorded. Each key may appear once.
func (s *Store) Rebuild(ctx context.Context, environment string, flow mapper.Flow, since time.Time, list []Compared) (map[mapper.Key]bool, error) {
	if len(list) == 0 {
		return nil, nil
	}
	part := PartOf(flow)
	var (
		keys, ids, names, stored, identities []string
		differs, known                       []bool
		hashes, bodies                       [][]byte
		at                                   []time.Time
		epochs, commits, indexes             []int64
	)
	for i := range list {
		o := &list[i].Object
		identity, err := json.Marshal(o.Identity)
		if err != nil {
			return nil, fmt.Errorf("write the identity of an object: %w", err)
		}
		if o.Identity == nil {
			identity = []byte("{}")
		}
		hash, body := []byte{}, []byte{}
		p, has := o.Parts[part]
		if has {
			hash = p.Hash[:]
			body = append(body, s.compress(p.Body)...)
		}
		keys, differs, known = append(keys, string(o.Key)), append(differs, list[i].Differs), append(known, o.Known)
		ids, names, stored = append(ids, o.RemoteID), append(names, o.RemoteKey), append(stored, o.StoredKey)
		identities, hashes, at, bodies = append(identities, string(identity)), append(hashes, hash), append(at, p.At), append(bodies, body)
		epochs, commits = append(epochs, int64(o.Position.Epoch)), append(commits, int64(o.Position.Commit))
		indexes = append(indexes, int64(o.Position.Index))
	}
	var took []mapper.Key
	err := s.inTurn(ctx, environment, planAnew, rebuildSQL, []any{
		environment, string(flow), string(flow.Kind()), part, keys, differs, known, ids, names, stored, identities, hashes, at, bodies,
		epochs, commits, indexes, since, ReasonVerify, RankBulk, s.channel(),
	}, &took, new(int64))
	if err != nil {
		return nil, fmt.Errorf("record %d compared objects of %s: %w", len(list), flow, err)
	}
	recorded := make(map[mapper.Key]bool, len(took))
	for _, k := range took {
		recorded[k] = true
	}
	return recorded, nil
}
