insert into "Loom"."SizeScale" values ('LADIES', '34', '36', '38', null), ('ONE', 'one size', null, null, null);

-- Each story has items of its own, once with the prefix A (told while the bridge runs) and once with B (told while it is down).
insert into "Loom"."Item"
select 1, p || '-' || n, 'Item ' || p || n, 'W26', 'in range', case when n = 'ONE' then 'ONE' else 'LADIES' end,
       jsonb_build_object('portal', true, 'fabric', jsonb_build_object('shell', 'wool'), 'Care Label', 'cold', 'tags', jsonb_build_array('new', 'two words'))
from unnest(array['A', 'B']) as p, unnest(array['KEEP', 'RENAME', 'DELETE', 'FROM', 'TO', 'FILTER', 'SOFT', 'PRICE', 'ONE', 'REUSE']) as n;

insert into "Loom"."ItemColour"
select "Client", "ItemNo", c.no, row_number() over (order by "ItemNo" collate "C", c.no collate "C") + 9000, c.name, null
from "Loom"."Item", (values ('R', 'Red'), ('BLK', 'Black')) as c(no, name);

insert into "Loom"."Barcode"
select "Client", "ItemNo", "ColourNo", s, '40' || "PortalId" || lpad(s::text, 7, '0')
from "Loom"."ItemColour" join "Loom"."Item" using ("Client", "ItemNo") cross join generate_series(1, 3) as s where s = 1 or "Scale" = 'LADIES';

insert into "Loom"."Price List"
select "Client", "ItemNo", p.currency, p.tier, p.amount, p.since
from "Loom"."Item", (values ('USD', 'W', 49.9, date '2026-01-01'), ('USD', 'W', 39.9, date '2025-01-01'), ('USD', 'R', 120, date '2026-01-01'),
  ('CHF', 'W', 45.5, date '2026-01-01'), ('CHF', 'R', 110, date '2026-01-01'), ('CHF', 'W', 1, date '2099-01-01'), ('CHF', 'X', 2, date '2026-01-01')) as p(currency, tier, amount, since);

insert into "Loom"."Account" ("Client", "AccNo", "Name", "Currency", "Discount", "Custom", "InvStreet", "InvCity", "InvZip", "InvLand", "Del1Street", "Del1Land", "Del2Street", "Del2City", "Del2Land")
select 1, n, 'Shop ' || n, 'USD', 2.5, '{"terms": {"text": "Net 30"}}', 'Bill Street 1', 'Basel', '4001', 'CH', '', null, 'Store Road 2', 'Bern', 'CH'
from unnest(array[10, 11, 12, 20, 21, 22]) as n;

insert into "Loom"."StockRun" ("Client", "ItemNo", "ColourNo", "Store", "Q1", "Q2", "Q3", "R1")
select "Client", "ItemNo", "ColourNo", s, 10, 20, 30, 3 from "Loom"."ItemColour", unnest(array['01', '02', '99']) as s;

insert into "Loom"."Inbound"
select "Client", "ItemNo", "ColourNo", '01', 2, date '2099-03-01', 5 from "Loom"."ItemColour" cross join generate_series(1, 2);

insert into "Loom"."Document" ("Client", "Kind", "DocNo", "State", "AccNo", "Currency", "ShipFrom", "ShipUntil", "TheirRef", "Custom", "DelStreet", "DelCity", "DelZip", "DelLand")
select 1, kind::"Loom"."DocKind", base + n, 'released', base / 100, 'USD', '2099-01-01', '2099-02-01', 'PO ' || n, '{"rep": {"mail": "rep@example.com"}}', 'Store Road 2', 'Bern', '3000', 'CH'
from (values (1000), (2000)) as p(base), (values ('SO', 1), ('SO', 2), ('SO', 3), ('SO', 4), ('SO', 5), ('SO', 6), ('QU', 1)) as d(kind, n);

insert into "Loom"."DocLine"
select "Client", "Kind", "DocNo", pos, case when "DocNo" < 2000 then 'A-KEEP' else 'B-KEEP' end, case pos when 1 then 'R' else 'BLK' end, '01', 2, 3, 0, 0, 49.9
from "Loom"."Document" cross join generate_series(1, 2) as pos;

insert into "Loom"."Invoice" values (70001, '2026-05-01', 1, 'SO', 1005, false, '{1ZA,1ZB}'), (80001, '2026-05-01', 1, 'SO', 2005, false, '{1ZC}');
insert into "Loom"."InvoiceLine" values (70001, '2026-05-01', 1, 1, 0, 0, 0), (80001, '2026-05-01', 1, 1, 0, 0, 0);
