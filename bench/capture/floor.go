package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// floorResult is what a floor prints at its end.
type floorResult struct {
	Rows    int     `json:"rows"`
	First   float64 `json:"first_s"`   // from the start of the process to the first message
	Seconds float64 `json:"seconds"`   // from the start of the process to the last message
	Bytes   int64   `json:"bytes"`     // of all messages
	Loop    float64 `json:"loop_rows"` // rows a second after the first message
}

// print prints the result and stays until it is told to end: while the connection is open the server's process is there, and its
// processor time can be told from that of others.
func (r floorResult) print(ctx context.Context) error {
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// floor receives the messages of a slot over TCP, looks at the byte that tells their type, counts the rows and forgets them.
// With CDC_GULP it reads as many bytes at once as that says, otherwise as pgconn does.
func floor(ctx context.Context) error {
	started := time.Now()
	want, err := strconv.Atoi(os.Getenv("CDC_ROWS"))
	if err != nil {
		return fmt.Errorf("CDC_ROWS: %w", err)
	}
	conn, err := replicate(ctx)
	if err != nil {
		return err
	}
	if err := startStream(ctx, conn); err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it ends with the process
	r := floorResult{}
	for r.Rows < want {
		raw, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		data, ok := raw.(*pgproto3.CopyData)
		switch {
		case !ok:
			if e, failed := raw.(*pgproto3.ErrorResponse); failed {
				return pgconn.ErrorResponseToPgError(e)
			}
		case data.Data[0] == pglogrepl.PrimaryKeepaliveMessageByteID:
			if data.Data[17] == 1 {
				if err := keep(ctx, conn); err != nil {
					return err
				}
			}
		case data.Data[0] == pglogrepl.XLogDataByteID:
			r.Bytes += int64(len(data.Data))
			switch data.Data[25] {
			case 'I', 'U', 'D':
				if r.Rows == 0 {
					r.First = time.Since(started).Seconds()
				}
				r.Rows++
			}
		}
	}
	r.Seconds = time.Since(started).Seconds()
	r.Loop = float64(r.Rows) / (r.Seconds - r.First)
	return r.print(ctx)
}

// keep answers the server without confirming anything.
func keep(ctx context.Context, conn *pgconn.PgConn) error {
	return pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: 1, WALFlushPosition: 1, WALApplyPosition: 1})
}

// replicate opens a connection in replication mode.
func replicate(ctx context.Context) (*pgconn.PgConn, error) {
	cc, err := pgconn.ParseConfig(os.Getenv("CDC_PG_URL"))
	if err != nil {
		return nil, err
	}
	cc.RuntimeParams["replication"] = "database"
	if gulp, err := strconv.Atoi(os.Getenv("CDC_GULP")); err == nil && gulp > 0 {
		cc.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
			return pgproto3.NewFrontend(bufio.NewReaderSize(r, gulp), w)
		}
	}
	return pgconn.ConnectConfig(ctx, cc)
}

// startStream starts streaming from the slot that the environment names.
func startStream(ctx context.Context, conn *pgconn.PgConn) error {
	return pglogrepl.StartReplication(ctx, conn, os.Getenv("CDC_SLOT"), 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names '" + os.Getenv("CDC_PUBLICATION") + "'"},
	})
}

// copyFloor copies the first table to nowhere.
func copyFloor(ctx context.Context) error {
	started := time.Now()
	conn, err := pgconn.Connect(ctx, os.Getenv("CDC_PG_URL"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it ends with the process
	r := floorResult{}
	out := counter{first: func() { r.First = time.Since(started).Seconds() }}
	tag, err := conn.CopyTo(ctx, &out, "copy "+os.Getenv("CDC_SCHEMA")+"."+tables[0]+" to stdout")
	if err != nil {
		return err
	}
	r.Rows, r.Bytes, r.Seconds = int(tag.RowsAffected()), out.bytes, time.Since(started).Seconds()
	r.Loop = float64(r.Rows) / (r.Seconds - r.First)
	return r.print(ctx)
}

// counter forgets what it is given.
type counter struct {
	bytes int64
	first func()
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	if c.bytes == 0 {
		c.first()
	}
	c.bytes += int64(len(b))
	return len(b), nil
}
