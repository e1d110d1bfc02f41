package mapper

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/shopspring/decimal"
)

// operatorPrefix begins the names of the functions that stand for overloaded operators in the type check.
const operatorPrefix = "__op_"

func operatorNames() map[string]string {
	return map[string]string{
		"add": "+", "sub": "-", "mul": "*", "div": "/",
		"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
	}
}

func (b *builder) binary(op string, left, right ast.Node, n ast.Node) evaluate {
	l, r := b.build(left), b.build(right)
	switch op {
	case "and", "&&":
		return logical(l, r, false)
	case "or", "||":
		return logical(l, r, true)
	case "??":
		return func(c *evalContext, f *frame) (any, error) {
			v, err := l(c, f)
			if err != nil || v != nil {
				return v, err
			}
			return r(c, f)
		}
	case "+", "-", "*", "/", "%":
		return both(l, r, func(x, y any) (any, error) {
			if x == nil || y == nil {
				return nil, nil
			}
			return arithmetic(op, x, y)
		})
	case "==":
		return both(l, r, func(x, y any) (any, error) { return equal(x, y), nil })
	case "!=":
		return both(l, r, func(x, y any) (any, error) { return !equal(x, y), nil })
	case "<", "<=", ">", ">=":
		return both(l, r, func(x, y any) (any, error) { return compare(op, x, y) })
	case "in":
		return both(l, r, func(x, y any) (any, error) { return contains(y, x), nil })
	case "contains", "startsWith", "endsWith":
		return both(l, r, func(x, y any) (any, error) { return textTest(op, x, y) })
	case "matches":
		return b.matches(l, right)
	case "..":
		return func(c *evalContext, f *frame) (any, error) {
			v, err := both(l, r, integerRange)(c, f)
			if list, _ := v.([]any); err == nil {
				err = c.work(len(list))
			}
			return v, err
		}
	}
	return b.fail(n, fmt.Sprintf("the operator %s is not supported", op), "+ - * / % == != < <= > >= and or not in contains startsWith endsWith matches ?? ..")
}

func both(l, r evaluate, do func(x, y any) (any, error)) evaluate {
	return func(c *evalContext, f *frame) (any, error) {
		x, err := l(c, f)
		if err != nil {
			return nil, err
		}
		y, err := r(c, f)
		if err != nil {
			return nil, err
		}
		return do(x, y)
	}
}

func logical(l, r evaluate, stop bool) evaluate {
	return func(c *evalContext, f *frame) (any, error) {
		x, err := l(c, f)
		if err != nil {
			return nil, err
		}
		if t, _ := x.(bool); t == stop {
			return stop, nil
		}
		y, err := r(c, f)
		if err != nil {
			return nil, err
		}
		t, _ := y.(bool)
		return t, nil
	}
}

// parseDecimal reads a decimal number. Exponents that would make a text of thousands of digits are refused.
func parseDecimal(s string) (decimal.Decimal, error) {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return d, fmt.Errorf("the text is no number")
	}
	if e := d.Exponent(); e > maxExponent || e < -maxExponent {
		return decimal.Decimal{}, fmt.Errorf("the number has an exponent beyond %d", maxExponent)
	}
	return d, nil
}

const maxExponent = 400

func toDecimal(v any) (decimal.Decimal, bool) {
	switch v := v.(type) {
	case int:
		return decimal.NewFromInt(int64(v)), true
	case decimal.Decimal:
		return v, true
	}
	return decimal.Decimal{}, false
}

func arithmetic(op string, x, y any) (any, error) {
	if a, ok := x.(int); ok {
		if b, ok := y.(int); ok && op != "/" {
			return integerArithmetic(op, a, b)
		}
	}
	if a, ok := x.(string); ok && op == "+" {
		if b, ok := y.(string); ok {
			return a + b, nil
		}
	}
	a, ok1 := toDecimal(x)
	b, ok2 := toDecimal(y)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("operator %s: expected two numbers, got %s and %s", op, kindName(x), kindName(y))
	}
	switch op {
	case "+":
		return a.Add(b), nil
	case "-":
		return a.Sub(b), nil
	case "*":
		return a.Mul(b), nil
	}
	if b.IsZero() {
		return nil, fmt.Errorf("division by zero")
	}
	if op == "%" {
		return a.Mod(b), nil
	}
	return a.DivRound(b, 16), nil
}

