package orders

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"nubridge/internal/ledger"
	"nubridge/orders/oms"
)

// Portal is what the poller needs of NuORDER. Errors are fault.Errors.
type Portal interface {
	// OrderIDs lists the _ids of the orders in a status, all of them.
	OrderIDs(ctx context.Context, status string) ([]string, error)
	// Order reads one order by _id; code not_found when NuORDER does not know it.
	Order(ctx context.Context, id string) ([]byte, error)
	// SetOrderStatus sets a status; an order that has it already is no error. It gives the order as it is then, or nothing
	// if the answer did not tell.
	SetOrderStatus(ctx context.Context, id, status string) ([]byte, error)
}

// OMS is the OMS's API by mapping.
type OMS interface {
	// Draft translates an order to the OMS's body; it does no I/O.
	Draft(o oms.Order) (oms.Draft, error)
	// Check tells why the OMS would refuse the draft; none means nothing is known against it.
	Check(ctx context.Context, d oms.Draft) ([]oms.Problem, error)
	// Create posts the draft once and never repeats it by itself.
	Create(ctx context.Context, d oms.Draft) (oms.Answer, error)
	// Search finds the OMS orders that carry the reference of the draft.
	Search(ctx context.Context, d oms.Draft) ([]oms.Found, error)
	// SearchReference does the same for an order whose content plays no part.
	SearchReference(ctx context.Context, o oms.Order) ([]oms.Found, error)
	// CanSearch tells whether the OMS can be searched by reference at all.
	CanSearch() bool
}

// Lock makes one poller of an environment the active one.
type Lock interface {
	Hold(ctx context.Context, environment string, do func(ctx context.Context, fence int64) error) error
	Owner() string
}

// Renumberer gives an order its OMS number at NuORDER when the change stream did not, and moves its row to NUMBERED.
type Renumberer interface {
	Renumber(ctx context.Context, i *ledger.Intent) error
}

// StockDoubter is told of every order that is new, changed or gone: NuORDER moved the stock of its lines; and of every order that the
// OMS has: from then on it counts the order itself.
type StockDoubter interface {
	DoubtStock(ctx context.Context, environment string, lines []Line) error
	WakeStock(ctx context.Context, environment string, lines []Line) error
}

// Deps are what the poller works with. Numbers, Stock and Spans may be nil.
type Deps struct {
	Portal  Portal
	OMS     OMS
	Intents *ledger.Intents
	Lock    Lock
	Numbers Renumberer
	Stock   StockDoubter
	Spans   Spans
	Log     *slog.Logger
	// Polled is told how each poll ended; it may be nil.
	Polled func(error)
}

// Config sets the poller up. Zero fields take the defaults.
type Config struct {
	// Environment is part of every reference. // I12
	Environment string
	// Statuses whose orders are imported; approved by default.
	Statuses []string
	// Watch are statuses in which an imported order is looked at again, because someone set them at NuORDER: cancelled by
	// default; a list of one empty word watches nothing.
	Watch []string
	// Sight are further statuses in which an order that is seen there for the first time has moved stock; draft, review and pending by
	// default, those apart that are imported or watched; a list of one empty word looks at none.
	Sight []string
	// MarkAs is the status of an imported order; processed by default.
	MarkAs string
	// Every is the time between polls; 10 minutes by default.
	Every time.Duration
	// Workers take orders forward at once; 16 by default, more than either far end takes at once: an order is at one of them at a
	// time, and their clients keep their own limits.
	Workers int
	// Timeout of one create; 30 s by default.
	Timeout time.Duration
	// Settle is how long after a lost answer a search may still miss the order; 30 s by default.
	Settle time.Duration
	// Attempts of one create that may have reached the OMS; 3 by default. Then a person decides.
	Attempts int
	// SkipSearch leaves out the search before a first create. The search costs one read and covers a log that was lost.
	SkipSearch bool
	// Sweep is how long after Processed the change stream has to bring the number; 2 minutes by default.
	Sweep time.Duration
	// Retry is the first pause after a failure, doubled each time up to RetryMax; 1 s and 5 minutes by default.
	Retry, RetryMax time.Duration
	// HeldEvery is how often a held order is tried again; 1 minute by default.
	HeldEvery time.Duration
	// Keep is how long the log holds what a buyer ordered once the order is at rest; 90 days by default.
	Keep time.Duration
	// Tick is how often the log is asked for due orders; 1 s by default.
	Tick time.Duration
	// At is called at the named points of the way; nil costs nothing. Tests kill the process there.
	At func(Point)
}

func (c Config) withDefaults() Config {
	if len(c.Statuses) == 0 {
		c.Statuses = []string{"approved"}
	}
	c.Statuses = slices.Clone(c.Statuses)
	for n, s := range c.Statuses {
		c.Statuses[n] = strings.ToLower(s)
	}
	if len(c.Watch) == 0 {
		c.Watch = []string{"cancelled"}
	}
	c.Watch = slices.DeleteFunc(slices.Clone(c.Watch), func(s string) bool { return s == "" })
	if len(c.Sight) == 0 {
		c.Sight = []string{"draft", "review", "pending"}
	}
	c.Sight = slices.DeleteFunc(slices.Clone(c.Sight), func(s string) bool {
		return s == "" || slices.Contains(c.Statuses, s) || slices.Contains(c.Watch, s)
	})
	c.MarkAs = cmp.Or(c.MarkAs, "processed")
	c.Every = cmp.Or(c.Every, 10*time.Minute)
	c.Workers = cmp.Or(c.Workers, 16)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Settle = cmp.Or(c.Settle, 30*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.Sweep = cmp.Or(c.Sweep, 2*time.Minute)
	c.Retry = cmp.Or(c.Retry, time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, 5*time.Minute)
	c.HeldEvery = cmp.Or(c.HeldEvery, time.Minute)
	c.Keep = cmp.Or(c.Keep, 90*24*time.Hour)
	c.Tick = cmp.Or(c.Tick, time.Second)
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Environment == "" || strings.Contains(c.Environment, ":") {
		errs = append(errs, errors.New("the environment's name must not be empty or hold a colon"))
	}
	if slices.Contains(c.Statuses, strings.ToLower(c.MarkAs)) {
		errs = append(errs, errors.New("orders are marked with a status that is polled: they would be imported for ever"))
	}
	if c.Workers < 1 || c.Attempts < 1 {
		errs = append(errs, errors.New("workers and attempts must be at least 1"))
	}
	for _, d := range []time.Duration{c.Every, c.Timeout, c.Settle, c.Sweep, c.Retry, c.RetryMax, c.HeldEvery, c.Keep, c.Tick} {
		if d < 0 {
			errs = append(errs, errors.New("durations must not be negative"))
			break
		}
	}
	return errors.Join(errs...)
}
