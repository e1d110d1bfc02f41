package pgsource

import (
	"context"
	"log/slog"
	"time"
)

// awaitWriters waits until every transaction has ended that has written to the table so far. What such a transaction wrote
// before the table was in the publication is not in the feed, and a chunk that is read before its commit does not see it. One that
// waits for a standby with its commit may be in the log since before this run began, and no chunk sees it either.
func (a *admin) awaitWriters(ctx context.Context, table uint32, log *slog.Logger) error {
	const writers = `
		select coalesce(array_agg(distinct l.virtualtransaction || ' ' || coalesce(l.pid::text, '')), '{}') from pg_locks l
		where l.locktype = 'relation' and l.granted and l.database = (select oid from pg_database where datname = current_database())
		  and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
		  and l.pid is distinct from pg_backend_pid()
		  and (l.relation = $1 or l.relation in (select relid from pg_partition_tree($1::oid::regclass)))`
	var before []string
	if err := a.conn.QueryRow(ctx, writers, table).Scan(&before); err != nil {
		return classify("list who writes to a table", err)
	}
	var pause patience
	since := time.Now()
	told := false
	for len(before) > 0 {
		if !told && time.Since(since) > 5*time.Second {
			told = true
			log.Info("a snapshot waits for transactions that wrote to its table before", "transactions", before)
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
		var still []string
		if err := a.conn.QueryRow(ctx, `select coalesce(array_agg(b), '{}') from unnest($2::text[]) b where b = any((`+writers+`)::text[])`, table, before).Scan(&still); err != nil {
			return classify("list who writes to a table", err)
		}
		before = still
	}
	return nil
}
