select c."Client", c."ItemNo", c."ColourNo", s.slot, s.size, trim(b."Ean") as ean
from unnest($1::smallint[], $2::varchar[], $3::bpchar[]) as c("Client", "ItemNo", "ColourNo")
join "Loom"."Item" i using ("Client", "ItemNo")
join "Loom"."SizeScale" z on z."Code" = i."Scale"
cross join lateral (values (1, z."S1"), (2, z."S2"), (3, z."S3"), (4, z."S4")) as s(slot, size)
left join "Loom"."Barcode" b on (b."Client", b."ItemNo", b."ColourNo", b."Slot") = (c."Client", c."ItemNo", c."ColourNo", s.slot)
where s.size <> ''
order by s.slot
