-- One row per line and size, from the columns N1 to N4.
select l."Client", l."Kind", l."DocNo", l."Pos" as pos, l."ItemNo" as item_no, l."ColourNo" as colour_no, c."PortalId" as portal_id, trim(i."Season Code") as season,
       c."in" as colour, l."Store" as store, l."Each" as price, s.size, trim(b."Ean") as ean, s.pieces
from unnest($1::smallint[], $2::"Loom"."DocKind"[], $3::bigint[]) as k("Client", "Kind", "DocNo")
join "Loom"."DocLine" l using ("Client", "Kind", "DocNo")
join "Loom"."ItemColour" c on (c."Client", c."ItemNo", c."ColourNo") = (l."Client", l."ItemNo", l."ColourNo")
join "Loom"."Item" i on (i."Client", i."ItemNo") = (l."Client", l."ItemNo")
join "Loom"."SizeScale" z on z."Code" = i."Scale"
cross join lateral (values (1, z."S1", l."N1"), (2, z."S2", l."N2"), (3, z."S3", l."N3"), (4, z."S4", l."N4")) as s(slot, size, pieces)
left join "Loom"."Barcode" b on (b."Client", b."ItemNo", b."ColourNo", b."Slot") = (l."Client", l."ItemNo", l."ColourNo", s.slot)
where s.size <> ''
order by l."Pos", s.slot
