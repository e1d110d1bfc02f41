-- An index that begins with environment and flow looks as good as the primary key for finding one key, as long as the server has no
-- statistics of a table that just filled, as in the first minute of a replay: it then reads all keys of the flow for each one.
drop index requests_due;
create index requests_due on requests ((environment || '|' || flow), rank, requested_at);
drop index parked_code;
create index parked_code on parked (code, environment, flow);

---- create above / drop below ----

drop index parked_code;
create index parked_code on parked (environment, flow, code);
drop index requests_due;
create index requests_due on requests (environment, flow, rank, requested_at);
