package nuorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// OrdersConfig says which OMS orders an environment handles and what its portal does with updates. Zero fields take the defaults.
type OrdersConfig struct {
	// Environment begins the references of the orders that this environment imported. // I12
	Environment string
	// Unreferenced tells that orders born in the OMS are this environment's too: at most one environment of an OMS says so.
	Unreferenced bool
	// Since is the first order date, YYYY-MM-DD, of which orders are created; there is no default. Without it none is.
	Since string
	// Merge tells that the portal merges arrays of an update into what it has, instead of replacing them.
	Merge bool
	// BornStatus is the status in which an OMS-born order is created if its body names none; processed by default. A status
	// that the poller imports is refused: the order would come back.
	BornStatus string
	// Polled are the statuses that the poller imports; approved by default.
	Polled []string
	// CreateSettle is how long after a lost answer a created order may still not be found by its number; 30 s by default.
	CreateSettle time.Duration
	// CreateAttempts of one order whose answers were lost; 3 by default.
	CreateAttempts int
	// DoubtStock marks the stock of products, named by NuORDER's _id or by brand_id, in doubt: NuORDER moves its figure by itself when an
	// order is created, changed or cancelled, by us too. Nil where no stock is sent.
	DoubtStock func(ctx context.Context, environment string, remoteIDs, brandIDs []string, reason string) (int, error)
	// Shipments tells that the shipments flow runs, so that the cancel of an order waits for what has shipped of it.
	Shipments bool
	// Creation tells that orders born in the OMS are created, so that what follows from it is waited for.
	Creation bool
	// At is called at the points R9 and R10 of an order's way; nil costs nothing. Tests kill the process there.
	At func(point string)
}

func (c OrdersConfig) withDefaults() OrdersConfig {
	c.BornStatus = cmp.Or(c.BornStatus, string(Processed))
	if len(c.Polled) == 0 {
		c.Polled = []string{string(Approved)}
	}
	c.CreateSettle = cmp.Or(c.CreateSettle, 30*time.Second)
	c.CreateAttempts = cmp.Or(c.CreateAttempts, 3)
	return c
}

func (c OrdersConfig) validate() error {
	if c.Environment == "" {
		return errors.New("orders need the name of their environment")
	}
	if _, err := time.Parse(time.DateOnly, c.Since); c.Since != "" && err != nil {
		return fmt.Errorf("orders.since is %q: expected a date such as 2026-01-31", c.Since)
	}
	for _, p := range c.Polled {
		if strings.EqualFold(p, c.BornStatus) {
			return fmt.Errorf("orders born in the OMS would be created as %s, which is imported: they would come back", c.BornStatus)
		}
	}
	return nil
}

// Orders is what the Remotes of the order flows share: whose an order is, its number, its line sets. The flows share the remote
// object too, so their calls for one order never overlap. // decision 4
type Orders struct {
	client *Client
	log    *ledger.Intents
	logger *slog.Logger
	cfg    OrdersConfig
}

// NewOrders makes what the order flows share. It touches no network.
func NewOrders(c *Client, log *ledger.Intents, logger *slog.Logger, cfg OrdersConfig) (*Orders, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure orders of environment %q: %w", cfg.Environment, err)
	}
	return &Orders{client: c, log: log, logger: logger, cfg: cfg}, nil
}

// Parts and names that the order flows keep in the ledger's object.
const (
	partBody           = "body"
	partShipments      = "shipments"
	partStatus         = "status"
	partNumber         = "number"
	identityNumber     = "nuorder_number" // the number before the OMS's replaced it
	identityCancelled  = "cancelled"
	identityCut        = "cut_to"     // the units that had shipped when the OMS cancelled the rest
	identityOpenUnits  = "open_units" // ordered and not yet shipped
	identityShipped    = "shipped_units"
	identityLinkedOnly = "linked" // an old order that was found, not made
	identityAbsent     = "absent" // NuORDER was asked for an order that is not to be created, and lacks it
)

// Facts of an order's body.
const (
	factNumber    = "number"
	factReference = "reference"
	factDate      = "date"
	factCancelled = "cancelled"
	factShipped   = "shipped" // units that have shipped, so that a cancel never overtakes them; may be left out
)

