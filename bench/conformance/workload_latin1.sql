-- The workload of the differential test in a database that is not in UTF-8: changes.
insert into feed."Größen" values ('äöü', 'Grüße', 1, 'é'), ('ÿ', '¿¡', 2, default), ('plain', '£¥§', 3, null);
update feed."Größen" set "Straße" = 'Straße ' || chr(160) || chr(255) || chr(128) || chr(159) where "ß" = 1;
update feed."Größen" set "Schlüssel" = 'neuer Schlüssel' where "ß" = 2;
delete from feed."Größen" where "ß" = 3;
insert into feed.werte (id, t, c, ch, nm, ci) values (1, 'é "ü" \ ß', 'äö', 'é', 'naïve', 'ÄÖÜ');
insert into feed.werte (id, j, jb, x) values (2, '{"ü": "\u00e9 é"}', '{"ü": "\u00fc é"}', '<a b="c">x</a>');
insert into feed.werte (id, e, ae, at, hs) values (3, 'fröhlich', '{fröhlich,müde,NULL,ÿ}', '{"é,ü",NULL,"\"ß\""}', 'ü=>é,"ß ß"=>NULL');
insert into feed.werte (id, p, ap, ba, m, tv) values (4, row(1, 'Straße, "ß"'), array[row(1, 'é')::feed.paar, null], convert_to('é', 'LATIN1'), -1.5, 'größe straße');
insert into feed.werte (id, big) select 5, string_agg('é' || md5(i::text), '') from generate_series(1, 300) i;
update feed.werte set t = 'ü' where id = 5;
insert into feed.voll values (1, 'é');
update feed.voll set t = 'è';
alter table feed.voll rename column t to "tö";
update feed.voll set "tö" = 'ê';
delete from feed.voll;
begin; insert into feed.voll select i, repeat('ü', 100) from generate_series(1, 2000) i; delete from feed.voll where id > 5; commit;
select pg_logical_emit_message(true, 'präfix', 'inhalt é');
select pg_logical_emit_message(true, 'prefix', '\xe9ff'::bytea);
insert into feed."erzeugt" (id, a, t) values (1, 1, 'é');
update feed."erzeugt" set a = 2;
delete from feed."erzeugt";
insert into feed."erzeugt" (id, a, t) values (2, 1, 'ü');
-- since 18
insert into feed.both (id, a, t) values (1, 1, 'é'), (2, null, null);
-- since 18
update feed.both set a = 2 where id = 1;
