package oms

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"nubridge/mapper"
)

// Spec is a compiled orders_in.yaml: one OMS API, without its address and credentials. It is immutable and safe for concurrent use.
type Spec struct {
	base   string
	define []named
	create createSpec
	search *readSpec // nil if the OMS cannot be searched by reference
	read   *readSpec // nil if single orders cannot be read
	checks []checkSpec
}

type named struct {
	name string
	eval expression
}

// request is how one call is made.
type request struct {
	method string
	path   []segment
	query  []named
	header []named
}

// segment is a piece of a path: text, or an expression whose value is escaped.
type segment struct {
	text string
	eval expression
}

type createSpec struct {
	request
	body   template
	number expression
	// rules are asked in this order; the first that holds decides.
	rules  []rule
	reason expression
}

type rule struct {
	outcome Outcome
	when    expression
}

type readSpec struct {
	request
	none   expression // the answer means: there is no such order
	found  expression
	number expression
	same   expression
}

type checkSpec struct {
	name    string
	require expression
	sql     string
	args    []expression
	text    expression
}

// Compile reads an orders_in.yaml. All findings of the file are given at once; with an error among them the spec is not usable.
func Compile(name string, text []byte) (*Spec, mapper.Findings) {
	root, findings := mapper.ParseNode(name, text)
	if root == nil || findings.HasErrors() {
		return nil, findings
	}
	spec, more := CompileTree(root)
	return spec, append(findings, more...)
}

// CompileTree is Compile over a tree that is parsed already, such as a file with an environment's overlay laid over it.
func CompileTree(root *mapper.Node) (*Spec, mapper.Findings) {
	c := &compiler{}
	s := c.spec(root)
	return s, c.findings
}

// Queries gives the SQL of the checks by name, for whoever prepares them before anything runs.
func (s *Spec) Queries() map[string]string {
	out := map[string]string{}
	for _, c := range s.checks {
		if c.sql != "" {
			out[c.name] = c.sql
		}
	}
	return out
}

// CanSearch tells whether the API can be searched by reference; where it cannot, a lost answer is for a person.
func (s *Spec) CanSearch() bool { return s.search != nil }

// compiler collects findings; names are those that expressions may use besides the defined ones.
type compiler struct {
	findings mapper.Findings
	defined  []string
	lookups  map[string]map[string]string
}

// orderNames are what every expression sees.
func orderNames() []string { return []string{"order", "lines", "reference", "environment"} }

// answerNames are what expressions over an answer see besides.
func answerNames() []string { return append(orderNames(), "status", "answer", "text", "headers") }

func (c *compiler) add(n *mapper.Node, message, expected string) {
	c.findings = append(c.findings, n.Finding(mapper.Error, message, expected, ""))
}

// entries walks a mapping strictly: an unknown entry is an error, and so is a missing one.
func (c *compiler) entries(n *mapper.Node, what string, known, required []string, each func(key, value *mapper.Node)) {
	if n.Kind != mapper.Map {
		c.add(n, what+" is no mapping", "entries "+strings.Join(known, ", "))
		return
	}
	for i, k := range n.Keys {
		if !slices.Contains(known, k.Text) {
			c.add(k, fmt.Sprintf("unknown entry %q in %s", k.Text, what), "one of "+strings.Join(known, ", "))
			continue
		}
		each(k, n.Values[i])
	}
	for _, r := range required {
		if n.Get(r) == nil {
			c.add(n, fmt.Sprintf("%s has no entry %q", what, r), r+":")
		}
	}
}

func (c *compiler) spec(root *mapper.Node) *Spec {
	s := &Spec{}
	if l := root.Get("lookups"); l != nil {
		c.lookups = c.tables(l)
	}
	if d := root.Get("define"); d != nil {
		// Definitions first, whatever their place in the file: everything else may use them.
		for _, e := range c.expressions(d, "define", orderNames()) {
			s.define = append(s.define, e)
			c.defined = append(c.defined, e.name)
		}
	}
	known := []string{"base_path", "lookups", "define", "create", "search", "read", "checks"}
	c.entries(root, root.File(), known, []string{"create"}, func(k, v *mapper.Node) {
		switch k.Text {
		case "base_path":
			s.base = v.Text
		case "create":
			s.create = c.createEntry(v)
		case "search":
			s.search = c.readEntry(v, "search", []string{"found", "number"})
		case "read":
			s.read = c.readEntry(v, "read", []string{"found"})
		case "checks":
			s.checks = c.checkEntries(v)
		}
	})
	return s
}

