package mapper

// Type is what a column can be in an expression.
type Type byte

// The types. Dates and timestamps are text in ISO form, so that they compare and sort as text; Any is decoded JSON.
const (
	Text Type = iota
	Int
	Decimal
	Bool
	Date
	Timestamp
	Any
	TextList
)

// String gives the type's name as findings and docs use it.
func (t Type) String() string {
	return [...]string{"text", "integer", "decimal", "boolean", "date", "timestamp", "json", "list of text"}[t]
}

// Column is one column of a query's result.
type Column struct {
	Name string
	Type Type
	// Database is the type's name in the database.
	Database string
	// OID is the type's number in the database; zero if it was not described by one.
	OID uint32
}

// QueryID names one query of a mapping folder: the flow's file and its place in it: root, a part's name, or hop N.
type QueryID struct {
	File string
	Name string
}

// Query is one query of the folder as it stands in the mapping.
type Query struct {
	ID   QueryID
	SQL  string
	Node *Node // the scalar that holds the SQL or the name of its file
	// Params counts its array parameters: one per key column.
	Params int
}

// QueryInfo is what the database says of a query.
type QueryInfo struct {
	Columns []Column
	// Params are the names of the parameters' types, such as bigint[].
	Params []string
	// Tables are the tables that the query reads, views resolved, as schema.table.
	Tables []string
	// Clock tells that the query's rows depend on the present time.
	Clock bool
	// Error is why the query cannot be prepared, empty if it can; Position is the character in the SQL it is about, from one, or zero.
	Error, Hint string
	Position    int
}

// TableInfo is what the database says of a table that a route watches or a query reads.
type TableInfo struct {
	Columns []Column
	// Key are the primary key's columns in order; Identity the columns that a delete carries.
	Key, Identity []string
	// Indexes are the column lists of unique indexes that could serve as replica identity, by name.
	Indexes map[string][]string
	// Published tells whether the publication holds the table; only meaningful if the schema names a publication.
	Published bool
	// Partitioned tells that the table is a partition root.
	Partitioned bool
	// Partitions are the columns that a delete carries by the name of each leaf of a partitioned table, schema.table: a leaf has a
	// replica identity of its own.
	Partitions map[string][]string
}

// Schema is the database as far as the mapping needs to know it; documents.Describe makes it.
type Schema struct {
	Queries map[QueryID]QueryInfo
	Tables  map[string]TableInfo
	// Portal is what the NuORDER portal says of itself, nil if it was not asked.
	Portal *Portal
	// Publication is the name that was checked, empty if none was asked for.
	Publication string
}

// Portal is what a NuORDER portal demands beyond its general rules.
type Portal struct {
	// Fields are the custom and schema fields by kind: product, company, order.
	Fields map[Kind][]PortalField
	// Warehouses are the codes and names of the warehouses that exist there; nil if they are not known.
	Warehouses []string
}

// PortalField is one field of a portal's schema.
type PortalField struct {
	// Key is the field's name; a dot leads into the elements of a list, such as sizes.upc.
	Key      string
	Required bool
	// Allowed are the values that are accepted; any if empty.
	Allowed []string
}
