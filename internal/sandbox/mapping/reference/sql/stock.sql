-- Stock at once of every size in every active warehouse, zero where there is none, and what open purchase orders still bring.
select k.style_color_id, k.sku_id, k.position, k.size, k.upc, w.warehouse_no, null::date as due_date,
       coalesce(s.on_hand, 0) as on_hand, coalesce(s.allocated, 0) as allocated, 0 as incoming
from oms.skus k
cross join oms.warehouses w
left join oms.stock s on s.sku_id = k.sku_id and s.warehouse_no = w.warehouse_no
where k.style_color_id = any($1) and w.status = 'Active'
union all
select k.style_color_id, k.sku_id, k.position, k.size, k.upc, p.warehouse_no, p.due_date, 0, 0, l.qty_ordered - l.qty_received
from oms.skus k
join oms.purchase_order_lines l using (sku_id)
join oms.purchase_orders p using (po_number)
join oms.warehouses w on w.warehouse_no = p.warehouse_no
where k.style_color_id = any($1) and p.status = 'Open' and l.qty_ordered > l.qty_received and w.status = 'Active'
order by warehouse_no, due_date nulls first, position, sku_id
