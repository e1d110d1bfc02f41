-- Where each capture stands and by what its source is recognised.
create table captures (
    capture        text primary key,
    system_id      text not null,
    timeline       bigint not null,
    slot           text not null,
    publication    text not null,
    epoch          bigint not null,
    last_commit    pg_lsn not null, -- with last_index the last acknowledged position
    last_index     bigint not null,
    last_epoch     bigint not null,
    through        pg_lsn not null, -- what may be confirmed to the server
    tables         jsonb not null default '[]',
    gap_reason     text not null default '', -- why a gap before this epoch was accepted
    accept_gap     text not null default '', -- a reason that no start has used yet
    acknowledged_at timestamptz not null default now(),
    started_at     timestamptz not null default now()
);

-- The shape of each captured table from one place in the log on.
create table capture_schemas (
    capture    text not null,
    schema_name text not null,
    table_name text not null,
    from_lsn   pg_lsn not null,
    columns    jsonb not null,
    seen_at    timestamptz not null default now(),
    primary key (capture, schema_name, table_name, from_lsn)
);

-- Snapshots of tables, first loads and later ones.
create table capture_snapshots (
    id           bigint generated always as identity primary key,
    capture      text not null,
    schema_name  text not null,
    table_name   text not null,
    where_clause text not null default '',
    status       text not null default 'pending' check (status in ('pending', 'running', 'paused', 'done')),
    resume       text[],
    relfile      bigint not null default 0,
    rows_read    bigint not null default 0,
    estimated    bigint not null default 0,
    added_at     timestamptz not null default now(),
    started_at   timestamptz,
    completed_at timestamptz
);

create unique index capture_snapshots_open on capture_snapshots (capture, schema_name, table_name, where_clause) where status <> 'done';

-- The topics as the last publisher found them: one that was made anew, or repartitioned, lost or moved records.
create table capture_topics (
    capture    text not null,
    topic      text not null,
    id         text not null,
    partitions integer not null,
    primary key (capture, topic)
);

---- create above / drop below ----

drop table capture_topics;
drop table capture_snapshots;
drop table capture_schemas;
drop table captures;
