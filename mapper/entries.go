package mapper

// Entry is one entry of the mapping format; the decoder, the JSON schema and docs/MAPPING.md are made from the list.
type Entry struct {
	Name     string
	Required bool
	// Shape is the name of a shape in the JSON schema.
	Shape string
	Text  string
}

// Place is one place of the format where entries stand.
type Place struct {
	Name, Title string
	Entries     []Entry
}

// Format lists the places of a flow's file with their entries.
func Format() []Place {
	return []Place{
		{"file", "A flow's file", []Entry{
			{"document", true, "document", "What is read: the key, the root query and the queries of the parts."},
			{"routes", true, "routes", "For each table that the queries read: how a changed row names its documents."},
			{"id", true, "expression", "Our name of the object at NuORDER: brand_id, company code or order number. It should never change."},
			{"filter", false, "expression", "The condition under which a document is sent at all. A document that it stops selecting is archived or cancelled at NuORDER, it never just goes quiet."},
			{"active", false, "expression", "The condition under which the object is active; usable as `active` in all expressions."},
			{"define", false, "expressions", "Named expressions over the root row, usable by their names in all expressions."},
			{"facts", false, "expressions", "Values that the flow's logic needs. orders.yaml and shipments.yaml: number, reference (the other system's reference, empty for an order born in OMS), date (YYYY-MM-DD), cancelled (true or false); orders.yaml also shipped if it likes (units that have shipped: a cancel waits until NuORDER knows of them)."},
			{"parents", false, "parents", "Documents that must be at NuORDER first; until they are, this one waits."},
			{"fields", true, "tree", "The body for NuORDER."},
			{"lookups", false, "lookups", "Look-up tables: `{from: to}` inline, or `{csv: file}` with the header `from,to`."},
			{"zero_price", false, "zeroPrice", "`send` or `park`: what is done with a price of zero. `park` if not given."},
		}},
		{"document", "document", []Entry{
			{"key", true, "names", "The column, or the columns in order, that name a document. Every query gives them in its result."},
			{"root", true, "query", "The query that gives one row per document."},
			{"parts", false, "queries", "Queries by name that give any number of rows per document."},
			{"static", false, "names", "Tables, as schema.table, that the queries read and whose changes need not be noticed."},
		}},
		{"query", "A query", []Entry{
			{"sql", false, "text", "The SQL, with one array parameter per key column. A query may also be written as a plain text instead of this mapping."},
			{"file", false, "text", "A file of the mapping folder that holds the SQL."},
			{"key", false, "names", "The key columns, where this query calls them otherwise."},
		}},
		{"route", "A route", []Entry{
			{"table", true, "text", "schema.table as the database spells it, without quotes."},
			{"key", false, "names", "The columns of the row that name its document, in the order of the document's key."},
			{"hop", false, "hop", "A query that leads from columns of the row to documents, where the row does not name them itself."},
			{"deletes", false, "deletes", "`ignore`: it is known and accepted that deletes are not noticed because the replica identity does not carry the columns."},
		}},
		{"hop", "hop", []Entry{
			{"from", true, "names", "The columns of the row that the query is given, one array parameter each."},
			{"sql", false, "text", "The SQL. Its result holds the columns of `from`, by their names, and the key columns of the document."},
			{"file", false, "text", "A file of the mapping folder that holds the SQL."},
		}},
		{"parent", "A parent", []Entry{
			{"flow", true, "parentFlow", "products, customers or order_edits."},
			{"key", true, "parentKey", "The expression, or the list of them, that gives the parent's document key."},
			{"each", false, "text", "The part whose rows each name a parent; the root row if not given."},
			{"when", false, "expression", "A condition; where it does not hold there is no parent."},
		}},
		{"list", "A list in the fields", []Entry{
			{"each", true, "text", "The name of a part, `group` for the rows of the group around it, or an expression that gives a list."},
			{"where", false, "expression", "The condition that selects elements."},
			{"order", false, "names", "Expressions to order by; ` desc` behind one reverses it. The order of the query if not given."},
			{"group", false, "names", "Columns or expressions: rows with equal values make one element, in the order of their first rows."},
			{"key", false, "expression", "Makes an object instead of a list: the name of each element, such as the currency."},
			{"as", false, "text", "The name of the element where `each` is an expression; `item` if not given."},
			{"fields", false, "tree", "The element as an object."},
			{"value", false, "tree", "The element as a single expression."},
		}},
	}
}

// entryNames gives the entries that are known at a place, and those that must be there.
func entryNames(place string) (known, required []string) {
	for _, p := range Format() {
		if p.Name != place {
			continue
		}
		for _, e := range p.Entries {
			known = append(known, e.Name)
			if e.Required {
				required = append(required, e.Name)
			}
		}
	}
	return known, required
}
