// Package pgsource speaks PostgreSQL's logical replication: publication and slot, pgoutput, the snapshot, keepalives. It
// turns committed transactions into batches of Debezium envelopes. One goroutine owns the replication connection; the row
// path decodes in place and allocates nothing per row.
package pgsource
