-- The products of an order that the bridge does not import, as it was seen last: when it is gone, NuORDER has moved their stock, and
-- nobody can be asked for its lines any more.
alter table order_sightings add column products text not null default '';

---- create above / drop below ----

alter table order_sightings drop column products;
