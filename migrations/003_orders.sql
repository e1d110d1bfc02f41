-- The way of an order from NuORDER into the OMS, one row per order, written before each foreign call.

create table order_pollers (
    environment text primary key,
    fence       bigint not null default 0, -- rises by one with each owner
    owner       text not null default '',
    taken_at    timestamptz not null default now(),
    asked_at    timestamptz, -- a poll was asked for by another process
    polled_at   timestamptz -- the last poll that read all lists began then
);

create table order_intents (
    environment    text not null,
    nuorder_id     text not null,
    state          text not null check (state in ('SEEN', 'HELD', 'INTENT', 'AMBIGUOUS', 'CREATED', 'MARKED', 'NUMBERED',
                                                  'QUARANTINED', 'WITHDRAWN')),
    version        bigint not null default 1, -- compare-and-set
    owner          text not null default '',
    fence          bigint not null default 0, -- of the owner that wrote INTENT
    attempts       integer not null default 0, -- creates that may have reached the OMS
    searches       integer not null default 0, -- since the answer was lost
    order_number   text not null default '', -- NuORDER's number as last read
    oms_number     text not null default '',
    body_hash      bytea, -- of the OMS body of the last create
    order_body     text not null default '', -- the NuORDER order that the OMS has, or that it will get
    changed_body   text not null default '', -- another version of it, seen after the create: a person decides
    changed_at     timestamptz,
    code           text not null default '', -- why it stands where it stands
    reason         text not null default '',
    failures       integer not null default 0, -- in a row, for the back-off
    listed         boolean not null default false, -- a status list shows it again
    due_at         timestamptz, -- when the poller looks again; null when nothing is to be done
    lost_at        timestamptz, -- when an answer was lost
    settle_until   timestamptz, -- a search before this moment proves nothing
    trace          text not null default '', -- W3C traceparent of the whole way
    seen_at        timestamptz not null default now(),
    state_at       timestamptz not null default now(),
    created_at     timestamptz,
    primary key (environment, nuorder_id)
);
create index on order_intents (environment, due_at) where due_at is not null;
create index on order_intents (environment, state, state_at);
create index on order_intents (environment, oms_number) where oms_number <> '';

create table order_intent_steps (
    id          bigint generated always as identity primary key,
    environment text not null,
    nuorder_id  text not null,
    at          timestamptz not null default clock_timestamp(),
    step        text not null,
    state       text not null,
    detail      text not null default '',
    trace       text not null default '',
    owner       text not null default '',
    fence       bigint not null default 0
);
create index on order_intent_steps (environment, nuorder_id, id);

-- OMS orders beyond the first under one reference: each is an alert until a person settles it.
create table order_doubles (
    environment text not null,
    nuorder_id  text not null,
    oms_number  text not null,
    found_at    timestamptz not null default now(),
    found_by    text not null,
    settled_at  timestamptz,
    settled_why text not null default '',
    primary key (environment, nuorder_id, oms_number)
);

-- Orders born in the OMS, written before each create at NuORDER.
create table order_creations (
    environment text not null,
    key         text not null, -- the OMS document's key
    external_id text not null,
    number      text not null,
    attempts    integer not null default 0,
    begun_at    timestamptz not null default now(),
    nuorder_id  text not null default '', -- empty while no answer is known
    primary key (environment, key)
);
create index on order_creations (environment, nuorder_id) where nuorder_id <> '';

---- create above / drop below ----

drop table order_creations;
drop table order_doubles;
drop table order_intent_steps;
drop table order_intents;
drop table order_pollers;
