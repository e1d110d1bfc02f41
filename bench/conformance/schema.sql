-- The workload of the differential test, part 1: tables. Every statement runs on a fresh database.
create extension if not exists hstore;
create schema feed;
create type feed.mood as enum ('sad', 'ok', 'very happy');
create domain feed.amount as numeric(10,2) check (value > -1000000);
create domain feed.label as text;
create domain feed.sublabel as feed.label;
create type feed.pair as (a integer, b text);

create table feed.scalars (
    id bigint primary key,
    b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
    n numeric, n2 numeric(12,4), m money, o oid,
    t text, vc varchar(40), c char(8), ch "char", nm name, ci text collate "C",
    ba bytea, u uuid, j json, jb jsonb, x xml,
    d date, ti time, ti3 time(3), tz timetz, ts timestamp, ts0 timestamp(0), ts3 timestamp(3), tsz timestamptz, tsz3 timestamptz(3),
    iv interval, b1 bit(1), b5 bit(5), b20 bit(20), vb varbit, vb9 varbit(9),
    ip inet, net cidr, mac macaddr, mac8 macaddr8,
    pt point, ln line, sg lseg, bx box, pa path, pg polygon, ci2 circle,
    tv tsvector, tq tsquery, lsn pg_lsn, xi xid8, sn txid_snapshot, jp jsonpath,
    hs hstore, e feed.mood, a feed.amount, l feed.label, sl feed.sublabel, p feed.pair,
    r4 int4range, r8 int8range, rn numrange, rd daterange, rt tsrange, rtz tstzrange, mr int4multirange,
    rc regclass, xid xid, cid cid, tid tid, rol regrole, o2 regtype
);
create table feed.arrays (
    id integer primary key,
    ab boolean[], ai2 smallint[], ai integer[], ai8 bigint[], af4 real[], af double precision[], an numeric[], an2 numeric(8,2)[], am money[],
    at text[], avc varchar(10)[], ac char(4)[], aba bytea[], au uuid[], aj json[], ajb jsonb[],
    ad date[], ati time[], atz timetz[], ats timestamp[], atsz timestamptz[], aiv interval[],
    ab1 bit(1)[], ab5 bit(5)[], avb varbit[], aip inet[], acd cidr[], amac macaddr[], apt point[],
    ae feed.mood[], aa feed.amount[], ap feed.pair[], ar int4range[], ahs hstore[], ao oid[], atv tsvector[], anm name[]
);
create table feed.generated (
    id bigint generated always as identity primary key, w integer not null default 3, h integer default 4,
    area integer generated always as (w * h) stored, note text default 'none'
);
create table feed."Quoted Table" ("Id" integer primary key, "the ""name""" text, "select" integer, "Ünï" text);
create table feed.composite_key (b text not null, a integer not null, v text, primary key (a, b));
create table feed.unique_only (id integer not null, code text not null, v text);
create unique index zz_unique on feed.unique_only (code);
create unique index aa_unique on feed.unique_only (id, code);
create table feed.no_key (id integer, v text);
create table feed.no_key_full (id integer, v text);
alter table feed.no_key_full replica identity full;
create table feed.identity_full (id integer primary key, v text, big text);
alter table feed.identity_full replica identity full;
create table feed.identity_index (id integer primary key, code text not null, v text);
create unique index identity_index_code on feed.identity_index (code);
alter table feed.identity_index replica identity using index identity_index_code;
create table feed.identity_nothing (id integer primary key, v text);
alter table feed.identity_nothing replica identity nothing;
create table feed.toast (id integer primary key, n integer, big text, bin bytea, js jsonb, arr text[], num numeric, hs hstore, xm xml, vbt varbit, un tsvector);
alter table feed.toast alter big set storage external, alter bin set storage external, alter js set storage external,
    alter arr set storage external, alter num set storage external, alter hs set storage external, alter xm set storage external,
    alter vbt set storage external, alter un set storage external;
create table feed.parted (id integer, region text, v text, primary key (id, region)) partition by list (region);
create table feed.parted_eu partition of feed.parted for values in ('eu');
create table feed.parted_us partition of feed.parted for values in ('us');
create table feed.trunc_a (id integer primary key);
create table feed.trunc_b (id integer primary key, a integer references feed.trunc_a);
create table feed.evolve (id integer primary key, a text, b integer);
create table feed.rows (id integer primary key, k integer, v text);
create table feed.nullable_key (id integer not null, v varchar(5) not null default 'x', n integer default 7, primary key (id));
create table feed.money_dec (id numeric(10,0) primary key, at timestamptz not null, d date not null, unique (at));
create table feed.key_types (u uuid, ts timestamp, d date, n numeric(6,3), by bytea, e feed.mood, primary key (u, ts, d, n, by, e));
create table feed.ck1 (x int, y int, z int, v text, primary key (z, x, y));
create table feed.ck2 (n int, m int, primary key (m, n));
create table feed.ck3 (b int, a int, primary key (a, b));
create table feed.ck4 (b int, a int, primary key (b, a));
create extension if not exists citext;
create extension if not exists ltree;
create table feed.more (id integer primary key, vb1 varbit(1), tsz0 timestamptz(0), f8 float8, f4 float4, ci citext, lt ltree, pa path, pg polygon, bx box,
    an numeric[], atsz timestamptz[], af float8[], ats timestamp[], ati time[], s1 smallint, s2 bigint, ser serial);
create table feed.big_toast (id integer primary key, n integer, num numeric, pth path, ai integer[], atsz timestamptz[], l feed.label);
alter table feed.big_toast alter num set storage external, alter pth set storage external, alter ai set storage external, alter atsz set storage external, alter l set storage external;
do $$ begin
  execute 'create table feed.wide (id integer primary key, ' ||
    (select string_agg('c' || i || ' ' || (array['integer','text','numeric(9,2)','boolean','timestamptz','double precision'])[1 + i % 6], ', ') from generate_series(1, 299) i) || ')';
end $$;
