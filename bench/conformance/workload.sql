-- The workload of the differential test, part 2: changes, one transaction per statement unless marked.
insert into feed.scalars (id) values (1);
insert into feed.scalars values (2, true, 1, 2, 3, 1.5, 2.25, 12.340, 12.34, 99.95, 4294967295,
  'text "quoted" \ back/slash' || chr(10) || chr(9) || chr(1) || chr(127) || ' é 漢字 😀', 'varchar', 'char', 'x', 'name', 'ci',
  '\x00ff10', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": 1,  "b":[1,2]}', '{"a": 1,  "b":[1,2]}', '<a>x</a>',
  '2024-02-29', '11:22:33.456789', '11:22:33.456', '11:22:33.456789+05:30', '2024-02-29 11:22:33.456789', '2024-02-29 11:22:33', '2024-02-29 11:22:33.456', '2024-02-29 11:22:33.456789+02', '2024-02-29 11:22:33.4+02',
  '1 year 2 mons 3 days 04:05:06.789', B'1', B'10110', B'10110111000011110101', B'101', B'110011001',
  '192.168.1.5/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
  '(1.5,-2)', '{1,2,3}', '[(1,2),(3,4)]', '(3,4),(1,2)', '((1,2),(3,4))', '((1,2),(3,4),(5,6))', '<(1,2),3>',
  'a fat cat', 'fat & cat', '16/B374D848', '1234567890123', '10:20:10,14,15', '$.a[*] ? (@ > 1)',
  'a=>1,b=>NULL,"c d"=>"x\"y"', 'very happy', 12.5, 'label', 'sub', row(1, 'x "y"'),
  '[1,5)', '[1,5]', '[1.5,2.5)', '[2024-01-01,2024-02-01)', '[2024-01-01 10:00,2024-02-01 11:00)', '[2024-01-01 10:00+00,2024-02-01 11:00+00)', '{[1,3),[5,8)}',
  'pg_class', '123', '5', '(1,2)', 'postgres', 'integer');
insert into feed.scalars (id, i2, i4, i8, f4, f8, n, n2, m, o) values
  (3, -32768, -2147483648, -9223372036854775808, '-Infinity', '-Infinity', 'NaN', -12345678.1234, -92233720368547758.08, 0),
  (4, 32767, 2147483647, 9223372036854775807, 'Infinity', 'Infinity', 1e-20, 0, 92233720368547758.07, 1),
  (5, 0, 0, 0, 'NaN', 'NaN', 123456789012345678901234567890.123456789, 0.0001, 0, 2),
  (6, 0, 0, 0, 1e-30, 1e-300, 1e30, 1, 0.01, 2),
  (7, 0, 0, 0, 3.4028235e38, 1.7976931348623157e308, 0.0000001, 1, -0.01, 2),
  (8, 0, 0, 0, 0.1, 0.1, 100, 100, 1234567.89, 2),
  (9, 0, 0, 0, -0.0, -0.0, -0.50, -0.50, 1, 2);
