-- The fingerprint of the mapping that the documents of a flow were last compared under: a mapping that changed meanwhile, by a reload
-- or while the bridge was down, has all of them compared again.
create table mappings (
    environment text        not null,
    flow        text        not null,
    sum         bytea       not null,
    at          timestamptz not null default now(),
    primary key (environment, flow)
);

---- create above / drop below ----

drop table mappings;
