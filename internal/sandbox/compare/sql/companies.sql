-- A company is a customer with all of its addresses. A shipping address without line 1 is the billing address; a customer
-- without any place to ship to ships to its billing address.
with billing as (
    select distinct on (customer_id) * from oms.customer_addresses where kind = 'billing' order by customer_id, is_default desc, code
), address as (
    select a.customer_id, a.kind, a.code, a.store_number, a.is_default,
           case when a.kind = 'shipping' and a.line_1 = '' then array[b.line_1, b.line_2, b.city, b.state, b.zip, b.country]
                else array[a.line_1, a.line_2, a.city, a.state, a.zip, a.country] end as parts
    from oms.customer_addresses a left join billing b using (customer_id)
    union all
    select b.customer_id, 'shipping', b.code, null, true, array[b.line_1, b.line_2, b.city, b.state, b.zip, b.country]
    from billing b
    where not exists (select from oms.customer_addresses a where a.customer_id = b.customer_id and a.kind <> 'billing')
)
select c.customer_id, f.field, f.value
from oms.customers c
left join oms.terms t using (terms_code)
cross join lateral (values
    ('name', c.name),
    ('code', c.customer_id),
    ('currency_code', c.currency::text),
    ('discount', trim_scale(c.discount_rate)::text),
    ('surcharge', trim_scale(c.tax_rate)::text),
    ('payment_terms', coalesce(t.description, '')),
    ('phone_office', coalesce(c.phone, '')),
    ('active', (c.status = 'Active')::text)
) as f (field, value)
union all
select a.customer_id, 'addresses[' || case a.kind when 'billing' then 'billing ' else 'shipping ' end || a.code || '].' || f.field, f.value
from address a
cross join lateral (values
    ('display_name', case a.kind when 'billing' then 'Billing Address' when 'shipping' then 'Shipping Address' else coalesce(a.store_number, a.code) end),
    ('line_1', a.parts[1]),
    ('line_2', a.parts[2]),
    ('city', a.parts[3]),
    ('state', a.parts[4]),
    ('zip', a.parts[5]),
    ('country', a.parts[6])
) as f (field, value)
union all
select customer_id, 'default ' || kind, code from address where is_default and kind <> 'store'
