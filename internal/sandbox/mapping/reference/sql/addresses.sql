-- All addresses of the customers. A shipping address whose line 1 is empty is copied from the billing address, and a customer
-- without any shipping address ships to the billing address.
with address as (
    select * from oms.customer_addresses where customer_id = any($1)
), billing as (
    select distinct on (customer_id) * from address where kind = 'billing' order by customer_id, is_default desc, code
)
select a.customer_id, a.kind, a.code, a.store_number, a.is_default,
       case when a.kind = 'shipping' and a.line_1 = '' then b.line_1 else a.line_1 end as line_1,
       case when a.kind = 'shipping' and a.line_1 = '' then b.line_2 else a.line_2 end as line_2,
       case when a.kind = 'shipping' and a.line_1 = '' then b.city else a.city end as city,
       case when a.kind = 'shipping' and a.line_1 = '' then b.state else a.state end as state,
       case when a.kind = 'shipping' and a.line_1 = '' then b.zip else a.zip end as zip,
       case when a.kind = 'shipping' and a.line_1 = '' then b.country else a.country end as country
from address a
left join billing b using (customer_id)
union all
select b.customer_id, 'shipping', b.code, null, true, b.line_1, b.line_2, b.city, b.state, b.zip, b.country
from billing b
where not exists (select from address a where a.customer_id = b.customer_id and a.kind in ('shipping', 'store'))
order by kind, code
