-- The session that reads a capture's slot: one of this name is of an earlier run of the capture, and may be ended by the next.
alter table captures add column reader text not null default '';

---- create above / drop below ----

alter table captures drop column reader;
