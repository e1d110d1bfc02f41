package cdc

import "time"

// CaptureState is what is recorded of a capture: where it stands and by what the source is recognised. // I8
type CaptureState struct {
	// SystemID and Timeline identify the server's history.
	SystemID string
	Timeline uint32
	// Slot and Publication name what is read.
	Slot, Publication string
	// Reader names the session that reads the slot: one that bears it is of an earlier run of this very capture, never a stranger's.
	Reader string
	// Epoch is the first part of every position.
	Epoch uint32
	// Last is the last acknowledged position, Through the LSN that may be confirmed with it.
	Last    Position
	Through LSN
	// Tables are the tables captured at the last start.
	Tables []CapturedTable
	// GapReason says why somebody accepted a gap before this epoch; empty if nobody did.
	GapReason string
	// AcceptGap is a reason that somebody gave and that no start has used yet.
	AcceptGap string
}

// CapturedTable is one table of a capture.
type CapturedTable struct {
	OID           uint32
	Schema, Table string
	// Identity is the replica identity: d default, n nothing, f full, i index.
	Identity string
	// Members are the catalog's entries by which the table is in the publication: one that was taken out and put in again has others.
	Members []int64 `json:",omitempty"`
	// Restriction says to which rows and columns the publication restricts the table; empty means all.
	Restriction string `json:",omitempty"`
}

// SchemaVersion is the shape of a table from one place in the log on.
type SchemaVersion struct {
	Schema, Table string
	From          LSN
	// Columns is a JSON array of name, type and key mark.
	Columns []byte
}

// SnapshotStatus is how far a snapshot of a table is.
type SnapshotStatus string

// The states of a snapshot.
const (
	SnapshotPending SnapshotStatus = "pending"
	SnapshotRunning SnapshotStatus = "running"
	SnapshotPaused  SnapshotStatus = "paused"
	SnapshotDone    SnapshotStatus = "done"
)

// SnapshotJob is the snapshot of one table.
type SnapshotJob struct {
	ID            int64
	Schema, Table string
	// Where restricts the rows, as an SQL condition; empty means all.
	Where  string
	Status SnapshotStatus
	// Resume is where the next chunk begins: the text of the last key's columns, or table, block and file; nil at the start.
	Resume []string
	// Measure tells in what Resume is counted: in blocks, or in which key. Another one begins the snapshot anew.
	Measure uint32
	// Rows were read so far, of an estimated number.
	Rows, Estimated    int64
	Started, Completed time.Time
}
