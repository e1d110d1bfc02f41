-- An OMS that has nothing in common with the reference: names in quotes and mixed case, keys of several columns, size runs in
-- columns, prices in rows per currency without a primary key, addresses in one wide row, soft deletes, custom fields in jsonb,
-- states as enums, partitioned invoices, and a view between.
create schema "Loom";
create type "Loom"."StyleState" as enum ('in range', 'on hold', 'dead');
create type "Loom"."DocKind" as enum ('SO', 'QU');
create type "Loom"."DocState" as enum ('draft', 'released', 'void');
create domain "Loom"."Money" as numeric(12, 4);

create table "Loom"."SizeScale" (
  "Code" text primary key, "S1" text, "S2" text, "S3" text, "S4" text
);
create table "Loom"."Item" (
  "Client" smallint, "ItemNo" varchar(12), "Title" text not null, "Season Code" char(4) not null, "State" "Loom"."StyleState" not null,
  "Scale" text not null references "Loom"."SizeScale" on update cascade, "Custom" jsonb not null default '{}', "Gone" timestamptz,
  primary key ("Client", "ItemNo")
);
create table "Loom"."ItemColour" (
  "Client" smallint, "ItemNo" varchar(12), "ColourNo" char(3), "PortalId" bigint not null unique, "in" text not null, "Photo" text, "Gone" timestamptz,
  primary key ("Client", "ItemNo", "ColourNo"),
  foreign key ("Client", "ItemNo") references "Loom"."Item" on update cascade on delete cascade
);
create table "Loom"."Barcode" (
  "Client" smallint, "ItemNo" varchar(12), "ColourNo" char(3), "Slot" smallint, "Ean" char(13) not null,
  primary key ("Client", "ItemNo", "ColourNo", "Slot"),
  foreign key ("Client", "ItemNo", "ColourNo") references "Loom"."ItemColour" on update cascade on delete cascade
);
create table "Loom"."Price List" (
  "Client" smallint not null, "ItemNo" varchar(12) not null, "Currency" char(3) not null, "Tier" "char" not null, "Amount" "Loom"."Money" not null,
  "From" date not null default '2020-01-01',
  foreign key ("Client", "ItemNo") references "Loom"."Item" on update cascade on delete cascade
);
create view "Loom"."LivePrice" as
  select distinct on ("Client", "ItemNo", "Currency", "Tier") * from "Loom"."Price List"
  where "From" <= current_date order by "Client", "ItemNo", "Currency", "Tier", "From" desc;

create table "Loom"."Account" (
  "Client" smallint, "AccNo" integer, "Name" text not null, "Currency" char(3) not null, "Discount" real, "Custom" jsonb not null default '{}', "Gone" timestamptz,
  "InvStreet" text not null default '', "InvCity" text, "InvZip" text, "InvLand" char(2) not null default '',
  "Del1Street" text, "Del1City" text, "Del1Zip" text, "Del1Land" char(2),
  "Del2Street" text, "Del2City" text, "Del2Zip" text, "Del2Land" char(2),
  primary key ("Client", "AccNo")
);

create table "Loom"."StockRun" (
  "Client" smallint, "ItemNo" varchar(12), "ColourNo" char(3), "Store" char(2),
  "Q1" integer not null default 0, "Q2" integer not null default 0, "Q3" integer not null default 0, "Q4" integer not null default 0,
  "R1" integer not null default 0, "R2" integer not null default 0, "R3" integer not null default 0, "R4" integer not null default 0,
  primary key ("Store", "Client", "ItemNo", "ColourNo"),
  foreign key ("Client", "ItemNo", "ColourNo") references "Loom"."ItemColour" on update cascade on delete cascade
);
create table "Loom"."Inbound" (
  "Client" smallint not null, "ItemNo" varchar(12) not null, "ColourNo" char(3) not null, "Store" char(2) not null, "Slot" smallint not null,
  "Due" date not null, "Pieces" integer not null,
  foreign key ("Client", "ItemNo", "ColourNo") references "Loom"."ItemColour" on update cascade on delete cascade
);

create table "Loom"."Document" (
  "Client" smallint, "Kind" "Loom"."DocKind", "DocNo" bigint, "State" "Loom"."DocState" not null, "AccNo" integer not null, "Currency" char(3) not null,
  "Made" date not null default current_date, "ShipFrom" date not null, "ShipUntil" date not null, "TheirRef" text, "Foreign Ref" text,
  "Custom" jsonb not null default '{}', "Gone" timestamptz, "DelStreet" text, "DelCity" text, "DelZip" text, "DelLand" char(2),
  primary key ("Client", "Kind", "DocNo"),
  foreign key ("Client", "AccNo") references "Loom"."Account" on update cascade
);
create table "Loom"."DocLine" (
  "Client" smallint, "Kind" "Loom"."DocKind", "DocNo" bigint, "Pos" smallint, "ItemNo" varchar(12) not null, "ColourNo" char(3) not null, "Store" char(2) not null,
  "N1" integer not null default 0, "N2" integer not null default 0, "N3" integer not null default 0, "N4" integer not null default 0, "Each" "Loom"."Money" not null,
  primary key ("Client", "Kind", "DocNo", "Pos"),
  foreign key ("Client", "Kind", "DocNo") references "Loom"."Document" on update cascade on delete cascade,
  foreign key ("Client", "ItemNo", "ColourNo") references "Loom"."ItemColour" on update cascade
);

create table "Loom"."Invoice" (
  "InvNo" bigint, "Made" date, "Client" smallint not null, "Kind" "Loom"."DocKind" not null, "DocNo" bigint not null, "Void" boolean not null default false,
  "Parcels" text[] not null default '{}', primary key ("InvNo", "Made")
) partition by range ("Made");
create table "Loom"."Invoice2026" partition of "Loom"."Invoice" for values from ('2026-01-01') to ('2027-01-01');
create table "Loom"."InvoiceRest" partition of "Loom"."Invoice" default;
create table "Loom"."InvoiceLine" (
  "InvNo" bigint, "Made" date, "Pos" smallint, "N1" integer not null default 0, "N2" integer not null default 0, "N3" integer not null default 0, "N4" integer not null default 0,
  primary key ("InvNo", "Made", "Pos"),
  foreign key ("InvNo", "Made") references "Loom"."Invoice" on delete cascade
) partition by hash ("InvNo");
create table "Loom"."InvoiceLineA" partition of "Loom"."InvoiceLine" for values with (modulus 2, remainder 0);
create table "Loom"."InvoiceLineB" partition of "Loom"."InvoiceLine" for values with (modulus 2, remainder 1);
