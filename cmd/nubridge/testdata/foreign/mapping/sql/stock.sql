-- What each store has of each size less what is reserved, and what is still to come.
select c."Client", c."ItemNo", c."ColourNo", t."Store" as store, null::date as due, s.slot, s.size, trim(b."Ean") as ean, s.have - s.held as pieces
from unnest($1::smallint[], $2::varchar[], $3::bpchar[]) as c("Client", "ItemNo", "ColourNo")
join "Loom"."Item" i using ("Client", "ItemNo")
join "Loom"."SizeScale" z on z."Code" = i."Scale"
join "Loom"."StockRun" t using ("Client", "ItemNo", "ColourNo")
cross join lateral (values (1, z."S1", t."Q1", t."R1"), (2, z."S2", t."Q2", t."R2"), (3, z."S3", t."Q3", t."R3"), (4, z."S4", t."Q4", t."R4")) as s(slot, size, have, held)
left join "Loom"."Barcode" b on (b."Client", b."ItemNo", b."ColourNo", b."Slot") = (c."Client", c."ItemNo", c."ColourNo", s.slot)
where s.size <> ''
union all
select c."Client", c."ItemNo", c."ColourNo", n."Store", n."Due", n."Slot", case n."Slot" when 1 then z."S1" when 2 then z."S2" when 3 then z."S3" else z."S4" end, trim(b."Ean"), n."Pieces"
from unnest($1::smallint[], $2::varchar[], $3::bpchar[]) as c("Client", "ItemNo", "ColourNo")
join "Loom"."Item" i using ("Client", "ItemNo")
join "Loom"."SizeScale" z on z."Code" = i."Scale"
join "Loom"."Inbound" n using ("Client", "ItemNo", "ColourNo")
left join "Loom"."Barcode" b on (b."Client", b."ItemNo", b."ColourNo", b."Slot") = (c."Client", c."ItemNo", c."ColourNo", n."Slot")
order by store, due nulls first, slot