// origin tells whose an OMS order is.
type origin byte

const (
	foreign  origin = iota // another environment's, or unreferenced where we do not handle those
	imported               // it carries our reference: it came from NuORDER
	born                   // it was born in the OMS
)

// originOf reads the reference. An order with our reference is never OMS-born, whatever the ledger says; one with any other
// reference is nothing of ours. // I4, I12
func (o *Orders) originOf(b mapper.Body) (origin, string) {
	reference := b.Facts[factReference]
	if id, ours := strings.CutPrefix(reference, o.cfg.Environment+":"); ours && id != "" {
		return imported, id
	}
	if reference == "" && o.cfg.Unreferenced {
		return born, ""
	}
	return foreign, ""
}

// omsNumber is the OMS's number of the order.
func omsNumber(b mapper.Body) string { return cmp.Or(b.Facts[factNumber], b.RemoteKey) }

// follow takes an imported order as far as its number at NuORDER. Until the poller has marked it, the document waits; the event
// itself proves the create, also before its answer was read. It gives the intent in NUMBERED, or a delivery that ends the turn.
func (o *Orders) follow(ctx context.Context, t *turn, id string) (*ledger.Intent, *sink.Delivery, error) {
	number := omsNumber(t.work.Body)
	intent, err := o.log.Prove(ctx, ledger.Proof{
		Environment: o.cfg.Environment, NuORDERID: id, OMSNumber: number, By: "the change stream", Trace: traceparent(ctx),
	})
	if err != nil {
		return nil, nil, err
	}
	if intent.State == ledger.Quarantined {
		d, err := t.wait(mapper.Ref{Flow: mapper.OrdersIn, Key: mapper.Key(id)})
		return nil, &d, err
	}
	if intent.OMSNumber != number {
		o.logger.Error("one NuORDER order has two OMS orders: cancel one in the OMS", slog.String("order", id),
			slog.String("first", intent.OMSNumber), slog.String("second", number))
		return nil, nil, &fault.Error{
			Kind: fault.Reject, Code: "order_doubled", Field: factReference, Rule: "unique",
			Err:  fmt.Errorf("OMS orders %s and %s carry the reference of NuORDER order %s", intent.OMSNumber, number, id),
			Hint: "cancel one of the two in the OMS",
		}
	}
	if intent.State == ledger.Created {
		d, err := t.wait(mapper.Ref{Flow: mapper.OrdersIn, Key: mapper.Key(id)})
		return nil, &d, err
	}
	if intent.State == ledger.Marked {
		if intent, err = o.number(ctx, intent); err != nil {
			return nil, nil, err
		}
	}
	t.learnOrder(intent)
	return intent, nil, nil
}

// learnOrder keeps what the intent log tells of an imported order.
func (t *turn) learnOrder(i *ledger.Intent) {
	t.object.Known, t.object.RemoteID = true, i.NuORDERID
	t.object.RemoteKey, t.object.StoredKey = i.OMSNumber, i.OMSNumber
	if i.Number != "" && i.Number != i.OMSNumber {
		t.object.Identity[identityNumber] = i.Number
	}
}

// tell writes a line into the history of an order, which nuorder orders show gives. A failure costs the line, not the order.
func (o *Orders) tell(ctx context.Context, id, step, detail string) {
	i, err := o.log.Get(ctx, o.cfg.Environment, id)
	if err == nil && i == nil {
		i = &ledger.Intent{Environment: o.cfg.Environment, NuORDERID: id, Trace: traceparent(ctx)}
	}
	if err == nil {
		err = o.log.Note(ctx, i, step, detail)
	}
	if err != nil && ctx.Err() == nil {
		o.logger.Warn("the history of an order could not be written", slog.String("order", id), slog.Any("error", err))
	}
}

// at reports a point of the way.
func (o *Orders) at(point string) {
	if o.cfg.At != nil {
		o.cfg.At(point)
	}
}

// traceparent gives the trace of the context.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// inTrace puts an order's own trace into the context, so that everything from the poll to the renumbering is one trace.
func inTrace(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}
