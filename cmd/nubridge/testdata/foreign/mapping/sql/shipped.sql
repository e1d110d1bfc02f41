select v."Client", v."Kind", v."DocNo", v."InvNo" as inv_no, v."Made" as invoiced, v."Void" as void, v."Parcels" as parcels, l."Pos" as pos, l."ItemNo" as item_no,
       c."PortalId" as portal_id, trim(i."Season Code") as season, c."in" as colour, s.size, trim(b."Ean") as ean, s.pieces
from unnest($1::smallint[], $2::"Loom"."DocKind"[], $3::bigint[]) as k("Client", "Kind", "DocNo")
join "Loom"."Invoice" v using ("Client", "Kind", "DocNo")
join "Loom"."InvoiceLine" n on (n."InvNo", n."Made") = (v."InvNo", v."Made")
join "Loom"."DocLine" l on (l."Client", l."Kind", l."DocNo", l."Pos") = (v."Client", v."Kind", v."DocNo", n."Pos")
join "Loom"."ItemColour" c on (c."Client", c."ItemNo", c."ColourNo") = (l."Client", l."ItemNo", l."ColourNo")
join "Loom"."Item" i on (i."Client", i."ItemNo") = (l."Client", l."ItemNo")
join "Loom"."SizeScale" z on z."Code" = i."Scale"
cross join lateral (values (1, z."S1", n."N1"), (2, z."S2", n."N2"), (3, z."S3", n."N3"), (4, z."S4", n."N4")) as s(slot, size, pieces)
left join "Loom"."Barcode" b on (b."Client", b."ItemNo", b."ColourNo", b."Slot") = (l."Client", l."ItemNo", l."ColourNo", s.slot)
where s.size <> '' and s.pieces > 0
order by v."InvNo", l."Pos", s.slot
