package sink

// Point names a moment at which a kill must lose nothing; tests stop the process there. // I10
type Point string

// The points of the way of a change.
const (
	PointFetched   Point = "S1" // records are fetched, nothing is done with them
	PointOwned     Point = "S2" // the object is owned, before the call
	PointSent      Point = "S3" // the call is at NuORDER, its answer is not read
	PointAnswered  Point = "S4" // the answer is read, the ledger not written
	PointSettled   Point = "S5" // the ledger is written, the offset not committed
	PointCommitted Point = "S6" // the offset is committed
	PointParking   Point = "S7" // a key is about to be parked
	PointReleasing Point = "S8" // a parent is delivered, its children are not told
	PointAssigned  Point = "S9" // a partition is assigned and not yet taken
)

func (l *Loop) at(p Point) {
	if l.config.At != nil {
		l.config.At(p)
	}
}
