-- In which status each order was last seen that the bridge does not import, so that the stock of one that is new there is looked at.
create table order_sightings (
    environment text not null,
    nuorder_id  text not null,
    status      text not null,
    seen_at     timestamptz not null default now(),
    primary key (environment, nuorder_id)
);
-- The statuses whose lists were read before: what the first reading of one holds is old, and is not looked at.
create table order_sighted_statuses (
    environment text not null,
    status      text not null,
    primary key (environment, status)
);

-- A ledger that was made before these settings has none of them.
alter table objects set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02);
alter table bodies set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02);
alter table requests set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

---- create above / drop below ----

drop table order_sighted_statuses;
drop table order_sightings;
