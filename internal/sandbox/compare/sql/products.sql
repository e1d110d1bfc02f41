-- A product is one style, season and color. Its brand_id is the OMS's own number of the color, which never changes.
with product as (
    select c.style_color_id::text as key, c.style_id, s.item_number, s.season_code, s.department_code, s.style_group,
           btrim(s.description_1 || ' ' || s.description_2) as description,
           c.color_code, c.color_description, c.available_from, c.available_until, c.image_url,
           s.status = 'Active' and c.status = 'Active' as active
    from oms.style_colors c join oms.styles s using (style_id)
)
select p.key, f.field, f.value
from product p
cross join lateral (values
    ('style_number', p.item_number),
    ('season', p.season_code),
    ('color', p.color_description),
    ('color_code', p.color_code),
    ('name', p.item_number),
    ('description', p.description),
    ('category', p.style_group),
    ('department', p.department_code),
    ('available_from', coalesce(p.available_from::text, '')),
    ('available_until', coalesce(p.available_until::text, '')),
    ('active', p.active::text),
    ('archived', (not p.active)::text),
    ('images', coalesce(p.image_url, ''))
) as f (field, value)
union all
select k.style_color_id::text, 'sizes[' || row_number() over (partition by k.style_color_id order by k.position, k.sku_id) - 1 || ']', k.size || ' ' || k.upc
from oms.skus k
union all
-- Wholesale is price type 1, retail price type 2; a currency without a wholesale price is not sold in.
select p.key, 'pricing[' || w.currency || '].' || f.field, f.value
from product p
join oms.style_prices w on w.style_id = p.style_id and w.price_type = 1
left join oms.style_prices r on r.style_id = p.style_id and r.price_type = 2 and r.currency = w.currency
cross join lateral (values ('wholesale', trim_scale(w.price)::text), ('retail', trim_scale(r.price)::text), ('disabled', 'false')) as f (field, value)
where f.value is not null
