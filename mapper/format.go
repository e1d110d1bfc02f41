package mapper

// Undecided is the leaf that a drafted mapping has where a person must decide; the check warns of each, and it counts as NULL.
const Undecided = "TO" + "DO"

// FileOf gives the mapping file of a flow. Edits and creation of orders share one.
func FileOf(f Flow) string {
	switch f {
	case OrderEdits, OrderCreation:
		return "orders.yaml"
	default:
		return string(f) + ".yaml"
	}
}

// Flows lists the flows that go from the OMS to NuORDER.
func Flows() []Flow {
	return []Flow{Products, Customers, Inventory, OrderEdits, OrderCreation, Shipments}
}

// flowFile is one flow's mapping file, decoded and not yet compiled.
type flowFile struct {
	file  string
	flows []Flow
	node  *Node

	key    []string
	root   query
	parts  []part
	routes []route
	// static are tables whose changes need no route.
	static []string

	id, filter, active *Node
	facts              []namedNode
	define             []namedNode
	parents            []parent
	fields             *Node
	lookups            map[string]*lookup
	zeroPrice          string
}

type namedNode struct {
	name string
	key  *Node
	node *Node
}

type query struct {
	sql  string
	node *Node
	key  []string
	// keyNode is where the key columns are named.
	keyNode *Node
}

type part struct {
	name string
	node *Node
	query
}

type route struct {
	node  *Node
	table string
	tnode *Node
	// key are the columns of the row that name the document; nil if a hop does.
	key     []string
	keyNode *Node
	// from are the columns that feed the hop.
	from []string
	hop  *query
	// ignoreDeletes says that deletes need not be noticed.
	ignoreDeletes bool
}

type parent struct {
	flow Flow
	each string
	node *Node
	keys []*Node
	// when, if any, must hold.
	when *Node
}

type lookup struct {
	name    string
	node    *Node
	entries map[string]string
}
