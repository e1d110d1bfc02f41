package mapper

import "slices"

// Rows is a column store of the rows that one query gave for a batch of keys. Values are held as the text of the database in one
// buffer; nothing is decoded until an expression asks for it.
type Rows struct {
	columns []Column
	data    []byte
	// ends holds, row by row, the end of each value in data; nulls marks SQL NULL.
	ends  []uint32
	nulls []bool
}

// NewRows makes an empty store for rows of the given columns.
func NewRows(columns []Column) *Rows { return &Rows{columns: columns} }

// Append adds a row: one text per column, nil for NULL. The values are copied.
func (r *Rows) Append(values [][]byte) {
	for i, v := range values {
		r.nulls = append(r.nulls, v == nil)
		if r.columns[i].Type == Bool && len(v) == 1 {
			v = boolText(v[0])
		}
		r.data = append(r.data, v...)
		r.ends = append(r.ends, uint32(len(r.data)))
	}
}

func boolText(c byte) []byte {
	if c == 't' {
		return []byte("true")
	}
	return []byte("false")
}

// Grow makes room for bytes of values to come.
func (r *Rows) Grow(bytes int) { r.data = slices.Grow(r.data, bytes) }

// Reset forgets the rows and keeps the memory.
func (r *Rows) Reset() { r.data, r.ends, r.nulls = r.data[:0], r.ends[:0], r.nulls[:0] }

// Len counts the rows.
func (r *Rows) Len() int {
	if len(r.columns) == 0 {
		return 0
	}
	return len(r.ends) / len(r.columns)
}

// Bytes is the size of the values held.
func (r *Rows) Bytes() int { return len(r.data) }

// Columns gives the columns of the rows.
func (r *Rows) Columns() []Column { return r.columns }

// Value gives the text of one value and whether it is not NULL. The bytes are the store's: they must not be changed.
func (r *Rows) Value(row, column int) ([]byte, bool) {
	at := row*len(r.columns) + column
	if r.nulls[at] {
		return nil, false
	}
	var from uint32
	if at > 0 {
		from = r.ends[at-1]
	}
	return r.data[from:r.ends[at]], true
}

// Slice is the rows of one part that belong to one document.
type Slice struct {
	Rows *Rows
	// Index are the row numbers in order.
	Index []int32
}

// OpenOrder is stock that an approved NuORDER order has taken and that OMS does not know yet.
type OpenOrder struct {
	UPC, Size, Warehouse string
	Quantity             int
}

// Document is one document as read from the database: its root row and the rows of its parts, in the order of the mapping.
// It holds on to the rows of its batch.
type Document struct {
	root       Slice
	parts      []Slice
	openOrders []OpenOrder
	mapping    *Mapping
}

// ReadBy notes the mapping that the document was read by, so that a mapping which takes over meanwhile does not translate it.
func (d *Document) ReadBy(m *Mapping) *Document {
	d.mapping = m
	return d
}

// NewDocument makes a document of its root row and its parts' rows, parts in the order of the mapping.
func NewDocument(root Slice, parts []Slice) *Document { return &Document{root: root, parts: parts} }

// SetOpenOrders supplies the built-in part bridge.open_orders of the inventory flow.
func (d *Document) SetOpenOrders(rows []OpenOrder) { d.openOrders = rows }

// Root gives the root row.
func (d *Document) Root() Slice { return d.root }

// Parts gives the rows of the parts in the order of the mapping.
func (d *Document) Parts() []Slice { return d.parts }
