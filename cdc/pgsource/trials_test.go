package pgsource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
)

// hanging gives a world in which a session's commits wait for a standby that never comes, once it asks for that.
func hanging(t *testing.T) *world {
	t.Helper()
	server := pgtest.Server(t, postgres.Config{Settings: map[string]string{"synchronous_commit": "local"}})
	w := newWorldAt(t, pgtest.NewDatabase(t, server, "hanging"), "public.*")
	w.exec("alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
	w.until("the setting is in force", func() bool {
		var names string
		err := w.pool.QueryRow(context.Background(), "select current_setting('synchronous_standby_names')").Scan(&names)
		return err == nil && names == "nobody"
	})
	return w
}

// version gives the server's, such as 170004.
func (w *world) version() int {
	w.t.Helper()
	var n int
	if err := w.pool.QueryRow(context.Background(), "select current_setting('server_version_num')::int").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestLargeTransactionsWithAnOriginAreStreamed(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{1, 2} {
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cfg.Protocol, w.cfg.Snapshot = protocol, pgsource.SnapshotNever
			name := w.pool.Config().ConnConfig.Database
			w.exec("create table item (id bigint primary key, name text)", "alter database "+name+" set logical_decoding_work_mem = '64kB'",
				"select pg_replication_origin_create('origin_"+name+"')")
			t.Cleanup(func() { w.exec("select pg_replication_origin_drop('origin_" + name + "')") })
			w.start()
			other := w.session()
			run(t, other, "select pg_replication_origin_session_setup('origin_"+name+"')", "begin",
				"select pg_replication_origin_xact_setup('0/AABBCC', now())",
				"insert into item select i, repeat('x', 100) from generate_series(1, 3000) i")
			run(t, other, "commit", "select pg_replication_origin_session_reset()")
			records := w.await(3000)
			_ = w.stop()
			if got := string(records[2999].Value); !strings.Contains(got, `"origin":"origin_`+name+`"`) || len(records) != 3000 {
				t.Errorf("%d records, the last %s, want 3000 with the origin", len(records), got)
			}
		})
	}
}

func TestProgressOfARunningTransactionShows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.exec("create table item (id bigint primary key, name text)",
		"alter database "+w.pool.Config().ConnConfig.Database+" set logical_decoding_work_mem = '64kB'")
	w.start()
	other := w.session()
	run(t, other, "begin", "insert into item select i, repeat('x', 100) from generate_series(1, 5000) i")
	w.until("the running transaction shows", func() bool {
		p := w.source().Progress()
		return len(p.Running) == 1 && p.Running[0].Rows > 1000 && p.Running[0].Bytes > 100_000
	})
	run(t, other, "rollback")
	w.until("it is gone again", func() bool { return len(w.source().Progress().Running) == 0 })
	_ = w.stop()
	if n := len(w.feed.all()); n != 0 {
		t.Errorf("%d records of an aborted transaction left, want none", n)
	}
}

func TestPreparedTransactionsArePublishedWhenTheyCommitAndNeverWhenTheyDoNot(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{Settings: map[string]string{"max_prepared_transactions": "10", "logical_decoding_work_mem": "64kB"}})
	for _, protocol := range []int{1, 2} {
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			w := newWorldAt(t, pgtest.NewDatabase(t, server, fmt.Sprintf("prepared%d", protocol)), "public.*")
			w.cfg.Protocol, w.cfg.Snapshot = protocol, pgsource.SnapshotNever
			w.exec("create table item (id bigint primary key, name text)")
			w.start()
			prepare := func(id string, from int) {
				w.exec(fmt.Sprintf(`begin; insert into item select i, repeat('x', 100) from generate_series(%d, %d) i;
					savepoint a; insert into item values (%d, 'rolled back'); rollback to a; prepare transaction '%s'`, from, from+2999, from+3000, id))
			}
			prepare("small_"+fmt.Sprint(protocol), 1)
			prepare("gone_"+fmt.Sprint(protocol), 10000)
			w.exec("insert into item values (100000, 'between')")
			w.await(1)
			_ = w.stop() // the prepared ones are still open over a restart
			w.start()
			w.exec("rollback prepared 'gone_"+fmt.Sprint(protocol)+"'", "commit prepared 'small_"+fmt.Sprint(protocol)+"'", "insert into item values (100001, 'last')")
			records := w.await(3002)
			_ = w.stop()
			if len(records) != 3002 || string(records[1].Key) != `{"id":1}` || string(records[3000].Key) != `{"id":3000}` || string(records[3001].Key) != `{"id":100001}` {
				t.Errorf("%d records, want the 3000 of the prepared transaction between two", len(records))
			}
			if got := w.feed.sizes[records[3000].Position.String()]; got != 3000 {
				t.Errorf("the transaction's size is %d, want 3000", got)
			}
		})
	}
}

