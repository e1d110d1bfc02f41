package mapper

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Reference gives the part of docs/MAPPING.md that is generated from the code: entries, types, functions, rules.
func Reference() string {
	var b strings.Builder
	for _, p := range Format() {
		fmt.Fprintf(&b, "### %s\n\n| entry | | meaning |\n| --- | --- | --- |\n", p.Title)
		for _, e := range p.Entries {
			needed := ""
			if e.Required {
				needed = "required"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Name, needed, e.Text)
		}
		b.WriteByte('\n')
	}
	b.WriteString("### Functions\n\n| function | result | example |\n| --- | --- | --- |\n")
	functions := Functions()
	slices.SortFunc(functions, func(x, y Function) int { return strings.Compare(x.Name, y.Name) })
	for _, f := range functions {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` |\n", f.Signature, f.Text, f.Example)
	}
	fmt.Fprintf(&b, "\nThese functions of the [expr language](https://expr-lang.org/docs/language-definition) are there too: `%s`.\n\n", strings.Join(slices.Sorted(slices.Values(keptBuiltins())), "`, `"))
	b.WriteString("### Rules of the remote\n\nA body that breaks a rule is parked with the field, the rule and the value; it is never sent to be refused.\n")
	for _, file := range flowFiles() {
		fmt.Fprintf(&b, "\n%s\n\n| field | rules |\n| --- | --- |\n", file)
		rules := rulesOf(file, "park")
		for _, path := range slices.Sorted(mapKeys(rules)) {
			if text := rules[path].words(); text != "" {
				fmt.Fprintf(&b, "| `%s` | %s |\n", path, text)
			}
		}
	}
	return b.String()
}

func mapKeys(m map[string]rule) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func flowFiles() []string {
	var out []string
	for _, f := range Flows() {
		out = append(out, FileOf(f))
	}
	return slices.Compact(out)
}

// words says the rule in words.
func (r rule) words() string {
	var out []string
	add := func(when bool, text string) {
		if when {
			out = append(out, text)
		}
	}
	add(r.required, "required, not empty")
	add(r.positive, "above zero (zero is sent with `zero_price: send`)")
	add(r.notNegative && !r.positive, "not negative")
	add(r.dropZero, "zero leaves the element out")
	add(r.dropEmpty, "an empty list leaves the element out")
	add(r.note != "", r.note)
	return strings.Join(out, "; ")
}

// JSONSchema gives the JSON schema of a flow's file, for editors.
func JSONSchema() []byte {
	type object = map[string]any
	ref := func(name string) object { return object{"$ref": "#/$defs/" + name} }
	expression := object{"type": []string{"string", "number", "boolean"}, "description": "an expression over the columns"}
	defs := object{
		"expression":  expression,
		"text":        object{"type": "string"},
		"expressions": object{"type": "object", "additionalProperties": ref("expression")},
		"names":       object{"oneOf": []object{{"type": "string"}, {"type": "array", "minItems": 1, "items": object{"type": []string{"string", "number", "boolean"}}}}},
		"queries":     object{"type": "object", "additionalProperties": ref("query")},
		"routes":      object{"type": "array", "minItems": 1, "items": ref("route")},
		"parents":     object{"type": "array", "items": ref("parent")},
		"parentKey":   object{"oneOf": []object{ref("expression"), {"type": "array", "items": ref("expression")}}},
		"parentFlow":  object{"enum": []string{string(Products), string(Customers), string(OrderEdits)}},
		"lookups":     object{"type": "object", "additionalProperties": object{"type": "object"}},
		"zeroPrice":   object{"enum": []string{"send", "park"}},
		"deletes":     object{"enum": []string{"route", "ignore"}},
		"tree":        object{"type": []string{"string", "number", "boolean", "object", "array", "null"}},
	}
	for _, p := range Format() {
		properties := object{}
		_, required := entryNames(p.Name)
		for _, e := range p.Entries {
			x := ref(e.Shape)
			x["description"] = e.Text
			properties[e.Name] = x
		}
		shape := object{"type": "object", "additionalProperties": false, "properties": properties}
		if len(required) > 0 {
			shape["required"] = required
		}
		if p.Name == "query" {
			shape = object{"oneOf": []object{{"type": "string"}, shape}}
		}
		defs[p.Name] = shape
	}
	root := object{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nubridge mapping file", "$ref": "#/$defs/file", "$defs": defs}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of strings always encode
	}
	return append(text, '\n')
}
