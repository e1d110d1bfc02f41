package nuorder

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func statuses() []string {
	return []string{"draft", "review", "pending", "approved", "processed", "shipped", "cancelled"}
}

func isStatus(s string) bool { return slices.Contains(statuses(), s) }

// mayGo is the status machine of the API. A user may also send an order back.
func mayGo(from, to string, user bool) bool {
	if to == "cancelled" {
		return from != "cancelled"
	}
	next := map[string][]string{
		"draft":    {"review", "pending"},
		"review":   {"pending", "approved", "processed"},
		"pending":  {"review", "approved", "processed"},
		"approved": {"processed"}, "processed": {"shipped"},
	}
	back := map[string][]string{
		"draft": {"approved"}, "review": {"draft"}, "pending": {"draft"}, "approved": {"draft", "pending"}, "processed": {"pending"},
	}
	return slices.Contains(next[from], to) || user && slices.Contains(back[from], to)
}

// badStatusChange says why a status cannot be entered.
func (c *call) badStatusChange(from, to string, user bool) string {
	if !isStatus(to) {
		return "status " + to + " does not exist"
	}
	if !user && slices.ContainsFunc(c.sw.RefuseStatus, func(r string) bool {
		f, t, _ := strings.Cut(r, ">")
		return (f == "*" || f == from) && (t == "*" || t == to)
	}) || !mayGo(from, to, user) {
		return "order cannot go from " + from + " to " + to
	}
	return ""
}

// enter puts an order into a status; whether that shows in modified_on is a switch.
func (c *call) enter(o *order, status string) {
	if o.status() == status {
		return
	}
	o.Doc["status"] = status
	o.Since, o.Listed, o.Derived = c.now, 0, false
	if !c.sw.FreezeModified {
		o.Doc["modified_on"] = stamp(c.now)
	}
	if (status == "cancelled" || status == "draft") && c.sw.GiveBackOnCancel {
		c.giveBack(o)
	}
}

func (c *call) statusInPath(o *order) answer {
	if a := c.badVerb(c.sw.StatusVerbs); a != nil {
		return *a
	}
	if c.sw.StatusForms == "body" {
		return fail(404, "not found")
	}
	word := c.vars["status"]
	actions := map[string]string{"process": "processed", "approve": "approved", "cancel": "cancelled", "ship": "shipped"}
	to, isAction := actions[word]
	switch {
	case isAction && c.sw.StatusWords == "status", !isAction && !isStatus(word):
		return fail(404, "not found")
	case !isAction && c.sw.StatusWords == "action" && (word == "processed" || word == "approved" || word == "cancelled" || word == "shipped"):
		return fail(404, "not found")
	case !isAction:
		to = word
	}
	return c.changeStatus(o, to)
}

func (c *call) statusInBody(o *order) answer {
	if a := c.badVerb(c.sw.StatusVerbs); a != nil {
		return *a
	}
	if c.sw.StatusForms == "path" {
		return fail(404, "not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	return c.changeStatus(o, strings.ToLower(str(d, "status")))
}

func (c *call) changeStatus(o *order, to string) answer {
	if o == nil {
		return fail(404, "order not found")
	}
	if o.status() == to {
		if c.sw.SameStatus == http.StatusNotModified {
			return answer{status: http.StatusNotModified}
		}
		return ok(c.orderView(o))
	}
	if msg := c.badStatusChange(o.status(), to, false); msg != "" {
		return fail(400, msg)
	}
	c.enter(o, to)
	c.wrote("order", o.id())
	return ok(c.orderView(o))
}

// ordersByStatus lists ids or whole orders; an unknown status word lists nothing.
func (c *call) ordersByStatus(detail bool) answer {
	var found []*order
	for _, o := range sorted(c.p.orders) {
		if o.status() != c.vars["status"] {
			continue
		}
		o.Listed++
		if c.now.Sub(o.Since) < time.Duration(c.sw.ListLag) || o.Listed <= c.sw.ListLagCalls {
			continue
		}
		found = append(found, o)
	}
	return c.listOrders(found, detail)
}

func (c *call) listOrders(found []*order, detail bool) answer {
	found, a := page(c, found, (*order).id)
	if a != nil {
		return *a
	}
	out := []any{}
	for _, o := range found {
		if detail {
			out = append(out, c.orderView(o))
		} else {
			out = append(out, o.id())
		}
	}
	return ok(out)
}

// ordersByDate lists the ids of orders created in a range of days, both included.
func (c *call) ordersByDate() answer {
	from, ok1 := parseDate(c.query.Get("start_date"), []string{"dash"})
	to, ok2 := parseDate(c.query.Get("end_date"), []string{"dash"})
	if !ok1 || !ok2 {
		return fail(400, "start_date and end_date must be YYYY-MM-DD")
	}
	first, last := stamp(from), stamp(to.AddDate(0, 0, 1))
	found := slices.DeleteFunc(sorted(c.p.orders), func(o *order) bool {
		on := str(o.Doc, "created_on")
		return on < first || on >= last
	})
	return c.listOrders(found, false)
}
