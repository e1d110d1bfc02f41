package pgsource

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// admin is the ordinary SQL connection beside the replication connection. One goroutine uses it at a time.
type admin struct {
	conn    *pgx.Conn
	cfg     Config
	version int // such as 170004
	// cents is how many digits the server's money has behind the point.
	cents int32
}

// serverFacts is what the server says of itself and of the role.
type serverFacts struct {
	version                    int // such as 170004
	walLevel, database, system string
	timeline                   uint32
	superuser, replication     bool
	createOnDatabase           bool
	user                       string
	recovery                   bool
	patience                   time.Duration // wal_sender_timeout
}

// connectAdmin opens an SQL connection whose session prints values in the forms the encoders expect.
func connectAdmin(ctx context.Context, cfg Config) (*admin, error) {
	cc, err := pgx.ParseConfig(cfg.DatabaseURL)
	if err != nil {
		// The parser's own text may repeat parts of the URL. // I11
		return nil, halt(CodeConfig, "expected a URL such as postgres://user@host:5432/db", "the database URL of the source cannot be parsed")
	}
	for k, v := range sessionSettings() {
		cc.RuntimeParams[k] = v
	}
	cc.RuntimeParams["application_name"] = "nubridge " + cfg.Capture
	// Money is counted in units that the database's lc_monetary decides on: ask before the session changes it.
	delete(cc.RuntimeParams, "lc_monetary")
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, classify("connect to the source", err)
	}
	a := &admin{conn: conn, cfg: cfg}
	if err := a.settle(ctx); err != nil {
		a.close(context.WithoutCancel(ctx))
		return nil, classify("prepare a session at the source", err)
	}
	return a, nil
}

// settle finds out what the session must know of the server, and does what older servers do not take at the start of a session.
func (a *admin) settle(ctx context.Context) error {
	var unit []byte
	if err := a.conn.QueryRow(ctx, "select current_setting('server_version_num')::int, cash_send(1::int4::money)").Scan(&a.version, &unit); err != nil {
		return err
	}
	value := 0.0
	for _, b := range unit {
		value = value*256 + float64(b)
	}
	a.cents = int32(math.Round(math.Log10(max(value, 1))))
	_, err := a.conn.Exec(ctx, `
		select set_config(name, case name when 'lc_monetary' then 'C' else '0' end, false) from pg_settings where name in ('lc_monetary', 'transaction_timeout')`)
	return err
}

// sessionSettings fix how the server prints values.
func sessionSettings() map[string]string {
	return map[string]string{
		"client_encoding": "UTF8", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "TimeZone": "UTC",
		"extra_float_digits": "1", "bytea_output": "hex", "lc_monetary": "C", "quote_all_identifiers": "off",
		// No timeout that is set for the role or the database ends a read, and row security makes a read fail rather than give a part
		// of the rows. // I8
		"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0",
		"row_security": "off", "default_transaction_read_only": "off",
	}
}

func (a *admin) close(ctx context.Context) { _ = a.conn.Close(ctx) }

// facts asks the server about itself.
func (a *admin) facts(ctx context.Context) (serverFacts, error) {
	var f serverFacts
	var patience int64
	err := a.conn.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('wal_level'), current_database(), r.rolsuper,
		       r.rolreplication, has_database_privilege(current_database(), 'create'), current_user, pg_is_in_recovery(),
		       (select setting::bigint from pg_settings where name = 'wal_sender_timeout')
		from pg_roles r where r.rolname = current_user`).
		Scan(&f.version, &f.walLevel, &f.database, &f.superuser, &f.replication, &f.createOnDatabase, &f.user, &f.recovery, &patience)
	f.patience = time.Duration(patience) * time.Millisecond
	if err != nil {
		return f, classify("ask the source about itself", err)
	}
	return f, nil
}
