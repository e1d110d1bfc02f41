-- The workload of the differential test in a database that is not in UTF-8: tables. This file is in UTF-8, and so is the session.
create extension hstore;
create extension citext;
create schema feed;
create table feed.marks (id integer primary key);
create table feed.rows (id integer primary key, k integer, v text);
create type feed."stimmung" as enum ('fröhlich', 'müde', 'ÿ');
create type feed.paar as (größe integer, straße text);
create table feed."Größen" ("Schlüssel" text primary key, "Straße" text, "ß" integer, "é.ü" varchar(20) default 'ñ');
create table feed.werte (id integer primary key, t text, c char(6), ch "char", nm name, ci citext, j json, jb jsonb, x xml, e feed.stimmung, ae feed.stimmung[], at text[], hs hstore, p feed.paar, ap feed.paar[], ba bytea, m money, tv tsvector, big text);
alter table feed.werte alter big set storage external;
create table feed.voll (id integer primary key, t text);
alter table feed.voll replica identity full;
create table feed."erzeugt" (id integer primary key, a integer, s integer generated always as (a * 2) stored, t text);
alter table feed."erzeugt" replica identity full;
-- since 18
create table feed.both (id integer primary key, a integer, s integer generated always as (a * 2) stored, v integer generated always as (a * 3) virtual, t text);
