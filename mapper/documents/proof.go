package documents

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/mapper"
)

// proof decides which wants a read transaction is proven to see. On a primary, the source transaction must be visible in the
// snapshot; on a replica, where xids do not help, the replay position before the transaction must be past the commit record.
type proof struct {
	wants    []mapper.Want
	needed   []bool
	any      bool
	timeline int32

	epoch    uint32
	replica  bool
	replayed cdc.LSN
	// at is where the log stood before the snapshot was taken; zero if that says nothing.
	at   cdc.LSN
	seen map[uint64]bool
}

func newProof(config Config, wants []mapper.Want) *proof {
	p := &proof{wants: wants, needed: make([]bool, len(wants)), seen: map[uint64]bool{}}
	if config.Now != nil {
		p.epoch, p.timeline = config.Now()
	}
	for i, w := range wants {
		p.needed[i] = w.XID != 0 && (config.Now == nil || w.Epoch >= p.epoch)
		p.any = p.any || p.needed[i]
	}
	return p
}

// beforeTransaction asks where the log stands, or how far a replica has replayed it, in a statement before the snapshot is taken.
func (p *proof) beforeTransaction(ctx context.Context, conn *pgx.Conn) error {
	if !p.any && p.epoch == 0 {
		return nil
	}
	var lsn *string
	var timeline *int32
	err := conn.QueryRow(ctx, `select pg_is_in_recovery(), case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text,
		case when pg_is_in_recovery() then coalesce((select received_tli from pg_catalog.pg_stat_wal_receiver), (pg_control_checkpoint()).timeline_id) end`).Scan(&p.replica, &lsn, &timeline)
	if err != nil || lsn == nil {
		return err
	}
	// Without the right to see the receiver, or without one, the last restart point says which timeline it is, if late.
	if p.replica && p.timeline != 0 && (timeline == nil || *timeline != p.timeline) {
		return nil // on another timeline LSNs say nothing: nothing is proven
	}
	if p.at, err = cdc.ParseLSN(*lsn); p.replica {
		p.replayed = p.at
	}
	return err
}

// inTransaction asks, as the transaction's first statement, which source transactions its snapshot sees.
func (p *proof) inTransaction(ctx context.Context, conn *pgx.Conn) error {
	if !p.any || p.replica {
		return nil
	}
	var xids []string
	for i, w := range p.wants {
		if p.needed[i] && !p.seen[w.XID] {
			p.seen[w.XID] = true
			xids = append(xids, strconv.FormatUint(w.XID, 10))
		}
	}
	clear(p.seen)
	rows, err := conn.Query(ctx, `select x from unnest($1::text[]) x where pg_visible_in_snapshot(x::xid8, pg_current_snapshot())`, xids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		x, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return fmt.Errorf("read xid: %w", err)
		}
		p.seen[x] = true
	}
	return rows.Err()
}

// visible tells whether a want is proven.
func (p *proof) visible(i int) bool {
	if !p.needed[i] {
		return true
	}
	if p.replica {
		return p.replayed > p.wants[i].Commit // strictly past the commit record
	}
	return p.seen[p.wants[i].XID]
}
