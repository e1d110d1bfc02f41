package mapper_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"nubridge/mapper"
)

func clock() time.Time { return time.Date(2026, 11, 24, 23, 59, 0, 0, time.UTC) }

func env() mapper.TemplateEnv {
	return mapper.TemplateEnv{
		Names: map[string]mapper.Type{
			"qty": mapper.Int, "price": mapper.Decimal, "name": mapper.Text, "none": mapper.Text, "no_qty": mapper.Int, "on": mapper.Bool,
			"due": mapper.Date, "tags": mapper.TextList, "order": mapper.Any, "missing": mapper.Any,
		},
		Lookups: map[string]map[string]string{"country": {"US": "USA"}},
		Clock:   clock,
	}
}

func scalar(t testing.TB, text string) *mapper.Node {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	n, findings := mapper.ParseNode("case.yaml", append([]byte("e: "), quoted...))
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	return n.Get("e")
}

func values(t testing.TB) map[string]any {
	t.Helper()
	var order any
	d := json.NewDecoder(strings.NewReader(`{"total": 12.30, "big": 123456789012345678901234567890.5, "lines": [{"q": 2, "p": 1.10}, {"q": 3, "p": 0.2}], "name": "A\"b", "none": null}`))
	d.UseNumber()
	if err := d.Decode(&order); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"qty": 3, "price": json.Number("19.90"), "name": "Blue Shirt", "none": nil, "no_qty": nil, "on": true, "due": "2026-01-31",
		"tags": []string{"a", "b"}, "order": order,
	}
}

func TestExpressionsComputeExactlyAndPassNullOn(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`qty + 1`:                       `4`,
		`qty / 2`:                       `1.5`,
		`qty % 2`:                       `1`,
		`-qty`:                          `-3`,
		`price * qty`:                   `59.7`,
		`price * 0.1`:                   `1.99`,
		`0.1 + 0.2 == 0.3`:              `true`,
		`price - 0.10`:                  `19.8`,
		`1 - price`:                     `-18.9`,
		`round(price * 1.175, 2)`:       `23.38`,
		`price > 19 and price < 20`:     `true`,
		`price == 19.9`:                 `true`,
		`price != 19.9`:                 `false`,
		`max(qty - 10, 0)`:              `0`,
		`max(price, 20)`:                `20`,
		`min(qty, 2)`:                   `2`,
		`none + "x"`:                    `null`,
		`no_qty + 1`:                    `null`,
		`no_qty > 1`:                    `null`,
		`no_qty > 1 ? "a" : "b"`:        `"b"`,
		`none == nil`:                   `true`,
		`none == "x"`:                   `false`,
		`none ?? "dflt"`:                `"dflt"`,
		`coalesce(none, "", name)`:      `"Blue Shirt"`,
		`concat(none, "-", qty, price)`: `"-319.9"`,
		`not on`:                        `false`,
		`on && !(qty == 4)`:             `true`,
		`upper(name)`:                   `"BLUE SHIRT"`,
		`name contains "Blue"`:          `true`,
		`name matches "^B.*t$"`:         `true`,
		`name[0:4]`:                     `"Blue"`,
		`split(name, " ")`:              `["Blue","Shirt"]`,
		`split(name, " ")[1]`:           `"Shirt"`,
		`title("RED  wine")`:            `"Red Wine"`,
		`date(due, "MM/DD/YYYY")`:       `"01/31/2026"`,
		`date(due, "D.M.YY")`:           `"31.1.26"`,
		`date("2026-01-31 10:20:30+00", "YYYY-MM-DDThh:mm:ss")`: `"2026-01-31T10:20:30"`,
		`max_date(due, today())`:                                `"2026-11-24"`,
		`lookup("country", "US")`:                               `"USA"`,
		`lookup("country", "DE", "??")`:                         `"??"`,
		`lookup("country", "DE")`:                               `null`,
		`pad(qty, 3, "0")`:                                      `"003"`,
		`text(price)`:                                           `"19.9"`,
		`decimal("12.50")`:                                      `12.5`,
		`int("12")`:                                             `12`,
		`tags`:                                                  `["a","b"]`,
		`"a" in tags`:                                           `true`,
		`len(tags)`:                                             `2`,
		`order.total`:                                           `12.3`,
		`order.big`:                                             `123456789012345678901234567890.5`,
		`order.nothing.deeper`:                                  `null`,
		`order.lines[1].q`:                                      `3`,
		`order.lines[-1].q`:                                     `3`,
		`order.lines[7]`:                                        `null`,
		`sum(order.lines, .q)`:                                  `5`,
		`sum(order.lines, .q * .p)`:                             `2.8`,
		`total(map(order.lines, .p))`:                           `1.3`,
		`any(order.lines, .q > 2)`:                              `true`,
		`filter(order.lines, .q > 2)`:                           `[{"p":0.2,"q":3}]`,
		`map(order.lines, ({"n": .q}))`:                         `[{"n":2},{"n":3}]`,
		`find(order.lines, .q == 2).p`:                          `1.1`,
		`reduce(order.lines, #acc + #.q, 10)`:                   `15`,
		`count(order.lines, .q > 1)`:                            `2`,
		`join(["a", "b"], "-")`:                                 `"a-b"`,
		`let x = qty * 2; x + 1`:                                `7`,
		`order.name`:                                            `"A\"b"`,
		`first(order.lines).q`:                                  `2`,
		`"on" in {"on": 1}`:                                     `true`,
		`missing.x ?? 7`:                                        `7`,
		`order.total + 1`:                                       `13.3`,
		`order.total > 12 ? "big" : nil`:                        `"big"`,
		`abs(-3)`:                                               `3`,
		`trim("  x ")`:                                          `"x"`,
		`replace(name, "Blue", "Red")`:                          `"Red Shirt"`,
		`[1, "a", nil]`:                                         `[1,"a",null]`,
		`map(1..3, # * 2)`:                                      `[2,4,6]`,
	} {
		tmpl, findings := mapper.CompileTemplate(tree(t, expression), env())
		if tmpl == nil {
			t.Errorf("%s: %v", expression, findings)
			continue
		}
		got, err := tmpl.Render(values(t))
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if string(got) != `{"v":`+want+`}` {
			t.Errorf("%s: got %s, want %s", expression, got, want)
		}
	}
}