func TestSettingsOfRoleAndDatabaseDoNotChangeTheFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := fmt.Sprintf("odd_%d", time.Now().UnixNano())
	w.exec("create role "+role+" login superuser", "create table item (id bigint primary key, iv interval, d date, ba bytea, f float8, tsz timestamptz, m money)",
		"insert into item values (1, '1 year 2 days', '2024-02-29', '\\x00ff', 0.1::float8 + 0.2, '2024-02-29 12:00+02', 1.5)")
	t.Cleanup(func() { w.exec("drop owned by "+role, "drop role "+role) })
	for _, set := range []string{
		"intervalstyle = 'postgres_verbose'", "datestyle = 'SQL, DMY'", "bytea_output = 'escape'", "extra_float_digits = -5", "timezone = 'Asia/Tokyo'",
		"statement_timeout = '1ms'", "lock_timeout = '1ms'", "idle_session_timeout = '100ms'", "idle_in_transaction_session_timeout = '1ms'",
		"default_transaction_read_only = on", "default_transaction_isolation = 'serializable'", "client_encoding = 'LATIN1'", "search_path = 'nowhere'",
		"quote_all_identifiers = on", "default_transaction_deferrable = on",
	} {
		w.exec("alter role " + role + " set " + set)
	}
	w.cfg.DatabaseURL = as(t, w.url, role)
	w.start()
	w.await(1)
	w.exec("insert into item select 2, iv, d, ba, f, tsz, m from item")
	records := w.await(2)
	_ = w.stop()
	for i, r := range records {
		want := fmt.Sprintf(`"after":{"id":%d,"iv":"P1Y0M2DT0H0M0S","d":"2024-02-29Z","ba":"AP8=","f":0.30000000000000004,"tsz":"2024-02-29T10:00:00.000000Z","m":"1.50"}`, i+1)
		if !strings.Contains(string(r.Value), want) {
			t.Errorf("record %s, want %s", r.Value, want)
		}
	}
}

func TestRowSecurityThatHidesRowsHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := fmt.Sprintf("hidden_%d", time.Now().UnixNano())
	w.exec("create role "+role+" login replication", "create table item (id bigint primary key, v text)", "insert into item values (1, 'seen'), (2, 'hidden')",
		"grant select on item to "+role, "create publication nubridge_test for table item with (publish_via_partition_root)",
		"alter table item enable row level security", "create policy visible on item using (id = 1)")
	t.Cleanup(func() { w.exec("drop owned by "+role, "drop role "+role) })
	w.cfg.DatabaseURL = as(t, w.url, role)
	wantHalt(t, pgsource.Preflight(t.Context(), w.cfg), pgsource.CodeRowSecurity)
	wantHalt(t, w.halted(), pgsource.CodeRowSecurity)
	w.exec("alter role " + role + " bypassrls")
	w.start()
	w.await(2)
	_ = w.stop()
}

func TestTableThatWasOutOfThePublicationForAWhileHalts(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	w.exec("alter publication nubridge_test drop table item", "insert into item values (3, 'unseen')", "alter publication nubridge_test add table item")
	wantHalt(t, w.halted(), pgsource.CodeTableLeft)
	w.exec("alter publication nubridge_test set (publish = 'insert')")
	if err := w.store.AcceptGap(t.Context(), "test", "by hand"); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.await(5)
	_ = w.stop()
	w.exec("alter publication nubridge_test set (publish = 'insert')", "update item set name = 'unseen' where id = 1")
	wantHalt(t, w.halted(), pgsource.CodePublication)
}

func TestPublicationOfAWholeSchemaTakesNewTablesInAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	publication := "create publication nubridge_test for tables in schema public with (publish_via_partition_root)"
	if w.version() < 150000 {
		publication = "create publication nubridge_test for all tables with (publish_via_partition_root)"
	}
	w.cfg.DiscoverInterval = 50 * time.Millisecond
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'a')", publication)
	w.start()
	w.loaded()
	w.exec("create table later (id bigint primary key, v text)", "insert into later values (1, 'l')", "insert into later values (2, 'l')")
	w.until("both rows are in the feed", func() bool { return w.keys("p.public.later") == 2 })
	_ = w.stop()
	w.start() // the fingerprint knows such a publication
	w.exec("insert into later values (3, 'l')")
	w.until("the third row is in the feed", func() bool { return w.keys("p.public.later") == 3 })
	_ = w.stop()
}

