-- A made-up OMS unlike the reference: quoted mixed case, composite keys, size runs in columns, jsonb, enums, partitions, a table
-- without a primary key, a view, a domain.
create schema "Erp";
create type "Erp"."ItemState" as enum ('active', 'on hold', 'dropped');
create domain "Erp"."Money" as numeric(14, 4);

create table "Erp"."Item" (
    "Company" smallint not null, "ItemNo" varchar(20) not null, "Season Code" char(4) not null,
    "State" "Erp"."ItemState" not null default 'active', "Descr" text, "Attrs" jsonb, "Tags" text[],
    "Size1" text, "Size2" text, "Size3" text,
    primary key ("Company", "ItemNo", "Season Code")
);
create table "Erp"."ItemColor" (
    "Company" smallint not null, "ItemNo" varchar(20) not null, "Season Code" char(4) not null, "Color" uuid not null, "Name" text not null,
    "Upc1" text, "Upc2" text, "Upc3" text, "Qty1" int, "Qty2" int, "Qty3" int,
    "Wholesale" "Erp"."Money", "Retail" "Erp"."Money", "Live" boolean not null default true,
    primary key ("Company", "ItemNo", "Season Code", "Color")
);
create view "Erp"."SellableItem" as select * from "Erp"."Item" where "State" <> 'dropped';

create table "Erp"."Customer" ("CustNo" char(8) primary key, "Name" text not null, "Cur" text not null, "Rebate" double precision);
create table "Erp"."CustAddr" ("CustNo" char(8) not null, "Kind" "char" not null, "Street" text, "Country" text);
alter table "Erp"."CustAddr" replica identity full;

create table "Erp"."Order" ("Year" int, "No" int, "CustNo" char(8) not null, "Ref" text, "Placed" timestamptz not null, "From" date not null, "Void" boolean not null default false, primary key ("Year", "No"));
create table "Erp"."OrderLine" ("Year" int, "No" int, "Line" int, "Company" smallint, "ItemNo" varchar(20), "Season Code" char(4), "Color" uuid, "Size" text, "Pcs" int, "Each" "Erp"."Money", primary key ("Year", "No", "Line"));
create table "Erp"."Invoice" ("InvDate" date not null, "InvNo" int not null, "Year" int not null, "No" int not null, "Track" text[], primary key ("InvDate", "InvNo")) partition by range ("InvDate");
create table "Erp"."Invoice2025" partition of "Erp"."Invoice" for values from ('2025-01-01') to ('2026-01-01');
create table "Erp"."Invoice2026" partition of "Erp"."Invoice" for values from ('2026-01-01') to ('2027-01-01');
alter table "Erp"."Invoice" replica identity full;
alter table "Erp"."Invoice2025" replica identity full;
alter table "Erp"."Invoice2026" replica identity full;

insert into "Erp"."Item" values
    (1, 'TEE|1', 'F26 ', 'active', 'Tee "one"', '{"fabric": "linen", "origin": {"country": "PT"}, "weight": 180.50}', '{basic,"two words"}', 'S', 'M', null),
    (1, 'OLD', 'F26 ', 'dropped', null, null, null, 'S', null, null);
insert into "Erp"."ItemColor" values
    (1, 'TEE|1', 'F26 ', '00000000-0000-0000-0000-0000000000aa', 'Red', '111', '112', null, 5, -2, null, 12.5000, 30.0000, true),
    (1, 'OLD', 'F26 ', '00000000-0000-0000-0000-0000000000bb', 'Red', '211', null, null, 1, null, null, 1, 2, true);
insert into "Erp"."Customer" values ('C1', 'Shop', 'EUR', 2.5);
insert into "Erp"."CustAddr" values ('C1', 'B', 'Street 1', 'DE'), ('C1', 'S', 'Street 2', 'DE');
insert into "Erp"."Order" values (2026, 1, 'C1', null, '2026-11-24 10:00:00+00', '2026-12-01', false);
insert into "Erp"."OrderLine" values (2026, 1, 1, 1, 'TEE|1', 'F26 ', '00000000-0000-0000-0000-0000000000aa', 'S', 3, 12.5), (2026, 1, 2, 1, 'TEE|1', 'F26 ', '00000000-0000-0000-0000-0000000000aa', 'M', 0, 12.5);
insert into "Erp"."Invoice" values ('2026-11-24', 9, 2026, 1, '{1Z,2Z}');
