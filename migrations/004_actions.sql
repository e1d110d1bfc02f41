-- What people did by hand, with who and why; written before it is done and never deleted by the bridge.
create table actions (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default clock_timestamp(),
    who         text not null,
    what        text not null, -- such as parked.discard
    environment text not null default '',
    flow        text not null default '',
    reason      text not null default '',
    detail      jsonb not null default '{}' -- names and counts, no personal data
);
create index on actions (what, id);

---- create above / drop below ----

drop table actions;