func TestIdleSlotThatTheServerInvalidatedHalts(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	w := newWorldAt(t, pgtest.NewDatabase(t, server, "idle"), "public.*")
	if w.version() < 180000 {
		t.Skip("idle_replication_slot_timeout came with PostgreSQL 18")
	}
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'a')")
	w.start()
	w.await(1)
	_ = w.stop()
	w.exec("alter system set idle_replication_slot_timeout = '1s'", "select pg_reload_conf()")
	w.until("the slot is invalidated", func() bool {
		w.exec("checkpoint")
		var reason *string
		err := w.pool.QueryRow(context.Background(), "select invalidation_reason from pg_replication_slots where slot_name = $1", w.cfg.Slot).Scan(&reason)
		return err == nil && reason != nil && *reason == "idle_timeout"
	})
	wantHalt(t, w.halted(), pgsource.CodeSlotLost)
}

func TestTableIsEncodedAsItWasWhenTheRowWasWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.exec("create type mood as enum ('ok', 'bad')", "create table item (id int primary key, a text, m mood)")
	w.start()
	w.exec("insert into item values (1, 'a', 'ok')")
	w.await(1)
	_ = w.stop()
	w.exec( // all of it is behind the capture when it comes back
		"insert into item values (2, 'b', 'bad')", "alter table item rename a to renamed", "insert into item values (3, 'c', 'ok')",
		"alter table item add extra int default 7", "insert into item values (4, 'd', 'ok')", "alter table item alter extra type text", "insert into item values (5, 'e', 'ok', '8')",
		"alter table item drop m", "insert into item values (6, 'f', '9')", "update item set id = 60 where id = 6", "drop table item", "drop type mood",
		"create table item (other text primary key)", "insert into item values ('new')")
	w.start()
	records := w.await(9)
	_ = w.stop()
	want := []string{
		`{"id":1,"a":"a","m":"ok"}`, `{"id":2,"a":"b","m":"bad"}`, `{"id":3,"renamed":"c","m":"ok"}`, `{"id":4,"renamed":"d","m":"ok","extra":7}`,
		`{"id":5,"renamed":"e","m":"ok","extra":"8"}`, `{"id":6,"renamed":"f","extra":"9"}`, "null", "", `{"id":60,"renamed":"f","extra":"9"}`,
	}
	for i, after := range want {
		if after != "" && !strings.Contains(string(records[i].Value), `"after":`+after+`,`) {
			t.Errorf("record %d is %s, want after %s", i, records[i].Value, after)
		}
		if i < 6 && string(records[i].Key) != fmt.Sprintf(`{"id":%d}`, i+1) {
			t.Errorf("record %d has key %s", i, records[i].Key)
		}
	}
	var versions int
	if err := w.pool.QueryRow(t.Context(), "select count(*) from nubridge.capture_schemas where table_name = 'item'").Scan(&versions); err != nil || versions < 5 {
		t.Errorf("the history has %d shapes of the table, %v, want at least 5", versions, err)
	}
}

func TestNamesOfEveryKindAreCaptured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "we.ird Schema.*", `q"uote.ta.ble`)
	quoted := func(names ...string) string { return pgx.Identifier(names).Sanitize() }
	first, second := quoted("we.ird Schema", "Tä ble.😀"), quoted(`q"uote`, "ta.ble")
	w.exec("create schema "+quoted("we.ird Schema"), "create schema "+quoted(`q"uote`),
		"create table "+first+` ("I""d.\n" bigint primary key, "V 	x" text)`, "create table "+second+" (id bigint primary key, v text)",
		"insert into "+first+" values (1, 'a')", "insert into "+second+" values (1, 'a')")
	w.start()
	w.await(2)
	w.exec("update "+first+" set \"V 	x\" = 'b'", "delete from "+second)
	records := w.await(5)
	_ = w.stop()
	got := []string{}
	for _, r := range records[2:] {
		got = append(got, r.Partition.Topic+" "+string(r.Key))
	}
	want := []string{`p.we.ird_Schema.T__ble.__ {"I\"d.\\n":1}`, `p.q_uote.ta.ble {"id":1}`, `p.q_uote.ta.ble {"id":1}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if c, err := cdc.DecodeChange(&records[2]); err != nil || c.Schema != "we.ird Schema" || c.Table != "Tä ble.😀" || c.After.Column("V 	x").Text != "b" {
		t.Errorf("got %+v, %v", c, err)
	}
}
