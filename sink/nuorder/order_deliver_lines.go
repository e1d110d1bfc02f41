package nuorder

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"nubridge/internal/fault"
)

// orderDoc is an order's body as a tree that can be changed without touching what we do not know. Numbers stay as they were written.
type orderDoc map[string]json.RawMessage

// docLine is one line of an order or of a shipment: the view, and the whole.
type docLine struct {
	view  Line
	whole map[string]json.RawMessage
	sizes []docSize
}

type docSize struct {
	size, upc string
	quantity  decimal.Decimal
	price     string
	whole     map[string]json.RawMessage
}

// item names a size of a product; products are compared as the portal does, which may fold their case.
type item struct {
	product, size string
}

// readOrderDoc reads a body.
func readOrderDoc(body []byte) (orderDoc, error) {
	var d orderDoc
	if err := decode(body, &d); err != nil || d == nil {
		return nil, fault.New(fault.Reject, CodeBadRequest, "the order's body is no JSON object")
	}
	return d, nil
}

// lines reads a list of lines, of an order or of a shipment.
func readLines(raw json.RawMessage) ([]docLine, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var wholes []map[string]json.RawMessage
	if err := decode(raw, &wholes); err != nil {
		return nil, fault.New(fault.Reject, CodeBadRequest, "the order's lines are not readable")
	}
	out := make([]docLine, len(wholes))
	for n, whole := range wholes {
		out[n].whole = whole
		if err := remarshal(whole, &out[n].view); err != nil {
			return nil, err
		}
		if out[n].view.Product == (LineProduct{}) {
			// Shipments, and some clients, name the product on the line itself.
			if err := remarshal(whole, &out[n].view.Product); err != nil {
				return nil, err
			}
		}
		var sizes []map[string]json.RawMessage
		if len(whole["sizes"]) > 0 && decode(whole["sizes"], &sizes) != nil {
			return nil, fault.New(fault.Reject, CodeBadRequest, "the sizes of a line are not readable")
		}
		for i, s := range out[n].view.Sizes {
			quantity, err := decimal.NewFromString(string(s.Quantity))
			if err != nil {
				return nil, fault.New(fault.Reject, CodeBadRequest, "a quantity of a line is no number")
			}
			out[n].sizes = append(out[n].sizes, docSize{
				size: string(s.Size), upc: string(s.UPC), quantity: quantity, price: string(s.Price), whole: sizes[i],
			})
		}
	}
	return out, nil
}

func remarshal(in, out any) error {
	raw, err := encodeJSON(in)
	if err == nil {
		err = decode(raw, out)
	}
	if err != nil {
		return fault.New(fault.Reject, CodeBadRequest, "a line of the order is not readable")
	}
	return nil
}

// encodeLines writes lines back with their sizes.
func encodeLines(lines []docLine) (json.RawMessage, error) {
	out := make([]map[string]json.RawMessage, 0, len(lines))
	for _, l := range lines {
		sizes := make([]map[string]json.RawMessage, 0, len(l.sizes))
		for _, s := range l.sizes {
			sizes = append(sizes, s.whole)
		}
		raw, err := encodeJSON(sizes)
		if err != nil {
			return nil, err
		}
		l.whole["sizes"] = raw
		out = append(out, l.whole)
	}
	return encodeJSON(out)
}

// setQuantity changes the quantity of a size in view and whole.
func (s *docSize) setQuantity(q decimal.Decimal) {
	s.quantity = q
	s.whole["quantity"] = json.RawMessage(q.String())
}

// asSent keeps of a line that NuORDER showed the named fields, and of its product and sizes what a client may send: an answer holds
// more, such as colour codes and sums, that a portal need not take back.
func (l *docLine) asSent(fields, sizeFields []string) error {
	l.whole = only(l.whole, fields)
	if raw := l.whole["product"]; len(raw) > 0 {
		var product map[string]json.RawMessage
		if decode(raw, &product) != nil {
			return fault.New(fault.Reject, CodeBadRequest, "the product of a line is not readable")
		}
		raw, err := encodeJSON(only(product, []string{"_id", "brand_id", "style_number", "season", "color"}))
		if err != nil {
			return err
		}
		l.whole["product"] = raw
	}
	for i := range l.sizes {
		l.sizes[i].whole = only(l.sizes[i].whole, sizeFields)
	}
	return dateOnly(l.whole, "ship_start", "ship_end")
}

// only gives a copy with the named fields.
func only(m map[string]json.RawMessage, fields []string) map[string]json.RawMessage {
	kept := make(map[string]json.RawMessage, len(fields))
	for _, f := range fields {
		if v := m[f]; v != nil {
			kept[f] = v
		}
	}
	return kept
}

