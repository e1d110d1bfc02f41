package ledger

import (
	"context"
	"fmt"

	"nubridge/mapper"
)

// Counts are the touches of one flow in one environment. // I1
type Counts struct {
	Read, Delivered, Unchanged, Superseded, Filtered int64
	// Waiting and Parked are touches of the keys that wait or are parked now.
	Waiting, Parked int64
	// Repeats are touches met again after they were counted; they are in no other count.
	Repeats int64
	Calls   int64
}

// Sum is what Read must equal, what is in flight apart.
func (c Counts) Sum() int64 {
	return c.Delivered + c.Unchanged + c.Superseded + c.Filtered + c.Waiting + c.Parked
}

// Counts reads the counts of a flow in one statement.
func (s *Store) Counts(ctx context.Context, environment string, flow mapper.Flow) (Counts, error) {
	var c Counts
	err := s.pool.QueryRow(ctx, `
        select coalesce(c.read, 0), coalesce(c.delivered, 0), coalesce(c.unchanged, 0), coalesce(c.superseded, 0), coalesce(c.filtered, 0),
            coalesce(c.repeats, 0), coalesce(c.calls, 0), w.n, p.n
        from (select coalesce(sum(touches), 0)::bigint as n from waiting where environment = $1 and flow = $2) w,
            (select coalesce(sum(touches), 0)::bigint as n from parked where environment = $1 and flow = $2) p
            left join counters c on c.environment = $1 and c.flow = $2`, environment, flow).
		Scan(&c.Read, &c.Delivered, &c.Unchanged, &c.Superseded, &c.Filtered, &c.Repeats, &c.Calls, &c.Waiting, &c.Parked)
	if err != nil {
		return c, fmt.Errorf("read the counts of %s: %w", flow, err)
	}
	return c, nil
}
