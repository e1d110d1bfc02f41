package draft

import (
	"fmt"
	"slices"
	"strings"

	"nubridge/mapper"
)

// wish is a field of the NuORDER body and the column names that mean it, best first.
type wish struct {
	path string
	// names are compared without case and punctuation.
	names []string
	// required fields get a mark where no column is found; others are left out.
	required bool
	// text tells that the field is text, so that a number becomes text.
	text bool
}

func wishes(flow mapper.Flow) []wish {
	switch flow {
	case mapper.Products:
		return []wish{
			{"style_number", words("stylenumber styleno stylenr itemnumber itemno itemnr articlenumber articleno style item article"), true, true},
			{"season", words("seasoncode season seasonno seasonid"), true, true},
			{"color", words("colordescription colorname colordesc color colorcode"), true, true},
			{"color_code", words("colorcode colorno colornr"), false, true},
			{"name", words("name productname stylename itemname itemnumber styleno itemno stylenumber itemdescription"), true, true},
			{"category", words("category categoryname productcategory stylegroup productgroup"), false, true},
			{"department", words("departmentcode department dept division"), false, true},
			{"available_from", words("availablefrom availfrom validfrom"), false, false},
			{"available_until", words("availableuntil availuntil validuntil validto"), false, false},
		}
	case mapper.Customers:
		return []wish{
			{"name", words("name customername companyname custname company"), true, true},
			{"code", words("customercode customerid customerno custno customernumber code accountno"), true, true},
			{"currency_code", words("currency currencycode cur curr"), true, true},
			{"discount", words("discountrate discount rebate discountpercent"), false, false},
			{"surcharge", words("taxrate surcharge"), false, false},
			{"payment_terms", words("termsdescription terms paymentterms paymentterm"), false, true},
			{"phone_office", words("phone phoneoffice telephone tel"), false, true},
		}
	case mapper.OrderEdits:
		return []wish{
			{"currency_code", words("currency currencycode cur curr"), true, true},
			{"customer_po_number", words("ponumber customerpo customerponumber pono custpo"), false, true},
			{"discount", words("discountrate discount rebate"), false, false},
			{"notes", words("notes note remarks comment"), false, true},
			{"start_ship", words("shipstart startship shipfrom startdate requestdate shipdate"), true, false},
			{"end_ship", words("shipend endship shipto enddate canceldate completedate"), true, false},
		}
	}
	return nil
}

func words(s string) []string { return strings.Fields(s) }

// match finds the column that a wish means, and those that could be meant.
func match(w wish, fields []field) (found *field, candidates []string) {
	for i, f := range fields {
		if w.path == "payment_terms" && strings.Contains(plain(f.table.Name), "term") && slices.Contains(words("description name desc"), plain(f.column.Name)) {
			return &fields[i], nil
		}
	}
	for _, name := range w.names {
		for i := range fields {
			if plain(fields[i].name) == name {
				return &fields[i], nil
			}
		}
	}
	last := w.path[strings.LastIndexByte(w.path, '.')+1:]
	for i := range fields {
		n := plain(fields[i].name)
		for _, name := range append([]string{plain(last)}, w.names...) {
			if len(name) > 3 && strings.Contains(n, name) || len(n) > 3 && strings.Contains(name, n) {
				candidates = append(candidates, fields[i].name)
				break
			}
		}
	}
	if len(candidates) == 0 {
		for _, f := range fields {
			if f.column.Type == mapper.Text && len(candidates) < 8 {
				candidates = append(candidates, f.name)
			}
		}
	}
	return nil, candidates
}

// expression writes the expression that names a column.
func expression(name string) string {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return fmt.Sprintf("row[%q]", name)
		}
	}
	if slices.Contains(words("in not and or let if else nil true false root row outer group matches contains startsWith endsWith"), name) {
		return fmt.Sprintf("row[%q]", name)
	}
	return name
}

func asText(f *field) string {
	if f.column.Type == mapper.Int || f.column.Type == mapper.Decimal {
		return "text(" + expression(f.name) + ")"
	}
	if f.column.Database == "character" {
		return "trim(" + expression(f.name) + ")"
	}
	return expression(f.name)
}

// activeOf finds columns that say whether the document is alive, and writes the condition.
func activeOf(fields []field) string {
	var out []string
	for _, f := range fields {
		n := plain(f.name)
		switch {
		case f.column.Type == mapper.Bool && slices.Contains(words("active isactive live enabled"), n):
			out = append(out, expression(f.name))
		case strings.HasSuffix(n, "status") || strings.HasSuffix(n, "state") && f.column.Type == mapper.Text && len(f.column.Values) > 0:
			for _, v := range f.column.Values {
				if strings.EqualFold(v, "active") {
					out = append(out, fmt.Sprintf("%s == %q", expression(f.name), v))
				}
			}
		}
	}
	return strings.Join(out, " and ")
}

// descriptions finds the columns of one table that make up a description.
func descriptions(fields []field, of *Table) string {
	var out []string
	for _, f := range fields {
		if f.table != of {
			continue
		}
		n := strings.TrimRight(plain(f.name), "0123456789")
		if f.column.Type == mapper.Text && slices.Contains(words("description desc descr longdescription itemdescription"), n) {
			out = append(out, expression(f.name))
		}
	}
	switch len(out) {
	case 0:
		return ""
	case 1:
		return out[0]
	}
	return "trim(concat(" + strings.Join(out, `, " ", `) + "))"
}

// owners leaves the columns of the document's table and of the table that holds its number; what is only looked up says nothing of
// the document.
func owners(fields []field, tables ...*Table) []field {
	var out []field
	for _, f := range fields {
		if slices.Contains(tables, f.table) {
			out = append(out, f)
		}
	}
	return out
}

func one(fields []field, names string) *field {
	f, _ := match(wish{names: words(names)}, fields)
	return f
}
