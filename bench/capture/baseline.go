package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/segmentio/kafka-go"
)

// The baseline is the plainest bridge that delivers at least once: pglogrepl in, kafka-go out, one goroutine each, the columns
// alone as the value. It is nobody's product; it shows how far the plain way goes.
const baselineBatch = 5000

// baselineChange is a message and the place in the log of its row.
type baselineChange struct {
	message kafka.Message
	lsn     pglogrepl.LSN
}

// baseline runs until the context ends.
func baseline(ctx context.Context) error {
	w := &kafka.Writer{
		Addr: kafka.TCP(os.Getenv("CDC_KAFKA")), Balancer: &kafka.Hash{},
		BatchSize: baselineBatch, BatchTimeout: time.Millisecond, BatchBytes: 1 << 20, RequiredAcks: kafka.RequireAll,
	}
	defer w.Close() //nolint:errcheck // it ends with the process
	conn, err := replicate(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it ends with the process
	if os.Getenv("CDC_MODE") == "snapshot" {
		slot, err := pglogrepl.CreateReplicationSlot(ctx, conn, os.Getenv("CDC_SLOT"), "pgoutput",
			pglogrepl.CreateReplicationSlotOptions{SnapshotAction: "EXPORT_SNAPSHOT"})
		if err != nil {
			return err
		}
		if err := baselineSnapshot(ctx, w, slot.SnapshotName); err != nil {
			return err
		}
	}
	return baselineStream(ctx, conn, w)
}

func baselineTopic(table string) string {
	return os.Getenv("CDC_PREFIX") + "." + os.Getenv("CDC_SCHEMA") + "." + table
}

// baselineSnapshot lets the server write the rows as JSON.
func baselineSnapshot(ctx context.Context, w *kafka.Writer, name string) error {
	conn, err := pgx.Connect(ctx, os.Getenv("CDC_PG_URL"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it ends with the process
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it only read
	if _, err := tx.Exec(ctx, "set transaction snapshot '"+name+"'"); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, "select id::text, row_to_json(t)::text from "+pgx.Identifier{os.Getenv("CDC_SCHEMA"), tables[0]}.Sanitize()+" t")
	if err != nil {
		return err
	}
	defer rows.Close()
	topic := baselineTopic(tables[0])
	batch := make([]kafka.Message, 0, baselineBatch)
	for rows.Next() {
		v := rows.RawValues()
		batch = append(batch, kafka.Message{Topic: topic, Key: append([]byte(nil), v[0]...), Value: append([]byte(nil), v[1]...)})
		if len(batch) == baselineBatch {
			if err := w.WriteMessages(ctx, batch...); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return errors.Join(rows.Err(), w.WriteMessages(ctx, batch...))
}

func baselineStream(ctx context.Context, conn *pgconn.PgConn, w *kafka.Writer) error {
	if err := startStream(ctx, conn); err != nil {
		return err
	}
	var acked atomic.Uint64
	changes := make(chan baselineChange, 4*baselineBatch)
	failed := make(chan error, 1)
	go func() { failed <- baselineProduce(ctx, w, changes, &acked) }()
	relations := map[uint32]*pglogrepl.RelationMessage{}
	next := time.Now()
	for {
		if !time.Now().Before(next) {
			at := pglogrepl.LSN(max(1, acked.Load()))
			if err := pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: at, WALFlushPosition: at, WALApplyPosition: at}); err != nil {
				return err
			}
			next = time.Now().Add(time.Second)
		}
		until, cancel := context.WithDeadline(ctx, next)
		raw, err := conn.ReceiveMessage(until)
		cancel()
		if err != nil {
			if ctx.Err() == nil && pgconn.Timeout(err) {
				continue
			}
			return err
		}
		data, ok := raw.(*pgproto3.CopyData)
		if !ok || data.Data[0] != pglogrepl.XLogDataByteID {
			continue
		}
		x, err := pglogrepl.ParseXLogData(data.Data[1:])
		if err != nil {
			return err
		}
		m, err := pglogrepl.Parse(x.WALData)
		if err != nil {
			return err
		}
		message, ok, err := baselineMessage(relations, m)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		select {
		case changes <- baselineChange{message, x.WALStart}:
		case err := <-failed:
			return err
		}
	}
}

// baselineMessage makes a record of a row message.
func baselineMessage(relations map[uint32]*pglogrepl.RelationMessage, m pglogrepl.Message) (kafka.Message, bool, error) {
	switch m := m.(type) {
	case *pglogrepl.RelationMessage:
		relations[m.RelationID] = m
	case *pglogrepl.InsertMessage:
		message, err := baselineEncode(relations[m.RelationID], m.Tuple)
		return message, true, err
	case *pglogrepl.UpdateMessage:
		message, err := baselineEncode(relations[m.RelationID], m.NewTuple)
		return message, true, err
	case *pglogrepl.DeleteMessage:
		key := append([]byte(nil), m.OldTuple.Columns[0].Data...)
		return kafka.Message{Topic: baselineTopic(relations[m.RelationID].RelationName), Key: key}, true, nil
	}
	return kafka.Message{}, false, nil
}

// baselineProduce sends what has gathered since the last send.
func baselineProduce(ctx context.Context, w *kafka.Writer, changes <-chan baselineChange, acked *atomic.Uint64) error {
	batch := make([]kafka.Message, 0, baselineBatch)
	for {
		var c baselineChange
		select {
		case c = <-changes:
		case <-ctx.Done():
			return ctx.Err()
		}
		batch = append(batch[:0], c.message)
	gather:
		for len(batch) < baselineBatch {
			select {
			case c = <-changes:
				batch = append(batch, c.message)
			default:
				break gather
			}
		}
		if err := w.WriteMessages(ctx, batch...); err != nil {
			return err
		}
		acked.Store(uint64(c.lsn))
	}
}

func baselineEncode(r *pglogrepl.RelationMessage, t *pglogrepl.TupleData) (kafka.Message, error) {
	value := []byte{'{'}
	for i, column := range t.Columns {
		if i > 0 {
			value = append(value, ',')
		}
		value = strconv.AppendQuote(value, r.Columns[i].Name)
		value = append(value, ':')
		switch {
		case column.DataType == 'n':
			value = append(value, "null"...)
		case isNumber(r.Columns[i].DataType):
			value = append(value, column.Data...)
		default:
			text, err := json.Marshal(string(column.Data))
			if err != nil {
				return kafka.Message{}, err
			}
			value = append(value, text...)
		}
	}
	key := append([]byte(nil), t.Columns[0].Data...)
	return kafka.Message{Topic: baselineTopic(r.RelationName), Key: key, Value: append(value, '}')}, nil
}

func isNumber(oid uint32) bool { return oid == 20 || oid == 21 || oid == 23 || oid == 1700 }
