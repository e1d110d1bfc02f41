package mapper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Difference is one place where two bodies differ. Old or New is empty where the body has nothing there.
type Difference struct {
	Path     string
	Old, New string // JSON
}

// String gives the difference as it is printed.
func (d Difference) String() string {
	switch {
	case d.Old == "":
		return fmt.Sprintf("+ %s: %s", d.Path, d.New)
	case d.New == "":
		return fmt.Sprintf("- %s: %s", d.Path, d.Old)
	}
	return fmt.Sprintf("~ %s: %s -> %s", d.Path, d.Old, d.New)
}

// Diff lists where two JSON bodies differ, in the order of paths; numbers are compared by value. An empty body has nothing.
func Diff(old, with []byte) ([]Difference, error) {
	a, err := bodyValue(old)
	if err != nil {
		return nil, err
	}
	b, err := bodyValue(with)
	if err != nil {
		return nil, err
	}
	var out []Difference
	diffValues("", a, b, &out)
	return out, nil
}

func bodyValue(text []byte) (any, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return absent{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	return exact(v), nil
}

// absent stands for what is not there.
type absent struct{}

func diffValues(path string, a, b any, out *[]Difference) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			diffObjects(path, x, y, out)
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			for i := range max(len(x), len(y)) {
				diffValues(path+"["+strconv.Itoa(i)+"]", item(x, i), item(y, i), out)
			}
			return
		}
	}
	if s, t := valueText(a), valueText(b); s != t {
		*out = append(*out, Difference{Path: path, Old: s, New: t})
	}
}

func item(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

func diffObjects(path string, x, y map[string]any, out *[]Difference) {
	var names []string
	for k := range x {
		names = append(names, k)
	}
	for k := range y {
		if _, both := x[k]; !both {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	for _, k := range names {
		a, inX := x[k]
		b, inY := y[k]
		if !inX {
			a = absent{}
		}
		if !inY {
			b = absent{}
		}
		p := k
		if path != "" {
			p = path + "." + k
		}
		diffValues(p, a, b, out)
	}
}

func valueText(v any) string {
	if _, none := v.(absent); none {
		return ""
	}
	text, err := appendValue(nil, v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// JSON gives the value that a node of a mapping file stands for, as canonical JSON: what is in quotes is text, all else is what
// YAML takes it for.
func (n *Node) JSON() []byte {
	text, err := appendValue(nil, n.value())
	if err != nil {
		return []byte("null")
	}
	return text
}

func (n *Node) value() any {
	switch n.Kind {
	case Sequence:
		out := make([]any, len(n.Items))
		for i, x := range n.Items {
			out[i] = x.value()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Keys))
		for i, k := range n.Keys {
			out[k.Text] = n.Values[i].value()
		}
		return out
	}
	switch {
	case n.IsNull:
		return nil
	case n.Quoted:
		return n.Text
	case n.Text == "true" || n.Text == "false":
		return n.Text == "true"
	}
	if json.Valid([]byte(n.Text)) {
		return exact(json.Number(n.Text))
	}
	return n.Text
}
