package ledger

import (
	"context"
	"fmt"

	"nubridge/cdc"
	"nubridge/mapper"
)

// Skip sets the checkpoints of a flow to where its group reads on: a person has accepted that what lies between was not seen.
// Owners of the partitions are fenced. // I8
func (s *Store) Skip(ctx context.Context, environment string, flow mapper.Flow, next map[cdc.Partition]int64) error {
	var topics []string
	var partitions []int32
	var offsets []int64
	for p, offset := range next {
		topics, partitions, offsets = append(topics, p.Topic), append(partitions, int32(p.ID)), append(offsets, offset)
	}
	_, err := s.pool.Exec(ctx, `
        with w as (select * from unnest($3::text[], $4::int[], $5::bigint[]) as w(topic, partition, next)),
        t as (delete from settled_touches t using w where (t.environment, t.flow, t.topic, t.partition) = ($1, $2, w.topic, w.partition))
        insert into group_checkpoints as c (environment, flow, topic, partition, next) select $1, $2, topic, partition, next from w
        on conflict (environment, flow, topic, partition) do update set next = excluded.next, token = c.token + 1, at = now()`,
		environment, flow, topics, partitions, offsets)
	if err != nil {
		return fmt.Errorf("set the checkpoints of %s: %w", flow, err)
	}
	return nil
}
