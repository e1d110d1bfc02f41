-- A size that an order has twice goes into a line of its own ("copy"), because NuORDER takes a size once per line.
select l.order_no, l.line_no, l.quantity, l.price, l.prebook, l.notes as line_notes, l.warehouse_no, k.style_color_id, k.size, k.upc,
       coalesce(l.ship_start, o.ship_start) as line_start, coalesce(l.ship_end, o.ship_end) as line_end,
       s.item_number, s.season_code, sc.color_description,
       row_number() over (partition by l.order_no, l.sku_id, l.warehouse_no, l.ship_start, l.ship_end, l.prebook order by l.line_no) as copy
from oms.sales_order_lines l
join oms.sales_orders o using (order_no)
join oms.skus k using (sku_id)
join oms.style_colors sc using (style_color_id)
join oms.styles s using (style_id)
where l.order_no = any($1)
order by l.line_no, k.position
