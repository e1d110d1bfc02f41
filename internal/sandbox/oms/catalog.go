package oms

import (
	"fmt"
	"strconv"
)

type genStyle struct {
	id         int
	cents      int // wholesale in USD
	active     bool
	department string
}

type genSKU struct {
	id       int
	style    *genStyle
	sellable bool
}

// soldIn tells whether the style has prices in the currency.
func (s *genStyle) soldIn(currency string) bool { return currency == "USD" || s.id%13 != 0 }

// price gives the wholesale price in a currency, in hundredths.
func (s *genStyle) price(currency string) int {
	for _, c := range currencies {
		if c.code == currency {
			return s.cents * c.rate / 100
		}
	}
	return s.cents
}

var palette = [][2]string{ //nolint:gochecknoglobals // a constant in all but form
	{"BLK", "Black"},
	{"WHT", "White"},
	{"NVY", "Navy"},
	{"RED", "Red"},
	{"OLV", "Olive"},
	{"SND", "Sand"},
	{"CHR", "Charcoal"},
	{"IVO", "Ivory"},
	{"RST", "Rust"},
	{"TEA", "Teal"},
	{"MUS", "Mustard"},
	{"BRG", "Burgundy"},
	{"SKY", "Sky Blue"},
	{"FOR", "Forest"},
	{"LIL", "Lilac"},
	{"COR", "Coral"},
	{"STN", "Stone/Oat"},
	{"IND", "Indigo"},
	{"ROS", "Rosé"},
	{"MNT", "Mint"},
	{"CAM", "Camel"},
	{"PLM", "Plum"},
	{"SLT", "Slate"},
	{"GLD", "Old Gold"},
}

// makeBasics fills the small tables that the others point to.
func (g *generator) makeBasics() {
	for _, s := range [][2]string{{"F26", "Fall 2026"}, {"H26", "Holiday 2026"}, {"S27", "Spring 2027"}, {"U27", "Summer 2027"}} {
		g.add("seasons", s[0], s[1])
	}
	for _, d := range [][2]string{{"W", "Women"}, {"M", "Men"}, {"K", "Kids"}, {"F", "Footwear"}, {"A", "Accessories"}} {
		g.add("departments", d[0], d[1])
	}
	for _, t := range [][2]string{{"N30", "Net 30"}, {"N60", "Net 60"}, {"N90", "Net 90"}, {"COD", "Cash on Delivery"}, {"PPD", "Prepaid"}, {"2N10", "2% 10 Net 30"}} {
		g.add("terms", t[0], t[1])
	}
	for i, name := range []string{"Ana Torres", "Ben Okafor", "Chloé Martin", "Dev Patel", "Elin Berg", "Frank O'Dea", "Grace Liu", "Hugo Wolf"} {
		code := fmt.Sprintf("R%02d", i+1)
		g.add("sales_reps", code, name, fmt.Sprintf("rep%02d@example.com", i+1))
	}
	for no, name := range []string{"Main Warehouse", "West Coast", "Third Party Logistics"} {
		g.add("warehouses", no+1, name)
	}
	for i, name := range []string{"Wholesale", "Suggested Retail", "Distributor", "Outlet", "Employee"} {
		g.add("price_types", i+1, name)
	}
	for _, run := range runs(g.sizes.SizesPerRun) {
		g.add("size_runs", run.code, run.description)
		for i, size := range run.sizes {
			g.add("size_run_sizes", run.code, i+1, size)
		}
	}
}

type sizeRun struct {
	code, description string
	departments       []string
	sizes             []string
}

// runs are the size runs, each of n sizes.
func runs(n int) []sizeRun {
	letters := []string{"XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL", "4XL", "5XL", "6XL", "7XL"}
	if n <= len(letters)-1 {
		letters = letters[1:]
	}
	numbered := func(of func(i int) string) (sizes []string) {
		for i := range n {
			sizes = append(sizes, of(i))
		}
		return sizes
	}
	alpha := numbered(func(i int) string {
		if i < len(letters) {
			return letters[i]
		}
		return strconv.Itoa(i-4) + "XL"
	})
	return []sizeRun{
		{"ALPHA", "Letters", []string{"W", "M", "A"}, alpha},
		{"MISSY", "Dress sizes", []string{"W"}, numbered(func(i int) string { return strconv.Itoa(2 * i) })},
		{"WAIST", "Waist by inseam", []string{"M"}, numbered(func(i int) string { return fmt.Sprintf("%dx32", 28+2*i) })},
		{"SHOE", "US shoe sizes", []string{"F"}, numbered(func(i int) string { return strconv.FormatFloat(6+float64(i)/2, 'f', -1, 64) })},
		{"KIDS", "Ages", []string{"K"}, numbered(func(i int) string { return strconv.Itoa(i+2) + "T" })},
	}
}