func integerArithmetic(op string, a, b int) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	}
	if b == 0 {
		return nil, fmt.Errorf("division by zero")
	}
	return a % b, nil
}

// kindName names the kind of a value without showing it, because of I11.
func kindName(v any) string {
	switch v.(type) {
	case nil:
		return "NULL"
	case string:
		return "text"
	case int:
		return "an integer"
	case decimal.Decimal:
		return "a decimal"
	case bool:
		return "a boolean"
	case map[string]any, rowRef:
		return "an object"
	}
	return "a list"
}

func equal(x, y any) bool {
	switch a := x.(type) {
	case nil:
		return y == nil
	case string:
		b, ok := y.(string)
		return ok && a == b
	case bool:
		b, ok := y.(bool)
		return ok && a == b
	}
	a, ok1 := toDecimal(x)
	b, ok2 := toDecimal(y)
	return ok1 && ok2 && a.Equal(b)
}

func compare(op string, x, y any) (any, error) {
	if x == nil || y == nil {
		return nil, nil
	}
	sign := 0
	if a, ok := x.(string); ok {
		b, isText := y.(string)
		if !isText {
			return nil, fmt.Errorf("operator %s: expected two texts or two numbers, got text and %s", op, kindName(y))
		}
		sign = strings.Compare(a, b)
	} else {
		a, ok1 := toDecimal(x)
		b, ok2 := toDecimal(y)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("operator %s: expected two texts or two numbers, got %s and %s", op, kindName(x), kindName(y))
		}
		sign = a.Cmp(b)
	}
	switch op {
	case "<":
		return sign < 0, nil
	case "<=":
		return sign <= 0, nil
	case ">":
		return sign > 0, nil
	}
	return sign >= 0, nil
}

func contains(in, v any) bool {
	switch in := in.(type) {
	case map[string]any:
		name, _ := v.(string)
		_, ok := in[name]
		return ok
	case []string:
		for _, x := range in {
			if equal(x, v) {
				return true
			}
		}
		return false
	}
	list, _ := listOf(in)
	for _, x := range list {
		if equal(x, v) {
			return true
		}
	}
	return false
}

func textTest(op string, x, y any) (any, error) {
	a, ok1 := x.(string)
	b, ok2 := y.(string)
	if !ok1 || !ok2 {
		return nil, nil
	}
	switch op {
	case "contains":
		return strings.Contains(a, b), nil
	case "startsWith":
		return strings.HasPrefix(a, b), nil
	}
	return strings.HasSuffix(a, b), nil
}

func (b *builder) matches(l evaluate, pattern ast.Node) evaluate {
	s, ok := pattern.(*ast.StringNode)
	if !ok {
		return b.fail(pattern, "the pattern is no constant", "a regular expression in quotes")
	}
	re, err := regexp.Compile(s.Value)
	if err != nil {
		return b.fail(pattern, "the pattern is no regular expression: "+err.Error(), "a regular expression in quotes")
	}
	return func(c *evalContext, f *frame) (any, error) {
		v, err := l(c, f)
		text, isText := v.(string)
		if err != nil || !isText {
			return nil, err
		}
		return re.MatchString(text), nil
	}
}

func integerRange(x, y any) (any, error) {
	a, ok1 := x.(int)
	b, ok2 := y.(int)
	if !ok1 || !ok2 {
		return nil, nil
	}
	if b-a > 10000 {
		return nil, fmt.Errorf("the range %d..%d is longer than 10000", a, b)
	}
	var out []any
	for i := a; i <= b; i++ {
		out = append(out, i)
	}
	return out, nil
}

