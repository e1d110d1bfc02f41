package mapper

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/shopspring/decimal"
)

// Function is a function of the mapping language; docs/MAPPING.md is generated from the list.
type Function struct {
	Name, Signature, Text, Example string

	types []any
	// nulls tells that the function wants to see NULL; else one NULL argument makes the result NULL.
	nulls bool
	call  func(c callContext, args []any) (any, error)
	// check looks at the arguments at compile time and gives a sentence if they are wrong.
	check func(c *compiler, args []ast.Node) string
}

type callContext struct {
	*evalContext
	lookups map[string]*lookup
}

type dec = decimal.Decimal

// Functions lists the functions that the mapping language has beside those of expr that are kept.
func Functions() []Function {
	return append(numberFunctions(), textFunctions()...)
}

func numberFunctions() []Function {
	pair := []any{new(func(int, int) int), new(func(dec, dec) dec), new(func(dec, int) dec), new(func(int, dec) dec)}
	return []Function{
		{
			Name: "decimal", Signature: "decimal(text or number)", Text: "An exact decimal number.", Example: `decimal("12.50")`,
			types: []any{new(func(string) dec), new(func(int) dec), new(func(dec) dec)}, call: callDecimal,
		},
		{
			Name: "int", Signature: "int(text or number)", Text: "A whole number; a decimal is cut towards zero.", Example: `int(qty)`,
			types: []any{new(func(string) int), new(func(int) int), new(func(dec) int)}, call: callInt,
		},
		{
			Name: "round", Signature: "round(number, places)", Text: "The number rounded half away from zero to so many places.", Example: `round(price * 1.2, 2)`,
			types: []any{new(func(dec, int) dec), new(func(int, int) dec)}, call: callRound,
		},
		{
			Name: "max", Signature: "max(a, b)", Text: "The larger of two numbers.", Example: `max(on_hand - allocated, 0)`, types: pair,
			call: func(_ callContext, a []any) (any, error) { return pick(a, ">=") },
		},
		{
			Name: "min", Signature: "min(a, b)", Text: "The smaller of two numbers.", Example: `min(qty, 9999)`, types: pair,
			call: func(_ callContext, a []any) (any, error) { return pick(a, "<=") },
		},
		{
			Name: "abs", Signature: "abs(number)", Text: "The number without its sign.", Example: `abs(balance)`,
			types: []any{new(func(int) int), new(func(dec) dec)}, call: callAbs,
		},
		{
			Name: "total", Signature: "total(list)", Text: "The sum of a list of numbers, NULLs left out, as a decimal.", Example: `total(map(lines, .quantity))`,
			types: []any{new(func([]any) dec)}, call: callTotal,
		},
	}
}

func textFunctions() []Function {
	return []Function{
		{
			Name: "text", Signature: "text(value)", Text: "The value as text.", Example: `text(order_no)`,
			types: []any{new(func(any) string)}, call: func(_ callContext, a []any) (any, error) { return textOf(a[0]) },
		},
		{
			Name: "concat", Signature: "concat(value, ...)", Text: "All values as one text, NULL as nothing.", Example: `concat(description_1, " ", description_2)`,
			types: []any{new(func(...any) string)}, nulls: true, call: callConcat,
		},
		{
			Name: "coalesce", Signature: "coalesce(value, ...)", Text: "The first value that is neither NULL nor an empty text.", Example: `coalesce(line_1, bill_line_1)`,
			types: []any{new(func(...string) string), new(func(...int) int), new(func(...dec) dec), new(func(...any) any)}, nulls: true, call: callCoalesce,
		},
		{
			Name: "date", Signature: "date(date, format)", Text: "A date in another form. The format is written with YYYY, YY, MM, DD, M, D, hh, mm, ss.", Example: `date(due_date, "MM/DD/YYYY")`,
			types: []any{new(func(string, string) string)}, call: callDate,
		},
		{
			Name: "today", Signature: "today()", Text: "The present day as YYYY-MM-DD, by the clock of the caller.", Example: `max_date(due_date, today())`,
			types: []any{new(func() string)}, call: callToday, check: checkToday,
		},
		{
			Name: "max_date", Signature: "max_date(a, b)", Text: "The later of two dates or timestamps in ISO form.", Example: `max_date(due_date, today())`,
			types: []any{new(func(string, string) string)}, call: func(_ callContext, a []any) (any, error) { return pick(a, ">=") },
		},
		{
			Name: "min_date", Signature: "min_date(a, b)", Text: "The earlier of two dates or timestamps in ISO form.", Example: `min_date(ship_end, "2030-12-31")`,
			types: []any{new(func(string, string) string)}, call: func(_ callContext, a []any) (any, error) { return pick(a, "<=") },
		},
		{
			Name: "lookup", Signature: `lookup("table", value [, default])`, Text: "The value's entry in a look-up table; without an entry the default, or NULL.", Example: `lookup("country", country, country)`,
			types: []any{new(func(string, any) string), new(func(string, any, string) string)}, call: callLookup, check: checkLookup, nulls: true,
		},
		{
			Name: "taken", Signature: "taken(upc [, warehouse])", Text: "Inventory: what approved NuORDER orders have taken of a size, anywhere or in one warehouse by its NuORDER code, and OMS has not imported yet. A line without a warehouse counts for the warehouse `default`.",
			Example: `max(on_hand - allocated - taken(upc), 0)`, types: []any{new(func(string) int), new(func(string, string) int)}, nulls: true, call: callTaken, check: checkTaken,
		},
		{
			Name: "title", Signature: "title(text)", Text: "Each word with a capital first letter.", Example: `title(color_description)`,
			types: []any{new(func(string) string)}, call: callTitle,
		},
		{
			Name: "pad", Signature: "pad(value, length, with)", Text: "The value as text, filled up on the left.", Example: `pad(warehouse_no, 3, "0")`,
			types: []any{new(func(any, int, string) string)}, call: callPad,
		},
	}
}

