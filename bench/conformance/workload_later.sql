-- The workload of the differential test, part 3: what later majors brought, and what changes while the log is read.
insert into feed.seldom (id) values (1);
insert into feed.seldom (id, acl, rc, rco, rop, iv, ov, ch, nm, bp, vc) values (2, 'postgres=arwdDxt/postgres', 'cursor 1', '"C"', '=(integer,integer)', '1 -2 3', '4294967295 0', '\200', repeat('é', 31), 'bp  ', 'vc '), (3, '=r/postgres', '', '"POSIX"', '-(none,integer)', '7', '7', '\001', '', '', '');
insert into feed.seldom (id, x8, sn, ps, ln) values (4, '18446744073709551615', '1:1:', '10:30:12,13', '0/0'), (5, '0', '9223372036854775806:9223372036854775807:', '1:1:', 'FFFFFFFF/FFFFFFFF');
insert into feed.seldom (id, cu, isb, isb13, ean, iss, upc, sg, lo, qi, lq, lt) values (6, '(1,2),(3,4)', '0-306-40615-2', '978-0-306-40615-7', '978-0-306-40615-7', '0378-5955', '0-36000-29145-2', '1.0 .. 2.50', 12345, '1&(2|!3)', 'a.*{1,2}.!b|c@', 'a & b*@');
insert into feed.seldom (id, em, wo, sp, bi, ke, n0) values (7, 'high', '{a,NULL,"b c"}', '[2024-01-01,2024-02-01)', B'10110', 9223372036854775807, 1.5);
insert into feed.seldom (id, ma, de) values (8, '{1.5,NULL,NaN}', row(row(row(1,'x "y"'),1.50,array['a','b,c'],'ok'), array[row(1,'a')::feed.pair, null], array['w'], daterange('2024-01-01','infinity'), 'low')), (9, '{{1,2},{3,4}}', row(null, null, null, null, null));
update feed.seldom set nm = 'renamed' where id = 2;
delete from feed.seldom where id = 9;
insert into feed.seldom_arrays (id) values (1);
insert into feed.seldom_arrays (id, aacl, arcu, arco, arop, aregproc, aregp, aro, arty, arr, ans, arcf, ardi) values (2, '{postgres=arwdDxt/postgres,NULL}', '{c1,NULL}', '{"\"C\"",NULL}', '{"=(integer,integer)"}', '{now,NULL}', '{abs(numeric)}', '{||/}', '{integer[],NULL,"character varying"}', '{postgres}', '{feed,pg_catalog}', '{english}', '{simple,NULL}');
insert into feed.seldom_arrays (id, aov, ax8, asn, aps, acidv, abp) values (3, array['1 2'::oidvector, null], '{18446744073709551615,NULL}', '{10:20:10,NULL}', '{10:20:10}', '{5,NULL}', '{"ab  ",NULL,""}');
insert into feed.seldom_arrays (id, atsr, anmr, adm, atsm, atzm, ai8m) values (4, '{"[2024-01-01 10:00,2024-02-01 11:00)",empty,NULL}', '{"{[1.50,2.5)}",NULL}', '{"{[2024-01-01,2024-02-01)}"}', '{"{}"}', '{"{[\"2024-01-01 00:00:00+02\",infinity)}"}', '{"{(,5)}"}');
insert into feed.seldom_arrays (id, aem, awo, ama, asp, abi, ake, ade) values (5, '{low,NULL,high}', array[array['a','b']::elsewhere.words], array[array[1.5]::feed.matrix], array[daterange('2024-01-01','2024-02-01')::feed.span], '{10110,NULL}', '{1,NULL,-9223372036854775808}', array[row(null, null, null, null, 'low')::feed.deep, null]);
insert into feed.seldom_arrays (id, acu, ais, afr, ab1, avb, at0, atz0, ati0, atz3, aiv0) values (6, '{"(1,2)"}', '{0-306-40615-2}', '{"[1.5,2.5)"}', '{1,0,NULL}', '{101,"",NULL}', '{"2024-01-01 00:00:01",NULL}', '{"2024-01-01 00:00:01+00"}', '{11:22:33}', '{11:22:33.120+02}', '{"1.7 seconds","-3 days"}');
insert into feed.seldom_arrays (id, atsr, aem, ake, at0) values (7, '{}', '{}', '{}', '{}');
insert into feed.edges (id, iv) values (1, '178956970 years 7 mons 2147483647 days 2147483647 hours 59 minutes 59.999999 seconds'), (2, '-178956970 years -8 mons -2147483648 days'), (3, '-0.000001 seconds'), (4, '1 day -00:00:00.1'), (5, '-1 day +00:00:00.1'), (6, '1 min -0.5 sec'), (7, '100 hours 59 minutes 59.999999 seconds'), (8, '-00:59:59.000001'), (9, '-1 mons +31 days'), (10, '11 months'), (11, '-11 months'), (12, '25 months -1 day');
insert into feed.edges (id, iv2, ivs) values (20, '1.005 seconds', '61.25 seconds'), (21, '-1.995 seconds', '-0.04 seconds');
-- since 17
insert into feed.edges (id, iv) values (30, 'infinity'), (31, '-infinity');
insert into feed.edges (id, tz) values (40, '00:00:00-15:59'), (41, '23:59:59.999999+15:59'), (42, '00:00:00+15:59'), (43, '12:34:56.100-00:30'), (44, '12:34:56.000001+00:00'), (45, '00:00:00-00:01'), (46, '24:00:00+15:59'), (47, '24:00:00-00:01');
insert into feed.edges (id, m, am) values (50, '-92233720368547758.08', '{-92233720368547758.08,-0.01,NULL,0.00}'), (51, '-0.01', '{}'), (52, '($5.00)', '{"(1,234.50)"}'), (53, '-1', '{1000000}');
insert into feed.edges (id, x) values (60, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><é a="&quot;">😀</é>'), (61, '<!-- c --><a/>'), (62, '  '), (63, '<a/><b/>');
insert into feed.edges (id, n) values (70, ('1e' || 1000)::numeric), (71, ('-1e-' || 1000)::numeric), (72, (repeat('9', 2000) || '.' || repeat('9', 2000))::numeric), (73, 0.10), (74, 1e0), (75, 100e-2);
insert into feed.edges (id, d, ts, tsz) values (80, '4714-11-24 BC', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC'), (81, '0001-01-01 BC', '0001-01-01 00:00:00.000001 BC', '0001-01-01 00:00:00.000001+00 BC'), (82, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00'), (83, '9999-12-31', '10000-01-01 00:00:00', '10000-01-01 00:00:00+00'), (84, '-infinity', '-infinity', '-infinity'), (85, 'infinity', 'infinity', 'infinity');
insert into feed.edges (id, j, t) values (90, '"\u0000\ud83d\ude00"', E'\x7f\u0080\u0085\u00a0\u2028\u2029\ufeff\ufffd'), (91, '  [1 , 2]  ', E'\r\n\t\b\f'), (92, '1E5', repeat('\', 5) || repeat('"', 5)), (93, '-0', '𐍈' || chr(1114109));
insert into feed.edges (id, f4, f8) values (95, 1.17549435e-38, 2.2250738585072014e-308), (96, 8388608, 4503599627370496.5), (97, 0.3, 0.30000000000000004), (98, -1e-5, 1e21), (99, 9999999, 999999999999999.9), (100, 0.001, 0.001), (101, 0.0001, 0.0001);
insert into feed.toast_later select 1, 1, repeat('CaSe', 2000), (select string_agg('l' || i, '.') from generate_series(1, 1000) i)::ltree, (select ('{' || string_agg('[' || 2*i || '.5,' || 2*i+1 || ')', ',') || '}') from generate_series(1, 500) i)::nummultirange, row(1, repeat('pair', 2000))::feed.pair, numrange((repeat('8', 4000))::numeric, (repeat('9', 4000))::numeric), (select string_agg('w' || i, '&') from generate_series(1, 20) i)::tsquery, ('$.' || repeat('a', 5000))::jsonpath, (select ('(' || string_agg('(' || i || ',1)', ',') || ')') from generate_series(1, 500) i)::polygon, (select array_agg(md5(i::text)::uuid) from generate_series(1, 300) i), (select array_agg(hstore('k' || i, md5(i::text))) from generate_series(1, 100) i), (select array_agg(to_jsonb(md5(i::text))) from generate_series(1, 100) i), (select array_agg(decode(md5(i::text), 'hex')) from generate_series(1, 200) i), (select array_agg('very happy'::feed.mood) from generate_series(1, 1000) i), (select array_agg(i / 7.0) from generate_series(1, 500) i), (select array_agg(i % 2 = 0) from generate_series(1, 5000) i), (select array_agg(row(i, md5(i::text))::feed.pair) from generate_series(1, 100) i), (select array_agg(i) from generate_series(1, 1000) i), (select array_agg('10.0.0.0/8'::cidr) from generate_series(1, 500) i), repeat('10', 10000)::bit(20000), repeat('vc', 3000), repeat('bp', 3000), (select array_agg(md5(i::text)) from generate_series(1, 200) i), (select array_agg(i::numeric(6,2)) from generate_series(1, 900) i), (select array_agg(timestamp '2024-01-01' + i * interval '1 second') from generate_series(1, 500) i), (select array_agg(i * interval '1 second') from generate_series(1, 500) i), (select array_agg(i::float8) from generate_series(1, 500) i), (select array_agg(point(i, i)) from generate_series(1, 300) i), null, ('"' || repeat('js', 3000) || '"')::json;
update feed.toast_later set n = 2;
update feed.toast_later set id = 2;
delete from feed.toast_later;
insert into feed.key_later values ('{"a": 1}', 'CaSe', '{1,NULL}', '[1,5)', row(1,'x'), B'10110', B'101', '08:00:2b:01:02:03', '10.0.0.0/8', '0/1', '18446744073709551615', -1.5, 'x', 'n', 7, 'a=>1');
delete from feed.key_later;
insert into feed.key_text values ('', 1), (E'q"\\/\n', 2), ('😀é' || chr(1), 3), ('null', 4), ('NULL', 5), (repeat('k', 2500), 6), (E'\b\f\x0b\x1f\x7f', 7), (E'\u0080\u2028\ufffd\uffff', 8), ('a𐍈b' || chr(1114109) || 'é', 9);
update feed.key_text set v = v + 10;
update feed.key_text set k = k || '!' where v < 14;
delete from feed.key_text;
insert into feed.key_num values (1.50, 1), ('NaN', 2), (1e30, 3), (-0.0, 4), ('Infinity', 5);
update feed.key_num set k = 1.5 where v = 1;
update feed.key_num set v = v + 1;
delete from feed.key_num;
insert into feed.key_time values ('infinity', '-infinity', 'infinity'), ('0044-03-15 00:00:00 BC', '0044-03-15 00:00:00+00 BC', '0044-03-15 BC'), ('2024-01-01 00:00:00.100', '2024-01-01 00:00:00.1+02', '12345-01-01');
delete from feed.key_time;
insert into feed.attached values (1, 'eu', 'a');
insert into elsewhere.attached_us (id, region, v) values (2, 'us', 'before: not published'), (3, 'us', 'nor this');
alter table feed.attached attach partition elsewhere.attached_us for values in ('us');
insert into feed.attached values (4, 'us', 'through the root');
insert into elsewhere.attached_us (id, region, v) values (5, 'us', 'through the leaf');
update feed.attached set v = 'x' where id = 2;
update feed.attached set region = 'us' where id = 1;
delete from feed.attached where id = 3;
alter table feed.attached detach partition elsewhere.attached_us;
insert into elsewhere.attached_us (id, region, v) values (6, 'us', 'after: not published');
insert into feed.attached values (7, 'eu', 'still');
insert into feed.attached_own values ('own', 'alone', 1);
alter table feed.attached attach partition feed.attached_own for values in ('own');
insert into feed.attached values (2, 'own', 'by the root');
update feed.attached_own set v = 'by the leaf' where id = 1;
alter table feed.attached detach partition feed.attached_own;
update feed.attached_own set v = 'alone again' where id = 1;
alter table feed.attached attach partition feed.attached_own default;
insert into feed.attached values (8, 'zz', 'by default');
truncate feed.attached_own;
truncate feed.attached;
create table feed.attached_new partition of feed.attached for values in ('new');
insert into feed.attached values (9, 'new', 'a partition made while the log is read');
drop table feed.attached_new;
insert into feed.leaf_full values (1, 'eu', 'a'), (2, 'eu', 'b');
update feed.leaf_full set v = 'c' where id = 1;
update feed.leaf_full set id = 3 where id = 2;
delete from feed.leaf_full where id = 1;
insert into feed.enums values (1, 'one', '{one}', row(1));
alter type feed.grows add value 'two';
insert into feed.enums values (2, 'two', '{one,two}', row(2));
alter type feed.grows rename value 'one' to 'uno';
insert into feed.enums values (3, 'uno', '{uno,two}', row(3));
alter type feed.widens add attribute b text;
insert into feed.enums values (4, 'two', '{}', row(4, 'b'));
update feed.enums set e = 'uno' where id = 2;
alter table feed.enums add column f feed.grows default 'two', add column m elsewhere.mood[] default '{low}';
insert into feed.enums (id) values (5);
create type feed.fresh as enum ('a', 'b');
create table feed.made (id integer primary key, f feed.fresh, af feed.fresh[]);
alter publication conformance add table feed.made;
insert into feed.made values (1, 'a', '{a,b,NULL}');
drop table feed.made;
create table feed.made (id bigint primary key, f text);
alter publication conformance add table feed.made;
insert into feed.made values (9223372036854775807, 'another one of the same name');
insert into feed.renamed values (1, 'a');
alter table feed.renamed rename to renamed_2;
update feed.renamed_2 set v = 'b';
alter table feed.moves set schema elsewhere;
insert into elsewhere.moves values (1, 'out of sight');
alter table elsewhere.moves set schema feed;
insert into feed.moves values (2, 'back');
insert into feed.again values (1, 'a');
drop table feed.again;
create table feed.again (v text, id bigint primary key);
alter publication conformance add table feed.again;
insert into feed.again values ('b', 2);
insert into feed.identities values (1, 'a', 'v'), (2, 'b', 'v');
alter table feed.identities replica identity full;
update feed.identities set v = 'w' where id = 1;
alter table feed.identities replica identity nothing;
insert into feed.identities values (3, 'c', 'v');
alter table feed.identities replica identity default;
update feed.identities set v = 'x' where id = 1;
delete from feed.identities where id = 2;
begin; insert into feed.streamed select i, repeat('x', 100) from generate_series(1, 3000) i; savepoint a; insert into feed.streamed select i, repeat('y', 100) from generate_series(3001, 4000) i; rollback to a; alter table feed.streamed add column late integer default 7; insert into feed.streamed select i, 'z', i from generate_series(4001, 4010) i; select pg_logical_emit_message(true, 'conformance', 'in a streamed transaction'); savepoint b; update feed.streamed set v = 'gone' where id < 100; rollback to b; update feed.streamed set late = 8 where id < 10; delete from feed.streamed where id between 10 and 19; truncate feed.again; commit;
begin; insert into feed.streamed select i, repeat('x', 100), 1 from generate_series(5001, 8000) i; rollback;
insert into feed.streamed select i, repeat(md5(i::text), 100000), 1 from generate_series(8001, 8004) i;
begin; insert into feed.streamed values (9001, 'prepared', 1); prepare transaction 'conformance';
insert into feed.streamed values (9002, 'in between', 1);
commit prepared 'conformance';
begin; insert into feed.streamed values (9003, 'prepared and rolled back', 1); prepare transaction 'conformance';
rollback prepared 'conformance';
select pg_replication_origin_create('conformance origin "q"');
select pg_replication_origin_session_setup('conformance origin "q"');
begin; select pg_replication_origin_xact_setup('0/1234', '2024-01-01 00:00:00+00'); insert into feed.origins values (1, 'a'); commit;
insert into feed.origins values (2, 'without a place of its own');
select pg_replication_origin_session_reset();
insert into feed.origins values (3, 'without origin');
insert into feed.triggered values (1, 'a');
update feed.triggered set v = 'b';
insert into feed.triggered values (1, 'c') on conflict (id) do update set v = excluded.v;
-- since 15
merge into feed.triggered t using (values (1, 'm'), (2, 'n')) s (id, v) on t.id = s.id when matched then update set v = s.v when not matched then insert (id, v) values (s.id, s.v);
-- since 15
insert into feed.scales values (1, 12345, 0.00123, '{12345,NULL,-99}'), (2, -99, -0.00999, '{}'), (3, 0, 0, null);
-- since 15
insert into feed.columns_of values (1, 1, 'b', 'c');
-- since 15
update feed.columns_of set c = 'not published';
-- since 15
update feed.columns_of set b = 'x';
-- since 15
delete from feed.columns_of;
-- since 15
insert into feed.rows_of values (1, 1, 'in'), (2000, 1, 'out');
-- since 15
update feed.rows_of set id = 2001 where id = 1;
-- since 15
update feed.rows_of set id = 2 where id = 2000;
-- since 15
update feed.rows_of set b = 'x';
-- since 15
delete from feed.rows_of;
-- since 15
insert into feed.nulls_key values (1, 'a'), (null, 'b');
-- since 17
insert into feed.ident_parted (v) values ('a'), ('b');
-- since 17
update feed.ident_parted set v = 'c' where id = 1;
-- since 18
insert into feed.virt (id, a, z) values (1, 1, 'a'), (2, null, null);
-- since 18
update feed.virt set a = 5 where id = 1;
-- since 18
alter table feed.virt add column y integer generated always as (a + 100), add column x text default 'x';
-- since 18
update feed.virt set z = 'b' where id = 2;
-- since 18
delete from feed.virt where id = 1;
-- since 18
insert into feed.virt_full (id, a, z) values (1, 1, 'a');
-- since 18
insert into feed.stored_of (id, a, z) values (1, 2, 'not published');
-- since 18
update feed.stored_of set a = 3;
-- since 18
insert into feed.uuid7 (id, v) values ('01890a5d-ac96-774b-bcce-b302099a8057', 'v7');
-- since 18
insert into feed.temporal values (1, '[2024-01-01,2024-02-01)', 'a'), (1, '[2024-02-01,2024-03-01)', 'b');
-- since 18
delete from feed.temporal where valid @> date '2024-02-15';
