-- What the bridge knows of each remote object: lease, doubt, identity, and the hash per part of what was last delivered.
-- The row is narrow and no indexed column changes when a lease is taken, so that own and settle stay within the page.
create table objects (
    environment text        not null,
    kind        text        not null,
    key         text        not null,
    token       bigint      not null default 1,
    lease_until timestamptz,
    owner       text        not null default '',
    doubt       text[]      not null default '{}', -- the parts of which NuORDER's state is not known
    was_doubt   boolean     not null default false, -- whether the part was in doubt before the present lease
    doubt_seq   bigint      not null default 0, -- rises with each foreign mark; a settlement clears only what it saw
    known       boolean     not null default false, -- the object is at NuORDER
    remote_id   text        not null default '',
    remote_key  text        not null default '',
    stored_key  text        not null default '',
    identity    jsonb       not null default '{}',
    parts       text[]      not null default '{}',
    hashes      bytea[]     not null default '{}',
    part_at     timestamptz[] not null default '{}',
    epoch       bigint      not null default 0,
    commit_lsn  bigint      not null default 0,
    tx_index    bigint      not null default 0,
    settled_at  timestamptz,
    calls       bigint      not null default 0,
    trace       text        not null default '',
    primary key (environment, kind, key)
-- Each document rewrites its row twice: with millions of rows the server's default, a fifth of them dead, would come hours too late.
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02);

create index objects_remote_key on objects (environment, kind, remote_key) where remote_key <> '';
create index objects_stored_key on objects (environment, kind, stored_key) where stored_key <> '' and stored_key <> remote_key;
create index objects_remote_id on objects (environment, kind, remote_id) where remote_id <> '';

-- The last delivered body per part, zstd; apart from objects, so that a lease does not rewrite it.
create table bodies (
    environment text  not null,
    kind        text  not null,
    key         text  not null,
    part        text  not null,
    body        bytea not null,
    primary key (environment, kind, key, part)
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02);
alter table bodies alter column body set storage external;

-- Keys that a flow shall look at beside what Kafka brings: released children, wanted parents, doubts, retries, replays.
create table requests (
    environment   text        not null,
    flow          text        not null,
    key           text        not null,
    reason        text        not null,
    rank          smallint    not null default 4,
    seq           bigint      not null default 1, -- rises when a claimed key is requested again
    requested_at  timestamptz not null default now(),
    not_before    timestamptz not null default now(),
    claimed_until timestamptz,
    claimed_by    text        not null default '',
    primary key (environment, flow, key)
-- A queue: rows come and go, and a look for the next one passes over all that are dead.
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index requests_due on requests (environment, flow, rank, requested_at);

-- Keys whose parents are not at NuORDER yet. parents holds kind:key.
create table waiting (
    environment text        not null,
    flow        text        not null,
    key         text        not null,
    parents     text[]      not null,
    touches     bigint      not null,
    since       timestamptz not null default now(),
    last_at     timestamptz not null default now(),
    trace       text        not null default '',
    primary key (environment, flow, key)
);
create index waiting_parents on waiting using gin (parents);

-- Keys that a person must look at.
create table parked (
    environment text        not null,
    flow        text        not null,
    key         text        not null,
    code        text        not null,
    field       text        not null default '',
    rule        text        not null default '',
    value       text        not null default '',
    text        text        not null default '',
    violations  jsonb       not null default '[]',
    hash        bytea       not null default '', -- of the body that was rejected
    touches     bigint      not null,
    attempts    bigint      not null default 1,
    first_at    timestamptz not null default now(),
    last_at     timestamptz not null default now(),
    trace       text        not null default '',
    primary key (environment, flow, key)
);
create index parked_code on parked (environment, flow, code);

-- How far each partition of a group is settled, fenced by a token that each new owner raises.
create table group_checkpoints (
    environment text        not null,
    flow        text        not null,
    topic       text        not null,
    partition   integer     not null,
    token       bigint      not null default 1,
    next        bigint      not null, -- the offset after the last one below which all is settled
    epoch       bigint      not null default 0, -- position of the record before next
    commit_lsn  bigint      not null default 0,
    tx_index    bigint      not null default 0,
    at          timestamptz not null default now(),
    primary key (environment, flow, topic, partition)
) with (fillfactor = 50);

-- Touches settled above the checkpoint of their partition, so that a repeat after a kill is known as one.
create table settled_touches (
    environment text    not null,
    flow        text    not null,
    topic       text    not null,
    partition   integer not null,
    "offset"    bigint  not null,
    key         text    not null,
    primary key (environment, flow, topic, partition, "offset", key)
);

-- The counts of touches; waiting and parked are counted in their own tables. read = the sum of the others.
create table counters (
    environment text   not null,
    flow        text   not null,
    read        bigint not null default 0,
    delivered   bigint not null default 0,
    unchanged   bigint not null default 0,
    superseded  bigint not null default 0,
    filtered    bigint not null default 0,
    repeats     bigint not null default 0,
    calls       bigint not null default 0,
    settled_at  timestamptz,
    hour        timestamptz not null default 'epoch', -- what follows is of this hour, for the guards
    creates     bigint not null default 0,
    updates     bigint not null default 0,
    archivals   bigint not null default 0,
    primary key (environment, flow)
) with (fillfactor = 50);

-- The last settlement of each running loop, so that one whose answer was lost is not applied twice.
create table settlers (
    environment text        not null,
    flow        text        not null,
    instance    text        not null,
    seq         bigint      not null default 0,
    at          timestamptz not null default now(),
    primary key (environment, flow, instance)
) with (fillfactor = 50);

-- Whether a flow runs.
create table flows (
    environment text        not null,
    flow        text        not null,
    paused      boolean     not null default false,
    code        text        not null default '',
    reason      text        not null default '',
    since       timestamptz not null default now(),
    paused_by   text        not null default '',
    primary key (environment, flow)
);

-- What a flow in shadow would have sent, newest per key.
create table shadow_calls (
    environment text        not null,
    flow        text        not null,
    key         text        not null,
    action      text        not null,
    remote_key  text        not null default '',
    body        bytea       not null,
    at          timestamptz not null default now(),
    primary key (environment, flow, key)
);

-- The portal's limits, and what each live instance may use of them.
create table portals (
    environment     text primary key,
    throttled_until timestamptz not null default 'epoch',
    stock_after     text        not null default '', -- how far the rolling pass over all stock is
    stock_total     bigint      not null default 0, -- how many there were when the pass began
    stock_due       timestamptz not null default 'epoch' -- when the pass takes its next step
);
create table instances (
    environment text             not null,
    instance    text             not null,
    rate        double precision not null default 0, -- calls per second
    in_flight   integer          not null default 0,
    expires_at  timestamptz      not null,
    started_at  timestamptz      not null default now(),
    primary key (environment, instance)
);