// names are all names by which a line's product is known; two lines are of one product when they share one.
func (l *docLine) names() []string {
	p := l.view.Product
	var out []string
	if p.BrandID != "" {
		out = append(out, "b:"+strings.ToLower(string(p.BrandID)))
	}
	if p.StyleNumber != "" {
		out = append(out, "s:"+strings.ToLower(string(p.StyleNumber)+"|"+string(p.Season)+"|"+string(p.Color)))
	}
	if p.ID != "" {
		out = append(out, "i:"+string(p.ID))
	}
	return out
}

// ledgerOfItems sums quantities by product and size over lines whose products may be named differently.
type itemSums struct {
	// alias maps every name of a product to its first.
	alias map[string]string
	sums  map[item]decimal.Decimal
}

func newItemSums() *itemSums {
	return &itemSums{alias: map[string]string{}, sums: map[item]decimal.Decimal{}}
}

// product gives the one name of a line's product.
func (s *itemSums) product(l *docLine) string {
	names := l.names()
	first := ""
	for _, n := range names {
		if a := s.alias[n]; a != "" {
			first = a
			break
		}
	}
	if first == "" && len(names) > 0 {
		first = names[0]
	}
	for _, n := range names {
		if s.alias[n] == "" {
			s.alias[n] = first
		}
	}
	return first
}

func (s *itemSums) add(lines []docLine) {
	for n := range lines {
		product := s.product(&lines[n])
		for _, size := range lines[n].sizes {
			k := item{product, strings.ToLower(size.size)}
			s.sums[k] = s.sums[k].Add(size.quantity)
		}
	}
}

// total is the sum of everything.
func (s *itemSums) total() decimal.Decimal {
	sum := decimal.Zero
	for _, q := range s.sums {
		sum = sum.Add(q)
	}
	return sum
}

// shippedOf sums what the shipments of a body hold, voided ones apart.
func shippedOf(raw json.RawMessage, into *itemSums) error {
	if len(raw) == 0 {
		return nil
	}
	var shipments []struct {
		Status Text            `json:"status"`
		Lines  json.RawMessage `json:"line_items"`
	}
	if err := decode(raw, &shipments); err != nil {
		return fault.New(fault.Reject, CodeBadRequest, "the shipments are not readable")
	}
	for _, s := range shipments {
		if voidedStatus(string(s.Status)) {
			continue
		}
		lines, err := readLines(s.Lines)
		if err != nil {
			return err
		}
		into.add(lines)
	}
	return nil
}

// voidedStatus tells that a shipment does not count.
func voidedStatus(status string) bool {
	return slices.Contains([]string{"cancelled", "canceled", "void", "voided"}, strings.ToLower(status))
}

// withoutZero drops the sizes of quantity zero, and lines that have none left: with arrays that are replaced, what is not named is
// removed.
func withoutZero(lines []docLine) []docLine {
	out := make([]docLine, 0, len(lines))
	for _, l := range lines {
		l.sizes = slices.DeleteFunc(slices.Clone(l.sizes), func(s docSize) bool { return !s.quantity.IsPositive() })
		if len(l.sizes) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// withRemoved adds to lines what old has and lines have not, with quantity zero: with arrays that are merged, that is how a size is
// taken out. A size goes into the line of its product and warehouse if there is one, since the portal knows lines by these.
func withRemoved(lines, old []docLine) []docLine {
	sums := newItemSums()
	sums.add(lines)
	sums.add(old)
	place := func(l *docLine) item { return item{sums.product(l), strings.ToLower(string(l.view.Warehouse))} }
	present := map[item]map[string]bool{}
	at := map[item]int{}
	for n := range lines {
		k := place(&lines[n])
		if _, there := at[k]; !there {
			at[k], present[k] = n, map[string]bool{}
		}
		for _, s := range lines[n].sizes {
			present[k][strings.ToLower(s.size)] = true
		}
	}
	for n := range old {
		k := place(&old[n])
		gone := slices.DeleteFunc(slices.Clone(old[n].sizes), func(s docSize) bool { return present[k][strings.ToLower(s.size)] })
		if len(gone) == 0 {
			continue
		}
		for i := range gone {
			gone[i].setQuantity(decimal.Zero)
		}
		if to, there := at[k]; there {
			lines[to].sizes = append(lines[to].sizes, gone...)
			for _, s := range gone {
				present[k][strings.ToLower(s.size)] = true
			}
			continue
		}
		l := old[n]
		l.sizes = gone
		lines = append(lines, l)
	}
	return lines
}
