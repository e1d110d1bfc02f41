package nuorder

import (
	"strings"

	"github.com/shopspring/decimal"
)

func lower(s string) string { return strings.ToLower(s) }

// omsChanged tells which fields of the OMS's first body differ from the order as it was imported: those that someone has changed in
// the OMS between its create and its first event. Only what both sides say is compared, and by value: the OMS's own defaults and
// ways of writing are no change.
func omsChanged(body, order []byte) ([]string, error) {
	if len(order) == 0 {
		return nil, nil
	}
	ours, err := readOrderDoc(body)
	if err != nil {
		return nil, err
	}
	theirs, err := readOrderDoc(order)
	if err != nil {
		return nil, nil //nolint:nilerr // an imported order that cannot be read is no reason to send anything
	}
	var changed []string
	for _, pair := range [][2]string{{"start_ship", "ship_start"}, {"end_ship", "ship_end"}} {
		a, b := firstField(ours, pair[:]...), firstField(theirs, pair[:]...)
		if a != "" && b != "" && day(a) != day(b) {
			changed = append(changed, pair[0])
		}
	}
	for _, field := range []string{"customer_po_number", "notes", "discount"} {
		// What people type and NuORDER does not have at all was typed in the OMS: left out here, it would never be sent.
		typed := field != "discount" && firstField(ours, field) != "" && firstField(theirs, field) == ""
		if typed || differs(ours, theirs, field) {
			changed = append(changed, field)
		}
	}
	for _, address := range []string{"billing_address", "shipping_address"} {
		var a, b orderDoc
		if len(ours[address]) == 0 || len(theirs[address]) == 0 || decode(ours[address], &a) != nil || decode(theirs[address], &b) != nil {
			continue
		}
		for _, field := range []string{"line_1", "line_2", "city", "state", "zip", "country"} {
			if differs(a, b, field) {
				changed = append(changed, address)
				break
			}
		}
	}
	same, err := sameLines(ours, theirs)
	if err != nil {
		return nil, err
	}
	if !same {
		changed = append(changed, "line_items")
	}
	return changed, nil
}

// differs compares a field that both sides fill. Case and spaces are ways of writing, figures are compared by value.
func differs(ours, theirs orderDoc, field string) bool {
	a, b := firstField(ours, field), firstField(theirs, field)
	if a == "" || b == "" {
		return false
	}
	x, errX := decimal.NewFromString(a)
	y, errY := decimal.NewFromString(b)
	if errX == nil && errY == nil {
		return !x.Equal(y)
	}
	return !strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

func firstField(d orderDoc, fields ...string) string {
	for _, f := range fields {
		var t Text
		if len(d[f]) > 0 && decode(d[f], &t) == nil && t != "" {
			return string(t)
		}
	}
	return ""
}

// day cuts a date or timestamp to its day.
func day(s string) string { return strings.ReplaceAll(s[:min(len(s), 10)], "/", "-") }

// sameLines compares the lines by product and size: quantity and amount.
func sameLines(ours, theirs orderDoc) (bool, error) {
	if len(ours["line_items"]) == 0 {
		return true, nil
	}
	a, err := readLines(ours["line_items"])
	if err != nil {
		return false, err
	}
	b, err := readLines(theirs["line_items"])
	if err != nil {
		return true, nil //nolint:nilerr // as above
	}
	quantities, amounts := newItemSums(), map[item]decimal.Decimal{}
	tally := func(lines []docLine, sign int64) {
		for n := range lines {
			product := quantities.product(&lines[n])
			for _, s := range lines[n].sizes {
				k := item{product, lower(s.size)}
				q := s.quantity.Mul(decimal.NewFromInt(sign))
				price, err := decimal.NewFromString(s.price)
				if err != nil {
					price = decimal.Zero
				}
				quantities.sums[k] = quantities.sums[k].Add(q)
				amounts[k] = amounts[k].Add(price.Round(2).Mul(q))
			}
		}
	}
	tally(a, 1)
	tally(b, -1)
	for k, q := range quantities.sums {
		if !q.IsZero() || !amounts[k].IsZero() {
			return false, nil
		}
	}
	return true, nil
}
