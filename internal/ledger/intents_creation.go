package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Creation is the log row of one OMS-born order's create at NuORDER.
type Creation struct {
	ExternalID, Number, NuORDERID string
	Attempts                      int
	// Age is how long ago the last create was begun, by the database's clock.
	Age time.Duration
}

// Creation reads the create of an OMS-born order; nil when none was begun.
func (l *Intents) Creation(ctx context.Context, environment, key string) (*Creation, error) {
	var c Creation
	var age float64
	err := l.pool.QueryRow(ctx, `select external_id, number, nuorder_id, attempts,
			extract(epoch from clock_timestamp() - begun_at)::float8
		from order_creations where environment = $1 and key = $2`, environment, key).
		Scan(&c.ExternalID, &c.Number, &c.NuORDERID, &c.Attempts, &age)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, intentErr("read the create of an OMS-born order", err)
	}
	c.Age = time.Duration(age * float64(time.Second))
	return &c, nil
}

// BeginCreation writes, before the call, that a create at NuORDER is under way.
func (l *Intents) BeginCreation(ctx context.Context, environment, key, externalID, number string) error {
	_, err := l.pool.Exec(ctx, `insert into order_creations (environment, key, external_id, number, attempts)
		values ($1, $2, $3, $4, 1)
		on conflict (environment, key) do update set external_id = excluded.external_id, number = excluded.number,
			attempts = order_creations.attempts + 1, begun_at = clock_timestamp()`, environment, key, externalID, number)
	if err != nil {
		return intentErr("write the create of an OMS-born order", err)
	}
	return nil
}

// EndCreation writes the answer of a create: NuORDER's _id, or nothing if it was definitely refused.
func (l *Intents) EndCreation(ctx context.Context, environment, key, externalID, number, nuorderID string) error {
	sql := `insert into order_creations (environment, key, external_id, number, nuorder_id) values ($1, $2, $3, $4, $5)
		on conflict (environment, key) do update set nuorder_id = excluded.nuorder_id, number = excluded.number`
	args := []any{environment, key, externalID, number, nuorderID}
	if nuorderID == "" {
		sql, args = `delete from order_creations where environment = $1 and key = $2 and nuorder_id = ''`, args[:2]
	}
	if _, err := l.pool.Exec(ctx, sql, args...); err != nil {
		return intentErr("write the answer of a create", err)
	}
	return nil
}

// BornInOMS tells whether the NuORDER order is one that the bridge itself created there, and whether a create under its number is
// unanswered: then it may be the one.
func (l *Intents) BornInOMS(ctx context.Context, environment, nuorderID, number string) (born, unanswered bool, err error) {
	err = l.pool.QueryRow(ctx, `select exists (select from order_creations where environment = $1 and nuorder_id = $2),
		exists (select from order_creations where environment = $1 and number = $3 and number <> '' and nuorder_id = '')`,
		environment, nuorderID, number).Scan(&born, &unanswered)
	if err != nil {
		return false, false, intentErr("ask whether an order was born in the OMS", err)
	}
	return born, unanswered, nil
}

// WarehouseNames gives the codes of NuORDER's warehouses by _id, as the delivered products have taught them.
func (l *Intents) WarehouseNames(ctx context.Context, environment string) (map[string]string, error) {
	// A few products tell all: a portal has a handful of warehouses, and each product lists those that it has stock in.
	rows, err := l.pool.Query(ctx, `select distinct on (e.value) e.value, substr(e.key, 11) from (
			select identity from objects where environment = $1 and kind = 'product' and known limit 500
		) o, jsonb_each_text(o.identity) e where e.key like 'warehouse:%' order by e.value, length(e.key), e.key`, environment)
	if err != nil {
		return nil, intentErr("read the names of warehouses", err)
	}
	names := map[string]string{}
	var id, name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { names[id] = name; return nil }); err != nil {
		return nil, intentErr("read the names of warehouses", err)
	}
	return names, nil
}
