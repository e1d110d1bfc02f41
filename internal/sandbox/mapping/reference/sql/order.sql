select o.order_no, o.external_ref, o.customer_id, o.status, o.po_number, o.order_date, o.ship_start, o.ship_end,
       o.currency::text as currency, o.discount_rate, o.notes, o.custom, c.email as buyer_email,
       o.bill_to_code, o.bill_line_1, o.bill_line_2, o.bill_city, o.bill_state, o.bill_zip, o.bill_country,
       o.ship_to_code, o.ship_line_1, o.ship_line_2, o.ship_city, o.ship_state, o.ship_zip, o.ship_country,
       (select coalesce(sum(coalesce(x.quantity, l.quantity)), 0)
        from oms.invoices i
        join oms.sales_order_lines l using (order_no)
        left join oms.invoice_lines x on x.invoice_no = i.invoice_no and x.line_no = l.line_no
        where i.order_no = o.order_no and i.status = 'Posted' and i.tracking_number <> ''
          and (x.invoice_no is not null or not exists (select from oms.invoice_lines y where y.invoice_no = i.invoice_no))
       ) as shipped_units
from oms.sales_orders o
join oms.customers c using (customer_id)
where o.order_no = any($1)
