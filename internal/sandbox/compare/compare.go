// Package compare is the demo's closing question: is everything that the reference OMS holds at NuORDER, field by field, and
// nothing else? What is expected comes from SQL of its own over the reference OMS, written after the vendor's published default
// mapping; it shares no code with the bridge's mapper or sinks, so that a fault of theirs cannot hide itself here.
package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/nuorder"
)

// Config says what the OMS data are expected to become.
type Config struct {
	// Environment is the prefix of the references in the OMS, such as "sandbox".
	Environment string
	// Warehouses are the codes of the warehouses at NuORDER by OMS warehouse number; others are not expected there. Default
	// 1 is default, 2 is west, 3 is 3pl.
	Warehouses map[int]string
	// Since is the first order date of which OMS-born orders are expected at NuORDER; zero expects none.
	Since time.Time
	// Today is the day that late purchase orders are moved to; default the present day in UTC.
	Today time.Time
	// CreatedStatus is the status at NuORDER of an open order that was born in the OMS; default processed.
	CreatedStatus string
}

func (c Config) withDefaults() (Config, error) {
	if c.Environment == "" {
		return c, errors.New("the comparison needs the name of the environment")
	}
	if c.Warehouses == nil {
		c.Warehouses = map[int]string{1: "default", 2: "west", 3: "3pl"}
	}
	if c.Today.IsZero() {
		c.Today = time.Now().UTC()
	}
	c.CreatedStatus = cmp.Or(c.CreatedStatus, "processed")
	return c, nil
}

// Difference is one field in which the OMS and NuORDER disagree.
type Difference struct {
	// Kind is product, company, inventory or order.
	Kind string
	// Key is the brand_id, company code or order number.
	Key string
	// Field is the path of the field; empty means the whole object.
	Field string
	// OMS and NuORDER are the values; "(none)" where there is none.
	OMS, NuORDER string
}

// String names the difference on one line.
func (d Difference) String() string {
	field := d.Field
	if field == "" {
		field = "object"
	}
	return fmt.Sprintf("%s %s: %s: OMS has %s, NuORDER has %s", d.Kind, d.Key, field, d.OMS, d.NuORDER)
}

// Result is what a comparison found.
type Result struct {
	// Objects and Fields count what was compared, by kind.
	Objects, Fields map[string]int
	// Differences are in the order of kind, key and field.
	Differences []Difference
}

// None stands for a value that is not there.
const None = "(none)"

// object is one remote object as paths with values. Paths with a bracket are elements of a collection: one that is on one
// side alone is a difference. Other paths count only when the OMS side has them.
type object map[string]string

// objects are all objects of a kind by their key.
type objects map[string]object

func (o objects) set(key, field, value string) {
	if o[key] == nil {
		o[key] = object{}
	}
	o[key][field] = value
}

// kinds is the order in which they are compared.
func kinds() []string { return []string{"product", "company", "inventory", "order"} }

// Run compares the whole OMS with the whole state of a portal. Both must be at rest: nothing is locked. It reads the OMS in one
// transaction.
func Run(ctx context.Context, pool *pgxpool.Pool, state nuorder.State, c Config) (Result, error) {
	c, err := c.withDefaults()
	if err != nil {
		return Result{}, err
	}
	var want map[string]objects
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		want, err = expected(ctx, tx, c)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	got, strays := found(state, want, c)
	result := Result{Objects: map[string]int{}, Fields: map[string]int{}, Differences: strays}
	for _, kind := range kinds() {
		result.Objects[kind] = len(want[kind])
		for key, w := range want[kind] {
			result.Fields[kind] += len(w)
			result.Differences = append(result.Differences, diff(kind, key, w, got[kind][key])...)
		}
		for key := range got[kind] {
			if _, known := want[kind][key]; !known {
				result.Differences = append(result.Differences, Difference{Kind: kind, Key: key, OMS: None, NuORDER: "one"})
			}
		}
	}
	slices.SortFunc(result.Differences, func(a, b Difference) int {
		return cmp.Or(slices.Index(kinds(), a.Kind)-slices.Index(kinds(), b.Kind), strings.Compare(a.Key, b.Key), strings.Compare(a.Field, b.Field))
	})
	return result, nil
}

func diff(kind, key string, want, got object) []Difference {
	if got == nil && kind == "order" && want["status"] == "cancelled" && want["_id"] == "" {
		return nil // cancelled before it could be sent
	}
	if got == nil {
		return []Difference{{Kind: kind, Key: key, OMS: "one", NuORDER: None}}
	}
	var out []Difference
	for field, w := range want {
		if g, there := got[field]; !there {
			out = append(out, Difference{Kind: kind, Key: key, Field: field, OMS: quote(w), NuORDER: None})
		} else if g != w {
			out = append(out, Difference{Kind: kind, Key: key, Field: field, OMS: quote(w), NuORDER: quote(g)})
		}
	}
	if kind == "order" && want["status"] == "cancelled" {
		return out // it stays as it was
	}
	for field := range maps.Keys(got) {
		if _, known := want[field]; !known && strings.Contains(field, "[") {
			out = append(out, Difference{Kind: kind, Key: key, Field: field, OMS: None, NuORDER: quote(got[field])})
		}
	}
	return out
}

func quote(value string) string { return fmt.Sprintf("%q", value) }
