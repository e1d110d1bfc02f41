-- What each live instance does now, as it tells it every few seconds: status shows all of them, whichever it can reach.
create table instance_reports (
    instance text primary key,
    at       timestamptz not null default now(),
    state    jsonb not null
) with (fillfactor = 50);

---- create above / drop below ----

drop table instance_reports;
