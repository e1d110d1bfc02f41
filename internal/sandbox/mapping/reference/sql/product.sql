select sc.style_color_id, s.item_number, s.season_code, s.department_code, s.style_group,
       s.description_1, s.description_2, s.status, s.custom,
       sc.color_code, sc.color_description, sc.status as color_status,
       sc.available_from, sc.available_until, sc.image_url
from oms.style_colors sc
join oms.styles s using (style_id)
where sc.style_color_id = any($1)
