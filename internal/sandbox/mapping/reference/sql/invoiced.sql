-- The lines of each invoice; an invoice without lines of its own has those of its order.
select i.order_no, i.invoice_no, i.status as invoice_status, i.tracking_number, i.carrier, coalesce(i.ship_date, i.invoice_date) as ship_date,
       k.style_color_id, k.sku_id, k.size, k.upc, s.item_number, s.season_code, sc.color_description,
       coalesce(il.quantity, l.quantity) as quantity
from oms.invoices i
join oms.sales_order_lines l using (order_no)
left join oms.invoice_lines il on il.invoice_no = i.invoice_no and il.line_no = l.line_no
join oms.skus k using (sku_id)
join oms.style_colors sc using (style_color_id)
join oms.styles s using (style_id)
where i.order_no = any($1)
  and (il.invoice_no is not null or not exists (select from oms.invoice_lines x where x.invoice_no = i.invoice_no))
order by i.invoice_no, l.line_no, k.position