// tree is a template with one leaf that sends NULL as null.
func tree(t testing.TB, expression string) *mapper.Node {
	t.Helper()
	quoted, err := json.Marshal(expression)
	if err != nil {
		t.Fatal(err)
	}
	n, findings := mapper.ParseNode("case.yaml", []byte(`v: {value: `+string(quoted)+`, "null": send}`))
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	return n
}

func TestWrongExpressionsAreFoundWithPlaceAndSuggestion(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`pricee + 1`:             `did you mean "price"?`,
		`name + 1`:               `mismatched types`,
		`name > 1`:               `mismatched types`,
		`uper(name)`:             `did you mean "upper"?`,
		`lookup("contry", name)`: `did you mean "country"?`,
		`lookup(name, name)`:     `no constant`,
		`qty +`:                  `unexpected token`,
		`name matches "("`:       `error parsing regexp`,
		`now()`:                  `unknown name "now"`,
		`float(qty)`:             `unknown name "float"`,
		`price.Sub(price)`:       `methods of values cannot be called`,
		`date(qty, "YYYY")`:      `cannot use`,
		`round(name, 2)`:         `cannot use`,
		`not name`:               `invalid operation`,
		``:                       `expression is missing`,
		`qty; name`:              ``,
		`1.5`:                    `-`,
	} {
		e, findings := mapper.CompileExpr(scalar(t, expression), env())
		if want == "-" {
			continue
		}
		if e != nil {
			t.Errorf("%s: compiled, want a finding with %q", expression, want)
			continue
		}
		if s := findings.String(); !strings.Contains(s, want) || !strings.Contains(s, "^") {
			t.Errorf("%s: got\n%s\nwant %q and a caret", expression, s, want)
		}
	}
}