// predicate builds the functions that take an expression for each element; nil if n is none of them.
func (b *builder) predicate(n *ast.BuiltinNode) evaluate {
	run := predicates()[n.Name]
	if run == nil {
		return nil
	}
	list := b.build(n.Arguments[0])
	var body, initial evaluate
	if len(n.Arguments) > 1 {
		body = b.build(n.Arguments[1])
	}
	if len(n.Arguments) > 2 {
		initial = b.build(n.Arguments[2])
	}
	return func(c *evalContext, f *frame) (any, error) {
		v, err := list(c, f)
		if err != nil {
			return nil, err
		}
		items, ok := listOf(v)
		if !ok {
			return nil, fmt.Errorf("%s: expected a list, got %s", n.Name, kindName(v))
		}
		acc := any(nil)
		if initial != nil {
			if acc, err = initial(c, f); err != nil {
				return nil, err
			}
		}
		c.pointers = append(c.pointers, pointer{acc: acc})
		at := len(c.pointers) - 1
		defer func() { c.pointers = c.pointers[:at] }()
		return run(items, func(i int) (any, error) {
			if err := c.work(1); err != nil {
				return nil, err
			}
			c.pointers[at].element, c.pointers[at].index = items[i], i
			if body == nil {
				return items[i], nil
			}
			return body(c, f)
		}, func(v any) { c.pointers[at].acc = v })
	}
}

type predicateRun func(items []any, each func(i int) (any, error), accumulate func(any)) (any, error)

func predicates() map[string]predicateRun {
	return map[string]predicateRun{
		"all":      counting(func(hits, n int) any { return hits == n }),
		"none":     counting(func(hits, _ int) any { return hits == 0 }),
		"any":      counting(func(hits, _ int) any { return hits > 0 }),
		"one":      counting(func(hits, _ int) any { return hits == 1 }),
		"count":    counting(func(hits, _ int) any { return hits }),
		"filter":   filterList,
		"map":      mapList,
		"find":     findFirst,
		"findLast": findLast,
		"sum":      sumList,
		"reduce":   reduceList,
	}
}

func counting(result func(hits, n int) any) predicateRun {
	return func(items []any, each func(int) (any, error), _ func(any)) (any, error) {
		hits := 0
		for i := range items {
			v, err := each(i)
			if err != nil {
				return nil, err
			}
			if t, _ := v.(bool); t {
				hits++
			}
		}
		return result(hits, len(items)), nil
	}
}

func filterList(items []any, each func(int) (any, error), _ func(any)) (any, error) {
	out := []any{}
	for i := range items {
		v, err := each(i)
		if err != nil {
			return nil, err
		}
		if t, _ := v.(bool); t {
			out = append(out, items[i])
		}
	}
	return out, nil
}

func mapList(items []any, each func(int) (any, error), _ func(any)) (any, error) {
	out := make([]any, len(items))
	for i := range items {
		v, err := each(i)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func findFirst(items []any, each func(int) (any, error), _ func(any)) (any, error) {
	for i := range items {
		v, err := each(i)
		if err != nil {
			return nil, err
		}
		if t, _ := v.(bool); t {
			return items[i], nil
		}
	}
	return nil, nil
}

func findLast(items []any, each func(int) (any, error), _ func(any)) (any, error) {
	for i := len(items) - 1; i >= 0; i-- {
		v, err := each(i)
		if err != nil {
			return nil, err
		}
		if t, _ := v.(bool); t {
			return items[i], nil
		}
	}
	return nil, nil
}

func sumList(items []any, each func(int) (any, error), _ func(any)) (any, error) {
	total := any(0)
	for i := range items {
		v, err := each(i)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if total, err = arithmetic("+", total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func reduceList(items []any, each func(int) (any, error), accumulate func(any)) (any, error) {
	var acc any
	for i := range items {
		v, err := each(i)
		if err != nil {
			return nil, err
		}
		acc = v
		accumulate(v)
	}
	return acc, nil
}
