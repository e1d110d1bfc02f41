select "Client", "ItemNo", "ColourNo"
from unnest($1::smallint[], $2::varchar[]) as k("Client", "ItemNo") join "Loom"."ItemColour" using ("Client", "ItemNo")
