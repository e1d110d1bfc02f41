-- Makes what the capture needs on the source, and nothing more: a role that may replicate and read, and a publication that
-- holds the tables. Run it as the owner of the tables with the right to make roles and publications (or as a superuser):
--
--   psql -v role=nubridge -v publication=nubridge_oms -v schema=oms -f capture_role.sql
--
-- then give the role a password of its own (\password nubridge) and let it in by one line of pg_hba.conf, for the database, not
-- for "replication", which would allow copying the whole cluster:
--
--   hostssl  <database>  nubridge  <address of the bridge>/32  scram-sha-256
--
-- The bridge's own tables may live in another database; if they live in this one, run `nubridge migrate` once with a role
-- that may create schemas, or grant create on the database for that moment.
\set ON_ERROR_STOP on

select format('create role %I login replication nosuperuser nocreatedb nocreaterole noinherit', :'role')
where not exists (select from pg_roles where rolname = :'role') \gexec
select format('alter role %I login replication', :'role') \gexec
select format('grant connect on database %I to %I', current_database(), :'role') \gexec
select format('grant usage on schema %I to %I', :'schema', :'role') \gexec
-- Reading is needed for the first load and for the documents; only tables, no sequences, no functions.
select format('grant select on all tables in schema %I to %I', :'schema', :'role') \gexec
select format('alter default privileges in schema %I grant select on tables to %I', :'schema', :'role') \gexec

select format('create publication %I for table %s with (publish_via_partition_root = true)', :'publication',
              string_agg(format('%I.%I', n.nspname, c.relname), ', '))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = :'schema' and c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence = 'p'
  and not exists (select from pg_publication where pubname = :'publication')
having count(*) > 0 \gexec

-- A table that is made later joins by: alter publication <publication> add table <schema>.<table>;
-- The slot is made by the bridge itself, at its first start.
