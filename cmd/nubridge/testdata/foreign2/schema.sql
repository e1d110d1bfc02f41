-- A second OMS that has nothing in common with the reference, nor with the other foreign one: char(n), uuid, domain and numeric keys, prices in
-- jsonb by currency, attributes as rows, versioned customers with addresses in an array of composites, header and lines of orders in one
-- table, partial receipts in arrays, money, flags as Y and N, stock without a primary key, partitioned invoices that name lines in jsonb.
create schema "WMS"; create schema crm;
create type "WMS".lifecycle as enum ('ACTIVE','PHASE_OUT','CLOSED');
create type crm.addr as (kind text, street text, town text, postcode text, land text, extra text);
create domain crm.code8 as char(8);
create table "WMS"."SizeScale" ("Scale" char(4) primary key, s01 text, s02 text, s03 text, s04 text, s05 text, s06 text);
create table "WMS"."Style" (
  "Division" smallint, "Style" varchar(20), "Descr" text, "Season" char(3) not null, "Scale" char(4) references "WMS"."SizeScale",
  "Valid" "char" not null default 'Y', "Deleted" char(1) not null default 'N', "Prices" jsonb not null default '{}',  -- {"USD": {"ws": 10.5, "msrp": 22}, "EUR": {...}}
  "LifeCycle" "WMS".lifecycle not null default 'ACTIVE',
  primary key ("Division","Style"));
create table "WMS"."StyleColor" (
  "Division" smallint, "Style" varchar(20), "Color" char(6), uid uuid not null unique default gen_random_uuid(), "Color Name" text, "Launch" date, "Deleted" char(1) not null default 'N',
  primary key ("Division","Style","Color"), foreign key ("Division","Style") references "WMS"."Style" on update cascade);
-- attributes as rows
create table "WMS"."Attr" ("Division" smallint, "Style" varchar(20), "Name" text, "Value" text, primary key ("Division","Style","Name"));
-- upc per column position
create table "WMS"."UpcRun" ("Division" smallint, "Style" varchar(20), "Color" char(6), upc_01 numeric(14), upc_02 numeric(14), upc_03 numeric(14), upc_04 numeric(14), upc_05 numeric(14), upc_06 numeric(14),
  primary key ("Division","Style","Color"));
-- stock without a primary key; negative numbers possible; one row per warehouse and colour
create table "WMS"."OnHand" ("Div" smallint, "Sty" varchar(20), "Col" char(6), "Whse" char(3), qty_01 int, qty_02 int, qty_03 int, qty_04 int, qty_05 int, qty_06 int, "Held" jsonb);
-- purchase orders in one table, partial receipts
create table "WMS"."PO" ("PoNo" text, "Line" int, "Div" smallint, "Sty" varchar(20), "Col" char(6), "Whse" char(3), eta timestamptz, closed char(1) not null default 'N',
  ord_01 int, ord_02 int, ord_03 int, ord_04 int, ord_05 int, ord_06 int, rec int[] not null default '{}', primary key ("PoNo","Line"));
-- versioned customers, latest row wins
create table crm."CustomerVersion" ("Cust" crm.code8, "Version" int, "Name" text, "Curr" text[] not null, "Disc" double precision, "Limit" money, "Status" text, "Adr" crm.addr[] not null default '{}',
  "Terms" int, "Rep" text, primary key ("Cust","Version"));
create table crm."Terms" (id int primary key, txt jsonb);
-- header and lines in one table
create table "WMS"."OrderRow" ("Doc" numeric(10) not null, "Row" int not null, "IsHeader" boolean not null, "Cust" crm.code8, "State" text, "Entered" date, "From" date, "To" date, "Po" text, "Ext" text, "Curr" char(3), "Memo" text, "Extra" jsonb,
  "Div" smallint, "Sty" varchar(20), "Col" char(6), "Whse" char(3), "Size" text, "Qty" int, "Price" money, primary key ("Doc","Row"));
create table "WMS"."Inv" (inv bigint, doc numeric(10) not null, posted date not null, track jsonb, lines jsonb, primary key (inv, posted)) partition by range (posted);
create table "WMS"."Inv_2026_11" partition of "WMS"."Inv" for values from ('2026-11-01') to ('2026-12-01');
create table "WMS"."Inv_2026_12" partition of "WMS"."Inv" for values from ('2026-12-01') to ('2027-01-01');
create table "WMS"."Inv_default" partition of "WMS"."Inv" default;
create view "WMS"."ActiveColor" as select c.*, s."Descr", s."Season", s."Scale", s."Prices", s."LifeCycle", s."Deleted" as "StyleDeleted" from "WMS"."StyleColor" c join "WMS"."Style" s using ("Division","Style");
alter table "WMS"."PO" replica identity full;
alter table "WMS"."OnHand" replica identity full;
alter table "WMS"."Inv" replica identity full;
alter table "WMS"."Inv_2026_11" replica identity full;
alter table "WMS"."Inv_2026_12" replica identity full;
alter table "WMS"."Inv_default" replica identity full;