func (c *compiler) createEntry(n *mapper.Node) createSpec {
	s := createSpec{request: request{method: http.MethodPost}}
	known := []string{"method", "path", "query", "headers", "body", "number", "answers", "reason"}
	c.entries(n, "create", known, []string{"path", "body", "number", "answers"}, func(k, v *mapper.Node) {
		switch k.Text {
		case "body":
			s.body = c.template(v, orderNames())
		case "number":
			s.number = c.expression(v, answerNames())
		case "reason":
			s.reason = c.expression(v, answerNames())
		case "answers":
			outcomes := []string{string(Created), string(Duplicate), string(Refused), string(Again), string(Lost)}
			c.entries(v, "answers", outcomes, []string{string(Created)}, func(*mapper.Node, *mapper.Node) {})
			// Always in this order, whatever the file's.
			for _, o := range outcomes {
				if e := v.Get(o); e != nil {
					s.rules = append(s.rules, rule{outcome: Outcome(o), when: c.expression(e, answerNames())})
				}
			}
		default:
			c.requestEntry(&s.request, k, v, orderNames())
		}
	})
	return s
}

func (c *compiler) readEntry(n *mapper.Node, what string, required []string) *readSpec {
	s := &readSpec{request: request{method: http.MethodGet}}
	known := []string{"method", "path", "query", "headers", "none", "found", "number", "same"}
	names := append(orderNames(), "number")
	answers := append(answerNames(), "number")
	c.entries(n, what, known, append([]string{"path"}, required...), func(k, v *mapper.Node) {
		switch k.Text {
		case "none":
			s.none = c.expression(v, answers)
		case "found":
			s.found = c.expression(v, answers)
		case "number":
			s.number = c.expression(v, append(orderNames(), "found"))
		case "same":
			s.same = c.expression(v, append(orderNames(), "found"))
		default:
			c.requestEntry(&s.request, k, v, names)
		}
	})
	return s
}

// requestEntry reads what all calls have.
func (c *compiler) requestEntry(r *request, k, v *mapper.Node, names []string) {
	switch k.Text {
	case "method":
		r.method = strings.ToUpper(v.Text)
		if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH"}, r.method) {
			c.add(v, "the method is not known", "GET, POST, PUT or PATCH")
		}
	case "path":
		r.path = c.path(v, names)
	case "query":
		r.query = c.expressions(v, "query", names)
	case "headers":
		r.header = c.expressions(v, "headers", names)
		for _, h := range r.header {
			// net/http would take it for leave to send a create twice.
			if strings.Contains(strings.ToLower(h.name), "idempotency-key") {
				c.add(v, "the header "+h.name+" is not allowed: with it the HTTP library may send a create twice by itself", "the reference in the body")
			}
		}
	}
}

// path reads a path with expressions in braces, such as /orders/{number}.
func (c *compiler) path(n *mapper.Node, names []string) []segment {
	var out []segment
	rest := n.Text
	for rest != "" {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			return append(out, segment{text: rest})
		}
		end := strings.IndexByte(rest[open:], '}')
		if end < 0 {
			c.add(n, "a brace of the path is not closed", "/orders/{number}")
			return out
		}
		if open > 0 {
			out = append(out, segment{text: rest[:open]})
		}
		inner := *n
		inner.Text = rest[open+1 : open+end]
		out = append(out, segment{eval: c.expression(&inner, names)})
		rest = rest[open+end+1:]
	}
	return out
}

func (c *compiler) expressions(n *mapper.Node, what string, names []string) []named {
	if n.Kind != mapper.Map {
		c.add(n, what+" is no mapping", "entries {name: expression}")
		return nil
	}
	var out []named
	for i, k := range n.Keys {
		out = append(out, named{name: k.Text, eval: c.expression(n.Values[i], names)})
	}
	return out
}

func (c *compiler) checkEntries(n *mapper.Node) []checkSpec {
	if n.Kind != mapper.Sequence {
		c.add(n, "checks is no list", "- {name: customer, sql: ..., args: [...], text: ...}")
		return nil
	}
	var out []checkSpec
	for _, item := range n.Items {
		var s checkSpec
		c.entries(item, "check", []string{"name", "require", "sql", "args", "text"}, []string{"name", "text"}, func(k, v *mapper.Node) {
			switch k.Text {
			case "name":
				s.name = v.Text
			case "require":
				s.require = c.expression(v, orderNames())
			case "sql":
				s.sql = strings.TrimSpace(v.Text)
			case "args":
				for _, a := range v.Items {
					s.args = append(s.args, c.expression(a, orderNames()))
				}
			case "text":
				s.text = c.expression(v, append(orderNames(), "row"))
			}
		})
		if (s.require == nil) == (s.sql == "") {
			c.add(item, "the check says not what it checks", "either require: (an expression that must hold) or sql: (a query that gives a row for each problem)")
		}
		out = append(out, s)
	}
	return out
}
