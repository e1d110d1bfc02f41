-- $1 and $2: the warehouses by number and code; $3: today. The stock of a product: at once what is on hand and not promised,
-- for each size in each active warehouse, zero included; later what open purchase orders still bring, by due date, late ones today.
with warehouse as (
    select w.warehouse_no, m.code
    from unnest($1::int[], $2::text[]) as m (warehouse_no, code)
    join oms.warehouses w using (warehouse_no)
    where w.status = 'Active'
)
select k.style_color_id::text, '[' || w.code || ' immediate ' || k.size || ']', greatest(coalesce(s.on_hand, 0) - coalesce(s.allocated, 0), 0)::text
from oms.skus k
cross join warehouse w
left join oms.stock s on s.sku_id = k.sku_id and s.warehouse_no = w.warehouse_no
union all
select k.style_color_id::text, '[' || w.code || ' ' || greatest(p.due_date, $3::text::date) || ' ' || k.size || ']', sum(l.qty_ordered - l.qty_received)::text
from oms.purchase_orders p
join warehouse w using (warehouse_no)
join oms.purchase_order_lines l using (po_number)
join oms.skus k using (sku_id)
where p.status = 'Open' and l.qty_ordered > l.qty_received
group by k.style_color_id, k.size, w.code, greatest(p.due_date, $3::text::date)