// currencies with the hundredths that one US dollar costs in them.
var currencies = []struct { //nolint:gochecknoglobals // a constant in all but form
	code string
	rate int
}{{"USD", 100}, {"EUR", 92}, {"CAD", 137}}

// makeCatalog makes styles with their colors, skus and prices.
func (g *generator) makeCatalog() {
	groups := map[string][]string{"W": {"Dresses", "Tops", "Skirts"}, "M": {"Shirts", "Pants", "Outerwear"}, "K": {"Playwear", "Sleepwear"}, "F": {"Sneakers", "Boots"}, "A": {"Hats", "Scarves"}}
	fabrics := []string{"organic cotton", "linen", "merino wool", "recycled nylon", "silk", "full-grain leather"}
	seasons := []string{"F26", "H26", "S27", "U27"}
	byRun := runs(g.sizes.SizesPerRun)
	for i := range g.sizes.Styles {
		run := byRun[i%len(byRun)]
		department := pick(g, run.departments)
		style := &genStyle{id: i + 1, cents: g.between(9, 180)*100 + pick(g, []int{0, 50, 95}), department: department, active: true}
		item, season := fmt.Sprintf("ST%04d", 1001+i), seasons[(i/3)%len(seasons)]
		if i%10 == 9 { // the item of before, in another season
			item, season = fmt.Sprintf("ST%04d", 1000+i), seasons[(i/3+1)%len(seasons)]
		}
		status := "Active"
		switch {
		case i%40 == 17:
			status = "Discontinued"
		case i%67 == 31:
			status = "Inactive"
		}
		style.active = status == "Active"
		group, fabric := pick(g, groups[department]), pick(g, fabrics)
		g.add("styles", style.id, item, season, department, group, fmt.Sprintf("%s no. %d", group[:len(group)-1], i+1),
			"in "+fabric, run.code, status, jsonText(map[string]string{"fabric": fabric, "country_of_origin": pick(g, []string{"PT", "IT", "TR", "VN", "US"})}))
		g.styles = append(g.styles, style)
		g.makeColors(style, run, item)
		g.makePrices(style)
	}
}

func (g *generator) makeColors(style *genStyle, run sizeRun, item string) {
	order := g.rand.Perm(len(palette))
	for c := range g.sizes.Colors {
		color := palette[order[c]]
		id := len(g.byName["style_colors"].rows) + 1
		status, from, until := "Active", any(nil), any(nil)
		if g.chance(2) {
			status = "Inactive"
		}
		if g.chance(30) {
			from = g.day(g.between(-60, 30))
			until = g.day(g.between(90, 300))
		}
		image := any(nil)
		if g.chance(60) {
			image = fmt.Sprintf("https://images.example.com/%s-%s.jpg", item, color[0])
		}
		g.add("style_colors", id, style.id, color[0], color[1], status, from, until, image)
		for i, size := range run.sizes {
			sku := &genSKU{id: len(g.skus) + 1, style: style, sellable: style.active && status == "Active"}
			g.skus = append(g.skus, sku)
			g.add("skus", sku.id, id, i+1, size, upc(sku.id))
			if style.id%25 == 0 && i == len(run.sizes)-1 { // the largest size costs more, where a mapping asks for it
				g.add("size_prices", sku.id, 1, "USD", money(style.cents+500))
			}
		}
	}
}

// upc makes a twelve-digit code with its check digit.
func upc(n int) string {
	digits, sum := fmt.Sprintf("8500%07d", n), 0
	for i, d := range digits {
		v := int(d - '0')
		if i%2 == 0 {
			v *= 3
		}
		sum += v
	}
	return digits + strconv.Itoa((10-sum%10)%10)
}

func (g *generator) makePrices(style *genStyle) {
	for _, currency := range currencies {
		if !style.soldIn(currency.code) {
			continue // not sold there
		}
		base := style.price(currency.code)
		for i, percent := range []int{100, 220, 85, 60, 50} {
			g.add("style_prices", style.id, i+1, currency.code, money(max(base*percent/100, 1)))
		}
	}
}
