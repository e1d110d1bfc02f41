package ledger

// rankOfFlow is RankOf in SQL.
const rankOfFlow = "case flow when 'products' then 1 when 'customers' then 2 when 'inventory' then 3 else 0 end"

// settleSQL is one statement, all or nothing: if any token is older than the row's, or the settlement was applied before,
// it changes nothing. Parameters, in order: what is common ($1-$8), the settlements ($9-$28), their parts ($29-$32),
// bodies ($33-$35), missing parents ($36-$39), partitions ($40-$48, $55), touches per settlement and partition ($49-$51), and
// touches above the checkpoint ($52-$54). Only those that orders wait for are asked for at once; the parents of others mostly
// come by themselves, and the sweep asks for those that do not.
//
// Environment, flow and kind come to the joins as columns, not as parameters: where they are constants and the server has no
// statistics yet, as in the first minute of a new ledger, it takes a scan of all objects of the kind to be the same as a look at one.
const settleSQL = `
with s as (
    select $1::text as environment, $2::text as flow, $3::text as kind, s.*
    from unnest($9::text[], $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::boolean[], $15::boolean[], $16::text[], $17::text[], $18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
        $24::text[], $25::bigint[], $26::text[], $27::text[], $28::bytea[]) with ordinality
    as s(key, token, disposition, doubt, doubt_seq, store, known, remote_id, remote_key, stored_key, identity, epoch,
        commit_lsn, tx_index, calls, trace, request, action, cause, hash, ord)
), mine as (
    select seq from settlers where (environment, flow, instance) = ($1, $2, $5) for update
), locked as (
    select s.ord from s join objects o on (o.environment, o.kind, o.key) = (s.environment, s.kind, s.key)
    where s.token > 0 and o.token = s.token order by o.key for update of o
), stale as (
    select ord from s where token > 0 and ord not in (select ord from locked)
), go as (
    select not exists (select from stale) and exists (select from mine where seq < $6) as ok
), done as (
    update settlers set seq = $6, at = now() from go where go.ok and (environment, flow, instance) = ($1, $2, $5) returning 1
), f as (
    select s.* from s, go where go.ok
), p as (
    select p.ord, array_agg(p.name order by p.name) as names, array_agg(p.hash order by p.name) as hashes, array_agg(p.at order by p.name) as at
    from unnest($29::bigint[], $30::text[], $31::bytea[], $32::timestamptz[]) as p(ord, name, hash, at) group by p.ord
), objs as (
    update objects o set lease_until = null, owner = '',
        doubt = case
            when f.doubt = 'keep' or f.doubt = 'restore' and o.was_doubt then o.doubt
            when o.doubt_seq <> f.doubt_seq and ('*' = any(o.doubt) or cardinality(array_positions(o.doubt, $4)) > 1) then o.doubt
            when f.doubt = 'restore' then array_remove(o.doubt, $4)
            else array_remove(array_remove(o.doubt, $4), '*') end,
        known = case when f.store then f.known else o.known end,
        remote_id = case when f.store then f.remote_id else o.remote_id end,
        remote_key = case when f.store then f.remote_key else o.remote_key end,
        stored_key = case when f.store then f.stored_key else o.stored_key end,
        identity = case when f.store then f.identity::jsonb else o.identity end,
        parts = case when f.store then coalesce(p.names, '{}') else o.parts end,
        hashes = case when f.store then coalesce(p.hashes, '{}') else o.hashes end,
        part_at = case when f.store then coalesce(p.at, '{}') else o.part_at end,
        epoch = case when (f.epoch, f.commit_lsn, f.tx_index) > (o.epoch, o.commit_lsn, o.tx_index) then f.epoch else o.epoch end,
        commit_lsn = case when (f.epoch, f.commit_lsn, f.tx_index) > (o.epoch, o.commit_lsn, o.tx_index) then f.commit_lsn else o.commit_lsn end,
        tx_index = case when (f.epoch, f.commit_lsn, f.tx_index) > (o.epoch, o.commit_lsn, o.tx_index) then f.tx_index else o.tx_index end,
        settled_at = now(), calls = o.calls + f.calls, trace = case when f.calls > 0 then f.trace else o.trace end
    from f left join p on p.ord = f.ord
    where f.token > 0 and (o.environment, o.kind, o.key) = (f.environment, f.kind, f.key)
), bod as (
    insert into bodies (environment, kind, key, part, body)
    select $1, $3, f.key, b.part, b.body from unnest($33::bigint[], $34::text[], $35::bytea[]) as b(ord, part, body) join f on f.ord = b.ord
    on conflict (environment, kind, key, part) do update set body = excluded.body
), pr as (
    select * from unnest($40::text[], $41::integer[], $42::bigint[], $43::bigint[], $44::bigint[], $45::bigint[], $46::bigint[],
        $47::bigint[], $48::bigint[], $55::bigint[]) with ordinality
    as pr(topic, partition, token, next, epoch, commit_lsn, tx_index, filtered, repeats, superseded, ord)
), cp as (
    update group_checkpoints c set next = greatest(c.next, pr.next), at = now(),
        epoch = case when pr.next > c.next then pr.epoch else c.epoch end,
        commit_lsn = case when pr.next > c.next then pr.commit_lsn else c.commit_lsn end,
        tx_index = case when pr.next > c.next then pr.tx_index else c.tx_index end
    from pr, go where go.ok and (c.environment, c.flow, c.topic, c.partition) = ($1, $2, pr.topic, pr.partition) and c.token = pr.token
    returning c.environment, c.flow, pr.ord, pr.topic, pr.partition, pr.next, pr.filtered, pr.repeats, pr.superseded
), above as (
    insert into settled_touches (environment, flow, topic, partition, "offset", key)
    select $1, $2, cp.topic, cp.partition, j."offset", j.key from unnest($52::bigint[], $53::bigint[], $54::text[]) as j(part, "offset", key)
    join cp on cp.ord = j.part on conflict do nothing
), below as (
    delete from settled_touches t using cp
    where (t.environment, t.flow, t.topic, t.partition) = (cp.environment, cp.flow, cp.topic, cp.partition) and t."offset" < cp.next
), tc as (
    select t.ord, sum(t.n)::bigint as n from unnest($49::bigint[], $50::bigint[], $51::bigint[]) as t(ord, part, n)
    join cp on cp.ord = t.part group by t.ord
), dw as (
    delete from waiting w using f where (w.environment, w.flow, w.key) = (f.environment, f.flow, f.key) and f.disposition not in ('waiting', 'released')
    returning f.ord, w.touches
), dp as (
    delete from parked q using f where (q.environment, q.flow, q.key) = (f.environment, f.flow, f.key) and f.disposition not in ('parked', 'released')
    returning f.ord, q.touches
), wp as (
    select w.ord, array_agg(w.parent order by w.parent) as parents
    from unnest($36::bigint[], $37::text[], $38::text[], $39::text[]) as w(ord, parent, flow, key) group by w.ord
), iw as (
    insert into waiting (environment, flow, key, parents, touches, trace)
    select $1, $2, f.key, wp.parents, coalesce(tc.n, 0) + coalesce(dp.touches, 0), f.trace
    from f join wp on wp.ord = f.ord left join tc on tc.ord = f.ord left join dp on dp.ord = f.ord where f.disposition = 'waiting'
    on conflict (environment, flow, key) do update set parents = excluded.parents, last_at = now(), trace = excluded.trace,
        touches = waiting.touches + excluded.touches
), ip as (
    insert into parked as q (environment, flow, key, code, field, rule, value, text, violations, hash, touches, trace)
    select $1, $2, f.key, c->>'code', c->>'field', c->>'rule', c->>'value', c->>'text', coalesce(c->'violations', '[]'), f.hash,
        coalesce(tc.n, 0) + coalesce(dw.touches, 0), f.trace
    from (select f.*, f.cause::jsonb as c from f where f.disposition = 'parked') f
    left join tc on tc.ord = f.ord left join dw on dw.ord = f.ord
    on conflict (environment, flow, key) do update set last_at = now(), touches = q.touches + excluded.touches,
        code = case when excluded.code = 'absorbed' then q.code else excluded.code end,
        field = case when excluded.code = 'absorbed' then q.field else excluded.field end,
        rule = case when excluded.code = 'absorbed' then q.rule else excluded.rule end,
        value = case when excluded.code = 'absorbed' then q.value else excluded.value end,
        text = case when excluded.code = 'absorbed' then q.text else excluded.text end,
        violations = case when excluded.code = 'absorbed' then q.violations else excluded.violations end,
        hash = case when excluded.code = 'absorbed' then q.hash else excluded.hash end,
        trace = case when excluded.code = 'absorbed' then q.trace else excluded.trace end,
        attempts = q.attempts + case when excluded.code = 'absorbed' then 0 else 1 end
), dr as (
    delete from requests r using f
    where (r.environment, r.flow, r.key) = (f.environment, f.flow, f.key) and r.seq = f.request and f.disposition <> 'released'
), ur as (
    update requests r set claimed_until = null from f
    where (r.environment, r.flow, r.key) = (f.environment, f.flow, f.key) and f.request > 0 and r.seq <> f.request and f.disposition <> 'released'
    returning r.flow
), hit as materialized (
    select environment, flow, key from waiting
    where parents && (select coalesce(array_agg($3 || ':' || f.key), '{}') from f where f.store and f.known)
), rel as (
    insert into requests as r (environment, flow, key, reason, rank)
    select w.environment, w.flow, w.key, 'released', ` + rankOfFlow + ` from hit w
    where w.environment = $1 and not (w.flow = $2 and w.key in (select key from f))
    order by w.flow, w.key
    on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = least(r.rank, excluded.rank)
    returning flow
), want as (
    insert into requests as r (environment, flow, key, reason, rank)
    select distinct on (w.flow, w.key) $1, w.flow, w.key, 'wanted by ' || $2, $8::integer
    from unnest($36::bigint[], $37::text[], $38::text[], $39::text[]) as w(ord, parent, flow, key) join f on f.ord = w.ord
    where $8::integer = 0 and not (w.flow = $2 and w.key in (select key from f))
    order by w.flow, w.key
    on conflict (environment, flow, key) do update set rank = least(r.rank, excluded.rank)
    returning flow
), sums as (
    select sum(coalesce(tc.n, 0))::bigint as read,
        count(*) filter (where f.disposition = 'delivered' and x.n > 0) as delivered,
        count(*) filter (where f.disposition = 'unchanged' and x.n > 0) as unchanged,
        count(*) filter (where f.disposition = 'filtered' and x.n > 0) as filtered,
        coalesce(sum(x.n - 1) filter (where f.disposition in ('delivered', 'unchanged', 'filtered') and x.n > 0), 0)::bigint as superseded,
        coalesce(sum(f.calls), 0)::bigint as calls,
        count(*) filter (where f.action = 'create') as creates,
        count(*) filter (where f.action = 'update') as updates,
        count(*) filter (where f.action = 'archive') as archivals
    from f left join tc on tc.ord = f.ord left join dw on dw.ord = f.ord left join dp on dp.ord = f.ord,
    lateral (select coalesce(tc.n, 0) + coalesce(dw.touches, 0) + coalesce(dp.touches, 0) as n) x
), ct as (
    insert into counters as c (environment, flow, read, delivered, unchanged, superseded, filtered, repeats, calls, settled_at,
        hour, creates, updates, archivals)
    select $1, $2, coalesce(sums.read, 0) + l.filtered + l.superseded, sums.delivered, sums.unchanged, sums.superseded + l.superseded, sums.filtered + l.filtered,
        l.repeats, sums.calls, now(), date_trunc('hour', now()), sums.creates, sums.updates, sums.archivals
    from sums, go, (select coalesce(sum(filtered), 0)::bigint as filtered, coalesce(sum(repeats), 0)::bigint as repeats,
        coalesce(sum(superseded), 0)::bigint as superseded from cp) l
    where go.ok
    on conflict (environment, flow) do update set read = c.read + excluded.read, delivered = c.delivered + excluded.delivered,
        unchanged = c.unchanged + excluded.unchanged, superseded = c.superseded + excluded.superseded,
        filtered = c.filtered + excluded.filtered, repeats = c.repeats + excluded.repeats, calls = c.calls + excluded.calls,
        settled_at = now(), hour = excluded.hour,
        creates = excluded.creates + case when c.hour = excluded.hour then c.creates else 0 end,
        updates = excluded.updates + case when c.hour = excluded.hour then c.updates else 0 end,
        archivals = excluded.archivals + case when c.hour = excluded.hour then c.archivals else 0 end
), woken as (
    select count(pg_notify($7, $1 || '|' || w.flow)) as n from (select flow from rel union select flow from want union select flow from ur) w
)
select go.ok, exists (select from mine where seq >= $6), array(select ord from stale order by ord),
    array(select pr.ord from pr where pr.ord not in (select ord from cp)), woken.n from go, woken`
