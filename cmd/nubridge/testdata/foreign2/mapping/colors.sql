select c."Division", c."Style", c."Color"
from unnest($1::smallint[], $2::varchar[]) as k("Division", "Style") join "WMS"."StyleColor" c using ("Division", "Style")