insert into feed.scalars (id, n) values (10, 'Infinity');
insert into feed.scalars (id, n) values (11, '-Infinity');
insert into feed.scalars (id, d) values (20, '0001-01-01'), (21, '9999-12-31'), (22, '1970-01-01'), (23, '1582-10-15'), (24, '0044-03-15 BC'), (25, '5874897-12-31'), (26, '1500-03-01'), (27, '10000-01-01');
insert into feed.scalars (id, d) values (28, 'infinity'), (29, '-infinity');
insert into feed.scalars (id, ts) values (30, '0001-01-01 00:00:00'), (31, '9999-12-31 23:59:59.999999'), (32, '1970-01-01'), (33, '0044-03-15 12:00:00 BC'), (34, '294276-12-31 23:59:59.999999'), (35, '2024-06-01 12:00:00.1'), (36, '2024-06-01 12:00:00.120'), (37, '1969-12-31 23:59:59.999999'), (38, '1500-03-01 01:02:03');
insert into feed.scalars (id, ts) values (39, 'infinity'), (40, '-infinity');
insert into feed.scalars (id, tsz) values (41, '0001-01-01 00:00:00+00'), (42, '9999-12-31 23:59:59.999999+00'), (43, '1970-01-01 00:00:00+00'), (44, '0044-03-15 12:00:00+00 BC'), (45, '294276-12-31 23:59:59.999999+00'), (46, '2024-06-01 12:00:00.1-07:30'), (47, '2024-06-01 12:00:00+00'), (48, '1500-03-01 01:02:03+00');
insert into feed.scalars (id, tsz) values (49, 'infinity'), (50, '-infinity');
insert into feed.scalars (id, ti) values (51, '00:00:00'), (52, '23:59:59.999999'), (53, '12:00:00.5'), (54, '24:00:00'), (55, '12:30');
insert into feed.scalars (id, tz) values (56, '00:00:00+00'), (57, '23:59:59.999999-12'), (58, '12:00:00.5+14'), (59, '01:00:00+05:45'), (61, '12:30+00');
insert into feed.scalars (id, tz) values (60, '24:00:00+00');
insert into feed.scalars (id, iv) values (62, '0'), (63, '1 day'), (64, '-1 year -2 mons +3 days -04:05:06.789'), (65, '1000 years'), (66, '0.000001 seconds'), (67, '-0.5 seconds'), (68, '26 hours'), (69, '1 mon -1 day'), (70, '14 months');
insert into feed.scalars (id, t, vc, c, ba, j, jb, x) values (71, '', '', '', '', '[]', '{}', ''), (72, ' lead and trail ', '  ', 'ab', '\xdeadbeef', 'null', 'null', '<a/>'), (73, E'\u2028\u2029</script>', 'v', 'c', '\x', '"str"', '"str"', '<b/>');
insert into feed.scalars (id, b1, b5, b20, vb, vb9) values (74, B'0', B'00000', B'00000000000000000001', B'', B'1'), (75, B'1', B'11111', B'10000000000000000000', B'1111111100000000', B'11111111');
insert into feed.scalars (id, ip, net, mac) values (76, '::1', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff'), (77, '10.0.0.1', '10.1.2.3/32', '00:00:00:00:00:00');
insert into feed.scalars (id, pt) values (78, '(0,0)'), (79, '(1e100,-1e-7)'), (80, '(Infinity,NaN)');
insert into feed.scalars (id, hs) values (81, ''), (82, '"k"=>"é","back\\slash"=>"q\"uote"'), (83, 'z=>1,a=>2');
insert into feed.scalars (id, r4, rn, rd) values (84, 'empty', '(,)', '(,2024-01-01]'), (85, '(,5]', '[1,)', 'empty');
insert into feed.scalars (id, p) values (86, row(null, null)), (87, row(1, '')), (88, row(-1, 'a,b(c)'));
insert into feed.scalars (id, tsz3, ts3, ts0, ti3) values (89, '2024-06-01 12:00:00.123+00', '2024-06-01 12:00:00.120', '2024-06-01 12:00:01', '12:00:00.1');
insert into feed.scalars (id, o, rc, rol) values (90, 4294967295, 'feed.scalars', 'postgres');
update feed.scalars set t = 'changed', n = 1.10 where id = 2;
delete from feed.scalars where id = 1;
insert into feed.arrays (id) values (1);
insert into feed.arrays values (2, '{t,f,NULL}', '{1,-2}', '{1,NULL,3}', '{9223372036854775807}', '{1.5,NaN}', '{1.5,NaN,Infinity}', '{1.10,NULL,1e-10}', '{1.5,2}', '{1.5,-2}',
  '{a,"b c",NULL,"q\"q","back\\\\slash","NULL",""}', '{x}', '{ab}', '{"\\x00ff"}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', array['{"a": 1}'::json], array['{"a": 1}'::jsonb],
  '{2024-02-29,1970-01-01}', '{11:22:33.5}', '{11:22:33.5+02}', '{"2024-02-29 11:22:33.456789"}', '{"2024-02-29 11:22:33.456789+02"}', '{"1 day","02:00:00"}',
  '{1,0}', '{10110}', '{101}', '{192.168.1.5/24}', '{10.0.0.0/8}', '{08:00:2b:01:02:03}', '{"(1,2)"}',
  '{sad,"very happy",NULL}', '{12.5}', array[row(1,'x')::feed.pair], '{"[1,5)"}', array['a=>1'::hstore], '{1,4294967295}', array['a b'::tsvector], '{n1}');
insert into feed.arrays (id, ai, at, an, ad) values (3, '{}', '{}', '{}', '{}');
insert into feed.arrays (id, ai) values (4, '{{1,2},{3,4}}');
insert into feed.arrays (id, at) values (5, '{{a,b},{c,NULL}}');
insert into feed.arrays (id, ai) values (6, '[5:6]={1,2}');
insert into feed.arrays (id, ad, ats, atsz) values (7, '{NULL}', '{NULL}', '{NULL}');
insert into feed.arrays (id, ad) values (8, '{infinity,-infinity,"0044-03-15 BC"}');
insert into feed.arrays (id, ats) values (9, '{infinity}');
insert into feed.arrays (id, atsz) values (10, '{infinity}');
insert into feed.generated (w, h) values (2, 3);
insert into feed.generated default values;
update feed.generated set w = 10 where id = 1;
insert into feed."Quoted Table" values (1, 'x', 2, 'ü');
update feed."Quoted Table" set "select" = 3;
delete from feed."Quoted Table";
insert into feed.composite_key values ('k', 1, 'v'), ('k', 2, 'v');
update feed.composite_key set b = 'other' where a = 1;
update feed.composite_key set v = 'w' where a = 2;
delete from feed.composite_key where a = 2;
insert into feed.unique_only values (1, 'c1', 'v'), (2, 'c2', null);
insert into feed.no_key values (1, 'a'), (1, 'a'), (null, null);
insert into feed.no_key_full values (1, 'a'), (2, null);
update feed.no_key_full set v = 'b' where id = 1;
delete from feed.no_key_full where id = 2;
insert into feed.identity_full values (1, 'a', repeat('x', 10)), (2, 'b', null);
update feed.identity_full set v = 'c' where id = 1;
update feed.identity_full set id = 10 where id = 1;
delete from feed.identity_full where id = 2;
insert into feed.identity_index values (1, 'one', 'v'), (2, 'two', 'w');
update feed.identity_index set v = 'x' where id = 1;
update feed.identity_index set code = 'uno' where id = 1;
update feed.identity_index set id = 100 where id = 2;
delete from feed.identity_index where id = 1;
insert into feed.identity_nothing values (1, 'a');
insert into feed.toast select 1, 1, string_agg(md5(i::text), ''), string_agg(decode(md5(i::text), 'hex'), ''), jsonb_object_agg('k' || i, md5(i::text)), array_agg(md5(i::text)), (string_agg((1000000000 + i * 7919)::text, '') || '.5')::numeric, hstore(array_agg('k' || i), array_agg(md5(i::text))), ('<a>' || string_agg(md5(i::text), '') || '</a>')::xml, string_agg(('x' || md5(i::text))::bit(128)::text, '')::varbit, to_tsvector('simple', string_agg(md5(i::text), ' ')) from generate_series(1, 300) i;
update feed.toast set n = 2;
update feed.toast set big = 'small' where id = 1;
update feed.toast set id = 5 where id = 1;
alter table feed.toast replica identity full;
update feed.toast set n = 3;
delete from feed.toast;
insert into feed.parted values (1, 'eu', 'a'), (2, 'us', 'b');
update feed.parted set v = 'c' where id = 1;
update feed.parted set region = 'us' where id = 1;
delete from feed.parted where id = 2;
insert into feed.trunc_a values (1), (2);
insert into feed.trunc_b values (1, 1);
truncate feed.trunc_a, feed.trunc_b;
truncate feed.trunc_a restart identity cascade;
insert into feed.evolve values (1, 'a', 1);
alter table feed.evolve add column c text default 'dflt';
insert into feed.evolve values (2, 'b', 2, 'c');
alter table feed.evolve rename column a to aa;
update feed.evolve set aa = 'renamed' where id = 1;
alter table feed.evolve drop column b;
insert into feed.evolve values (3, 'x', 'y');
alter table feed.evolve alter column c drop default, alter column c type integer using 1;
insert into feed.evolve values (4, 'x', 42);
begin; insert into feed.rows select i, i, 'v' || i from generate_series(1, 50) i; update feed.rows set k = k + 1 where id <= 5; delete from feed.rows where id > 45; commit;
begin; insert into feed.rows values (100, 1, 'kept'); savepoint s; insert into feed.rows values (101, 1, 'dropped'); rollback to s; insert into feed.rows values (102, 1, 'kept'); commit;
begin; insert into feed.rows values (103, 1, 'aborted'); rollback;
update feed.rows set id = id + 1000 where id = 100;
insert into feed.nullable_key (id) values (1);
insert into feed.nullable_key values (2, 'y', null);
delete from feed.nullable_key where id = 1;
insert into feed.money_dec values (1234567890, '2024-01-01 00:00:00+00', '2024-01-01');
update feed.money_dec set d = '2024-01-02';
delete from feed.money_dec;
insert into feed.key_types values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-01-01 10:00:00', '2024-01-01', 1.5, '\x00ff', 'ok');
delete from feed.key_types;
insert into feed.wide (id, c1, c2, c3, c4, c5, c6) values (1, 'x', 1.5, true, '2024-01-01 00:00:00+00', 1.5, 7);
select pg_logical_emit_message(true, 'conformance', 'transactional content');
select pg_logical_emit_message(false, 'conformance', 'free content');
begin; select pg_logical_emit_message(true, 'conformance', 'inside'); insert into feed.rows values (200, 1, 'after message'); commit;
insert into feed.ck1 values (1, 2, 3, 'v');
insert into feed.ck2 values (1, 2);
insert into feed.ck3 values (1, 2);
insert into feed.ck4 values (1, 2);
insert into feed.more (id, vb1, tsz0, f8, f4, ci, lt) values (1, B'1', '2024-01-01 00:00:00+00', '-0', '-0', 'CaSe', 'a.b.c'), (2, B'0', '2024-01-01 00:00:01+00', 1e20, 1e20, '', ''), (3, null, null, 123456789012345680, 16777216, null, null), (4, null, null, 1e15, 1e-5, null, null);
insert into feed.more (id, pa, pg, bx) values (5, '[(1,2),(3,4)]', '((0,0),(1e300,1),(-0.5,2))', '(0,0),(0,0)');
insert into feed.more (id, an, atsz, af, ats, ati) values (6, '{NaN,Infinity,1.0}', '{"2024-01-01 00:00:00+00","2024-01-01 00:00:00.5+00"}', '{-0,1e20}', '{"2024-01-01 00:00:00.500","1000-01-01 BC"}', '{24:00:00,00:00:00.10}');
insert into feed.more (id, s1, s2, ser) values (7, 1, 2, default);
insert into feed.big_toast select 1, 1, (string_agg((1000000000 + i * 7919)::text, '') || '.5')::numeric, ('[' || string_agg('(' || i || ',1)', ',') || ']')::path, array_agg(i), array_agg('2024-01-01 00:00:00+00'::timestamptz), ('x' || string_agg(md5(i::text), ''))::feed.label from generate_series(1, 3000) i;
update feed.big_toast set n = 2;
insert into feed.toast (id, big) values (9, repeat('0123456789abcdef', 4 * 1024 * 1024));
