-- Calls of a flow for an object that got no answer. NuORDER may carry such a call out later, after a newer one, so that the object is sent
-- once more when due.
create table late_calls (
    environment text        not null,
    flow        text        not null,
    key         text        not null,
    due_at      timestamptz not null,
    primary key (environment, flow, key)
);

---- create above / drop below ----

drop table late_calls;