// keptBuiltins are the functions of expr that the mapping language keeps.
func keptBuiltins() []string {
	return []string{
		"all", "none", "any", "one", "filter", "map", "find", "findLast", "count", "sum", "reduce", "len", "trim", "trimPrefix", "trimSuffix",
		"upper", "lower", "split", "replace", "repeat", "join", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix", "first", "last", "reverse", "uniq", "keys", "values",
	}
}

func findFunction(name string) *Function {
	for _, f := range Functions() {
		if f.Name == name {
			return &f
		}
	}
	return nil
}

func functionNames() []string {
	out := keptBuiltins()
	for _, f := range Functions() {
		out = append(out, f.Name)
	}
	sort.Strings(out)
	return out
}

// functionOptions declares functions and decimal operators to the expression compiler, for its type check.
func functionOptions(_ *compiler) []expr.Option {
	options := []expr.Option{expr.DisableAllBuiltins()}
	for _, name := range keptBuiltins() {
		options = append(options, expr.EnableBuiltin(name))
	}
	never := func(...any) (any, error) { return nil, fmt.Errorf("evaluated outside of a mapping") }
	for _, f := range Functions() {
		options = append(options, expr.Function(f.Name, never, f.types...))
	}
	for name, op := range operatorNames() {
		var types []any
		if strings.Contains("+ - * /", op) {
			types = []any{new(func(dec, dec) dec), new(func(dec, int) dec), new(func(int, dec) dec)}
			if op == "/" {
				types = append(types, new(func(int, int) dec))
			}
			types = append(types, new(func(dec, float64) dec), new(func(float64, dec) dec), new(func(int, float64) dec), new(func(float64, int) dec))
		} else {
			types = []any{new(func(dec, dec) bool), new(func(dec, int) bool), new(func(int, dec) bool), new(func(dec, float64) bool), new(func(float64, dec) bool)}
		}
		options = append(options, expr.Function(operatorPrefix+name, never, types...), expr.Operator(op, operatorPrefix+name))
	}
	return options
}

func callDecimal(_ callContext, a []any) (any, error) {
	if d, ok := toDecimal(a[0]); ok {
		return d, nil
	}
	s, _ := a[0].(string)
	d, err := parseDecimal(strings.TrimSpace(s))
	if err != nil {
		return nil, fmt.Errorf("decimal: %w", err)
	}
	return d, nil
}

func callInt(c callContext, a []any) (any, error) {
	v, err := callDecimal(c, a)
	if err != nil {
		return nil, fmt.Errorf("int: the text is no number")
	}
	d, _ := v.(decimal.Decimal)
	return int(d.IntPart()), nil
}

func callRound(_ callContext, a []any) (any, error) {
	d, ok := toDecimal(a[0])
	places, isInt := a[1].(int)
	if !ok || !isInt || places < -30 || places > 30 {
		return nil, fmt.Errorf("round: expected a number and a number of places")
	}
	return d.Round(int32(places)), nil
}

