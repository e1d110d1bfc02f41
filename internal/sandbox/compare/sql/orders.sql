-- $1 and $2: the warehouses by number and code; $3: the first day of OMS-born orders; $4: the prefix of references; $5: the status
-- of an open order born in the OMS. Orders that came from NuORDER are those with a reference of ours.
with warehouse as (
    select * from unnest($1::int[], $2::text[]) as m (warehouse_no, code)
), ours as (
    select o.*, o.order_no::text as key, o.external_ref is null as born_here, c.email
    from oms.sales_orders o join oms.customers c using (customer_id)
    where starts_with(o.external_ref, $4)
       or o.external_ref is null and o.order_date >= $3::text::date
), parcel_line as (
    -- A shipment is a posted invoice with a tracking number; without lines of its own it has those of its order.
    select i.order_no, l.line_no, l.sku_id, i.invoice_no, coalesce(i.ship_date, i.invoice_date) as day, coalesce(x.quantity, l.quantity) as quantity,
           (select string_agg(btrim(t), ' ' order by btrim(t)) from unnest(string_to_array(i.tracking_number, ',')) t where btrim(t) <> '') as tracking
    from oms.invoices i
    join oms.sales_order_lines l using (order_no)
    left join oms.invoice_lines x on x.invoice_no = i.invoice_no and x.line_no = l.line_no
    where i.status = 'Posted' and btrim(i.tracking_number, ', ') <> ''
      and (x.invoice_no is not null or not exists (select from oms.invoice_lines y where y.invoice_no = i.invoice_no))
), line as (
    -- An order that is cancelled after a part of it has shipped is cut down to that part.
    select o.key, k.style_color_id::text as brand, k.size, w.code as warehouse, l.line_no, q.quantity, l.price, l.prebook,
           coalesce(l.ship_start, o.ship_start) as ship_start, coalesce(l.ship_end, o.ship_end) as ship_end, l.notes
    from ours o
    join oms.sales_order_lines l using (order_no)
    join oms.skus k using (sku_id)
    left join warehouse w using (warehouse_no)
    cross join lateral (select case when o.status = 'Cancelled'
        then (select coalesce(sum(p.quantity), 0) from parcel_line p where p.order_no = o.order_no and p.line_no = l.line_no) else l.quantity end as quantity) q
    where q.quantity > 0
), parcel as (
    select o.key, p.tracking, p.day, k.style_color_id::text as brand, k.size, sum(p.quantity) as quantity
    from ours o join parcel_line p using (order_no) join oms.skus k using (sku_id)
    group by 1, p.invoice_no, 2, 3, 4, 5
), open as (
    select key, bool_or(ordered > coalesce(shipped, 0)) as something
    from (select key, brand, size, sum(quantity) as ordered from line group by 1, 2, 3) a
    left join (select key, brand, size, sum(quantity) as shipped from parcel group by 1, 2, 3) b using (key, brand, size)
    group by key
), final as (
    -- What is left without a line is cancelled, and stays as it was.
    select o.*, case when open.something is null then 'cancelled' when not open.something then 'shipped' when born_here then $5 else 'processed' end as state
    from ours o left join open using (key)
)
select o.key, f.field, f.value
from final o
cross join lateral (values
    ('_id', case when not o.born_here then substr(o.external_ref, length($4) + 1) end),
    ('status', o.state)
) as f (field, value)
where f.value is not null
union all
select o.key, f.field, f.value
from final o
cross join lateral (values
    ('external_id', case when o.born_here then o.key end),
    ('retailer.buyer_email', case when o.born_here then coalesce(o.email, '') end),
    ('retailer.retailer_code', o.customer_id),
    ('currency_code', o.currency::text),
    ('customer_po_number', o.po_number),
    ('discount', trim_scale(o.discount_rate)::text),
    ('notes', o.notes),
    ('start_ship', o.ship_start::text),
    ('end_ship', o.ship_end::text)
) as f (field, value)
where f.value is not null and o.state <> 'cancelled'
union all
select o.key, 'billing_address.' || f.field, f.value
from final o
cross join lateral (values ('code', o.bill_to_code), ('line_1', o.bill_line_1), ('line_2', o.bill_line_2), ('city', o.bill_city),
    ('state', o.bill_state), ('zip', o.bill_zip), ('country', o.bill_country)) as f (field, value)
where o.bill_line_1 <> '' and o.state <> 'cancelled'
union all
select o.key, 'shipping_address.' || f.field, f.value
from final o
cross join lateral (values ('code', o.ship_to_code), ('line_1', o.ship_line_1), ('line_2', o.ship_line_2), ('city', o.ship_city),
    ('state', o.ship_state), ('zip', o.ship_zip), ('country', o.ship_country)) as f (field, value)
where o.ship_line_1 <> '' and o.state <> 'cancelled'
union all
-- One size of one product may be ordered twice at different prices: all of them together.
select key, 'lines[' || concat_ws(' ', brand, size, coalesce(warehouse, '-'), ship_start, ship_end, case when prebook then 'prebook' end) || ']',
       string_agg(quantity || ' at ' || trim_scale(price), ', ' order by quantity, price)
from line
group by key, brand, size, warehouse, ship_start, ship_end, prebook
union all
select distinct key, 'shipments[' || tracking || '].shipment_date', day::text
from parcel
union all
select key, 'shipments[' || tracking || '][' || brand || ' ' || size || ']', sum(quantity)::text
from parcel
group by key, tracking, brand, size
