package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/mapper"
)

// Checkpoint is how far one partition of a flow's group is settled.
type Checkpoint struct {
	// Next is the offset below which everything is settled, -1 when nothing was ever settled.
	Next int64
	Last cdc.Position
	// Token fences the partition: older owners count nothing any more.
	Token int64
	// Settled are touches at or above Next that were settled and counted.
	Settled []SettledTouch
}

// Join names a loop to the ledger, so that its settlements can be told apart and its claims last. What a loop of the same name
// left claimed is open again.
func (s *Store) Join(ctx context.Context, environment string, flow mapper.Flow, instance string) error {
	_, err := s.pool.Exec(ctx, `
        with old as (delete from settlers where environment = $1 and flow = $2 and instance <> $3 and at < now() - interval '7 days'),
        left_over as (update requests set claimed_until = null where environment = $1 and flow = $2 and claimed_by = $3 and claimed_until is not null)
        insert into settlers (environment, flow, instance) values ($1, $2, $3)
        on conflict (environment, flow, instance) do update set seq = 0, at = now()`, environment, flow, instance)
	if err != nil {
		return fmt.Errorf("join the flow %s: %w", flow, err)
	}
	return nil
}

// Alive tells that a loop that joined still works, which keeps its claims.
func (s *Store) Alive(ctx context.Context, environment string, flow mapper.Flow, instance string) error {
	_, err := s.pool.Exec(ctx, "update settlers set at = now() where (environment, flow, instance) = ($1, $2, $3)", environment, flow, instance)
	if err != nil {
		return fmt.Errorf("tell that the flow %s is alive: %w", flow, err)
	}
	return nil
}

// Look reads the checkpoint of a partition without taking it. ok is false when there is none.
func (s *Store) Look(ctx context.Context, environment string, flow mapper.Flow, p cdc.Partition) (c Checkpoint, ok bool, err error) {
	var epoch, commit, index int64
	err = s.pool.QueryRow(ctx, `select next, token, epoch, commit_lsn, tx_index from group_checkpoints
        where (environment, flow, topic, partition) = ($1, $2, $3, $4)`, environment, flow, p.Topic, p.ID).Scan(&c.Next, &c.Token, &epoch, &commit, &index)
	if errors.Is(err, pgx.ErrNoRows) {
		return Checkpoint{Next: -1}, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("read the checkpoint of %s/%d: %w", p.Topic, p.ID, err)
	}
	c.Last = cdc.Position{Epoch: uint32(epoch), Commit: cdc.LSN(commit), Index: uint64(index)}
	return c, true, nil
}

// Assume takes a partition that Kafka assigned: it raises the fence, so that what an earlier owner still settles is not
// counted, and reads what is settled already. start is where reading begins when there is no checkpoint. // I1, I8
func (s *Store) Assume(ctx context.Context, environment string, flow mapper.Flow, p cdc.Partition, start int64) (Checkpoint, error) {
	var c Checkpoint
	var epoch, commit, index int64
	err := s.pool.QueryRow(ctx, `
        insert into group_checkpoints as c (environment, flow, topic, partition, next) values ($1, $2, $3, $4, $5)
        on conflict (environment, flow, topic, partition) do update set token = c.token + 1,
            next = case when c.next < 0 then excluded.next else c.next end
        returning next, token, epoch, commit_lsn, tx_index`, environment, flow, p.Topic, p.ID, start).Scan(&c.Next, &c.Token, &epoch, &commit, &index)
	if err != nil {
		return c, fmt.Errorf("take the checkpoint of %s/%d: %w", p.Topic, p.ID, err)
	}
	c.Last = cdc.Position{Epoch: uint32(epoch), Commit: cdc.LSN(commit), Index: uint64(index)}
	// A second statement, so that it sees what the fenced owner wrote before the fence rose.
	rows, err := s.pool.Query(ctx, `select "offset", key from settled_touches where (environment, flow, topic, partition) = ($1, $2, $3, $4)
        and "offset" >= $5`, environment, flow, p.Topic, p.ID, c.Next)
	if err != nil {
		return c, fmt.Errorf("read the settled touches of %s/%d: %w", p.Topic, p.ID, err)
	}
	c.Settled, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (SettledTouch, error) {
		var t SettledTouch
		err := row.Scan(&t.Offset, &t.Key)
		return t, err
	})
	if err != nil {
		return c, fmt.Errorf("read the settled touches of %s/%d: %w", p.Topic, p.ID, err)
	}
	return c, nil
}

// Accept lets a flow go on after the check of I8 halted it: a person has seen the gap. The checkpoints are dropped, and the
// next assignment of each partition starts where the group's offset says, whatever that is; what was missed must be replayed.
func (s *Store) Accept(ctx context.Context, environment string, flow mapper.Flow) error {
	_, err := s.pool.Exec(ctx, `with t as (delete from settled_touches where environment = $1 and flow = $2)
        update group_checkpoints set next = -1, token = token + 1 where environment = $1 and flow = $2`, environment, string(flow))
	if err != nil {
		return fmt.Errorf("accept the gap of %s: %w", flow, err)
	}
	return nil
}