func pick(a []any, op string) (any, error) {
	first, err := compare(op, a[0], a[1])
	if err != nil {
		return nil, err
	}
	if first == true {
		return a[0], nil
	}
	return a[1], nil
}

func callAbs(_ callContext, a []any) (any, error) {
	if i, ok := a[0].(int); ok {
		return max(i, -i), nil
	}
	d, ok := toDecimal(a[0])
	if !ok {
		return nil, fmt.Errorf("abs: expected a number, got %s", kindName(a[0]))
	}
	return d.Abs(), nil
}

func callTotal(_ callContext, a []any) (any, error) {
	list, _ := listOf(a[0])
	sum := decimal.Zero
	for _, v := range list {
		if v == nil {
			continue
		}
		d, ok := toDecimal(v)
		if !ok {
			return nil, fmt.Errorf("total: expected numbers, got %s", kindName(v))
		}
		sum = sum.Add(d)
	}
	return sum, nil
}

func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case decimal.Decimal:
		return v.String(), nil
	}
	return "", fmt.Errorf("expected a text, number or boolean, got %s", kindName(v))
}

func callConcat(_ callContext, a []any) (any, error) {
	var b strings.Builder
	for _, v := range a {
		s, err := textOf(v)
		if err != nil {
			return nil, fmt.Errorf("concat: %w", err)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func callCoalesce(_ callContext, a []any) (any, error) {
	for _, v := range a {
		if v != nil && v != "" {
			return v, nil
		}
	}
	return nil, nil
}

// dateLayout turns YYYY-MM-DD notation into Go's layout; the second result tells whether it was understood.
func dateLayout(format string) string {
	return strings.NewReplacer("YYYY", "2006", "YY", "06", "MM", "01", "DD", "02", "hh", "15", "mm", "04", "ss", "05", "M", "1", "D", "2").Replace(format)
}

func callDate(_ callContext, a []any) (any, error) {
	s, _ := a[0].(string)
	format, _ := a[1].(string)
	if s == "" {
		return nil, nil
	}
	for _, layout := range []string{"2006-01-02", time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "01/02/2006", "2006/01/02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(dateLayout(format)), nil
		}
	}
	return nil, fmt.Errorf("date: the text is no date; expected a form such as 2026-01-31")
}

func callToday(c callContext, _ []any) (any, error) { return c.today(), nil }

func checkToday(c *compiler, _ []ast.Node) string {
	if !c.clock {
		return "today() is not available here: no clock was supplied"
	}
	c.usedClock = true
	return ""
}

func checkLookup(c *compiler, args []ast.Node) string {
	name, ok := args[0].(*ast.StringNode)
	if !ok {
		return "the name of the look-up table is no constant"
	}
	if c.lookups[name.Value] == nil {
		var known []string
		for k := range c.lookups {
			known = append(known, k)
		}
		slices.Sort(known)
		return strings.TrimSuffix(fmt.Sprintf("unknown look-up table %q; %s", name.Value, suggest(name.Value, known)), "; ")
	}
	c.usedLookups = append(c.usedLookups, name.Value)
	return ""
}

func callLookup(c callContext, a []any) (any, error) {
	name, _ := a[0].(string)
	table := c.lookups[name]
	key, err := textOf(a[1])
	if err != nil {
		return nil, fmt.Errorf("lookup: %w", err)
	}
	if v, ok := table.entries[key]; ok && a[1] != nil {
		return v, nil
	}
	if len(a) > 2 {
		return a[2], nil
	}
	return nil, nil
}

func callTitle(_ callContext, a []any) (any, error) {
	s, _ := a[0].(string)
	words := strings.Fields(strings.ToLower(s))
	for i, w := range words {
		r := []rune(w)
		words[i] = strings.ToUpper(string(r[:1])) + string(r[1:])
	}
	return strings.Join(words, " "), nil
}

func callPad(_ callContext, a []any) (any, error) {
	s, err := textOf(a[0])
	if err != nil {
		return nil, fmt.Errorf("pad: %w", err)
	}
	n, _ := a[1].(int)
	with, _ := a[2].(string)
	if with == "" || n > 1000 {
		return nil, fmt.Errorf("pad: expected a length up to 1000 and a text to fill with")
	}
	for len([]rune(s)) < n {
		s = with + s
	}
	return s, nil
}
