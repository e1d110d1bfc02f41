-- The workload of the differential test, part 1c: types and tables that came with later majors, or that change while the log is read.
-- A statement behind "-- since N" is for that major and newer ones. What is said about a table as a comment goes behind its name in
-- the publication.
create extension cube;
create extension isn;
create extension seg;
create extension lo;
create extension intarray;
create schema elsewhere;
create type elsewhere.mood as enum ('low', 'high');
create domain elsewhere.words as text[];
create domain feed.matrix as numeric(6,2)[] default '{}';
create domain feed.span as daterange check (not isempty(value));
create domain feed.bits as bit(5);
create domain feed.key as bigint;
create type feed.deep as (n feed.nested, list feed.pair[], w elsewhere.words, s feed.span, e elsewhere.mood);
create type feed.grows as enum ('one');
create type feed.widens as (a integer);
create table feed.seldom (
    id integer primary key,
    acl aclitem, rc refcursor, rco regcollation, rop regoperator, iv int2vector, ov oidvector, ch "char", nm name, bp bpchar, vc varchar(10485760),
    x8 xid8, sn txid_snapshot, ps pg_snapshot, ln pg_lsn, cu cube, isb isbn, isb13 isbn13, ean ean13, iss issn, upc upc, sg seg, lo lo, qi query_int, lq lquery, lt ltxtquery,
    em elsewhere.mood, wo elsewhere.words, ma feed.matrix, sp feed.span, bi feed.bits, ke feed.key, de feed.deep, n0 numeric(1000,500)
);
create table feed.seldom_arrays (
    id integer primary key,
    aacl aclitem[], arcu refcursor[], arco regcollation[], arop regoperator[], aregproc regproc[], aregp regprocedure[], aro regoper[], arty regtype[], arr regrole[], ans regnamespace[], arcf regconfig[], ardi regdictionary[],
    aov oidvector[], ax8 xid8[], asn txid_snapshot[], aps pg_snapshot[], acidv cid[], abp bpchar[], atsr tsrange[], atsv tsvector[], anmr nummultirange[], adm datemultirange[], atsm tsmultirange[], atzm tstzmultirange[], ai8m int8multirange[],
    aem elsewhere.mood[], awo elsewhere.words[], ama feed.matrix[], asp feed.span[], abi feed.bits[], ake feed.key[], ade feed.deep[], acu cube[], ais isbn[], afr feed.frange[], ab1 bit[], avb bit varying[], at0 timestamp(0)[], atz0 timestamptz(0)[], ati0 time(0)[], atz3 timetz(3)[], aiv0 interval(0)[]
);
create table feed.edges (id integer primary key, iv interval, tz timetz, m money, am money[], x xml, n numeric, d date, ts timestamp, tsz timestamptz, j json, t text, iv2 interval(2), ivs interval second(1), f4 real, f8 double precision);
create table feed.toast_later (id integer primary key, n integer, ci citext, lt ltree, mr nummultirange, cp feed.pair, rg numrange, tq tsquery, jp jsonpath, pg polygon, au uuid[], ahs hstore[], ajb jsonb[], aby bytea[], ae feed.mood[], an numeric[], ab boolean[],
    ap feed.pair[], di feed.dints, ac cidr[], bt bit(20000), vc varchar, bp bpchar, wo elsewhere.words, ma feed.matrix, ats timestamp[], aiv interval[], afl float8[], apt point[], cu cube, js json);
do $$ declare c text; begin
  for c in select attname from pg_attribute where attrelid = 'feed.toast_later'::regclass and attnum > 2 and attstorage <> 'p' loop execute format('alter table feed.toast_later alter %I set storage external', c); end loop;
end $$;
create table feed.key_later (j jsonb, ci citext, ai integer[], r int4range, p feed.pair, b5 bit(5), vb varbit, mac macaddr, net cidr, ln pg_lsn, x8 xid8, mo money, ch "char", nm name, k feed.key, hs hstore, primary key (j, ci, ai, r, p, b5, vb, mac, net, ln, x8, mo, ch, nm, k, hs));
create table feed.key_text (k text primary key, v integer);
create table feed.key_num (k numeric primary key, v integer);
create table feed.key_time (k timestamp, z timestamptz, d date, primary key (k, z, d));
create table feed.attached (id integer, region text, v text, primary key (id, region)) partition by list (region);
create table feed.attached_eu partition of feed.attached for values in ('eu');
create table elsewhere.attached_us (v text, gone integer, region text not null, id integer not null);
alter table elsewhere.attached_us drop column gone;
create table feed.attached_own (region text not null, v text, id integer not null, primary key (id, region));
create table feed.leaf_full (id integer, region text, v text, primary key (id, region)) partition by list (region);
create table feed.leaf_full_eu partition of feed.leaf_full for values in ('eu');
alter table feed.leaf_full_eu replica identity full;
create table feed.enums (id integer primary key, e feed.grows, ae feed.grows[], w feed.widens);
create table feed.renamed (id integer primary key, v text);
create table feed.moves (id integer primary key, v text);
create table feed.again (id integer primary key, v text);
create table feed.identities (id integer primary key, code text not null, v text);
create unique index identities_code on feed.identities (code);
create table feed.streamed (id integer primary key, v text);
create table feed.origins (id integer primary key, v text);
create table feed.triggered (id integer primary key, v text, at integer default 0);
create function feed.bump() returns trigger language plpgsql as $$ begin new.at := new.at + 1; return new; end $$;
create trigger bump before update on feed.triggered for each row execute function feed.bump();
-- since 15
create table feed.scales (id integer primary key, n numeric(5,-2), s numeric(3,5), an numeric(5,-2)[]);
-- since 15
create table feed.columns_of (id integer primary key, a integer, b text, c text);
-- since 15
comment on table feed.columns_of is '(id, b)';
-- since 15
create table feed.rows_of (id integer primary key, a integer, b text);
-- since 15
comment on table feed.rows_of is 'where (id > 0 and id < 1000)';
-- since 15
create table feed.nulls_key (a integer, b text, unique nulls not distinct (a));
-- since 17
create table feed.ident_parted (id bigint generated always as identity, v text, primary key (id)) partition by range (id);
-- since 17
create table feed.ident_parted_1 partition of feed.ident_parted for values from (0) to (100);
-- since 18
create table feed.virt (id integer primary key, a integer, v integer generated always as (a * 2), s integer generated always as (a * 3) stored, z text, w text generated always as (z || '!') virtual);
-- since 18
create table feed.virt_full (id integer primary key, a integer, v integer generated always as (a * 2), z text);
-- since 18
alter table feed.virt_full replica identity full;
-- since 18
create table feed.stored_of (id integer primary key, a integer, s integer generated always as (a * 3) stored, z text);
-- since 18
comment on table feed.stored_of is '(id, a, s)';
-- since 18
create table feed.uuid7 (id uuid default uuidv7() primary key, v text);
-- since 18
create extension btree_gist;
-- since 18
create table feed.temporal (id integer, valid daterange, v text, primary key (id, valid without overlaps));
