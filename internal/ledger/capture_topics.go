package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CapturedTopic is a topic as a publisher found it.
type CapturedTopic struct {
	Name string
	// ID changes when a topic is deleted and made again under the same name.
	ID         string
	Partitions int
}

// Topics gives the topics as the last publisher of the capture found them. // I8
func (c *Captures) Topics(ctx context.Context, capture string) ([]CapturedTopic, error) {
	rows, err := c.pool.Query(ctx, "select topic, id, partitions from capture_topics where capture = $1", capture)
	if err != nil {
		return nil, fmt.Errorf("read the topics of capture %q: %w", capture, err)
	}
	topics, err := pgx.CollectRows(rows, pgx.RowToStructByPos[CapturedTopic])
	if err != nil {
		return nil, fmt.Errorf("read the topics of capture %q: %w", capture, err)
	}
	return topics, nil
}

// KeepTopics records the topics for the next publisher to compare with. Topics that are recorded already stay as they are.
func (c *Captures) KeepTopics(ctx context.Context, capture string, topics []CapturedTopic) error {
	var names, ids []string
	var partitions []int32
	for _, t := range topics {
		names, ids, partitions = append(names, t.Name), append(ids, t.ID), append(partitions, int32(t.Partitions))
	}
	_, err := c.pool.Exec(ctx, `insert into capture_topics (capture, topic, id, partitions)
		select $1, * from unnest($2::text[], $3::text[], $4::integer[]) on conflict do nothing`, capture, names, ids, partitions)
	if err != nil {
		return fmt.Errorf("record the topics of capture %q: %w", capture, err)
	}
	return nil
}

// HoldTopic records that a topic is not as it should be, in place of its identity, until a gap is accepted. // I8
func (c *Captures) HoldTopic(ctx context.Context, capture, topic, id string) error {
	_, err := c.pool.Exec(ctx, `insert into capture_topics (capture, topic, id, partitions) values ($1, $2, $3, 0)
		on conflict (capture, topic) do update set id = excluded.id`, capture, topic, id)
	if err != nil {
		return fmt.Errorf("record the topics of capture %q: %w", capture, err)
	}
	return nil
}
