package sink

import (
	"errors"
	"fmt"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// Mode says how far a flow goes.
type Mode string

// The modes. Off is the absence of a loop.
const (
	// On calls NuORDER.
	On Mode = "on"
	// Shadow does everything but the call, which is stored. What is stored is sent, as it stands then, once the mode lets it go.
	Shadow Mode = "shadow"
	// Canary calls for listed keys or a share of them; the rest is in shadow.
	Canary Mode = "canary"
)

// Guards bound what one flow may do in an hour over all instances; zero is no bound. Beyond it the flow pauses and asks.
type Guards struct {
	Creates, Updates, Archivals int64
}

// Config sets a loop. Environment, Flow and Instance have no default.
type Config struct {
	Environment string
	Flow        mapper.Flow
	// Instance names this process, unique among those alive.
	Instance string
	// Mode is On if empty.
	Mode Mode
	// CanaryKeys and CanaryShare (0 to 1) select the keys of Canary.
	CanaryKeys  []mapper.Key
	CanaryShare float64
	// Lanes is how many deliveries may be under way; 32 if zero.
	Lanes int
	// Batch is how many keys are owned and read at once; 128 if zero.
	Batch int
	// InFlight bounds the keys that are owned; 256 if zero. The loop uses fewer where deliveries are slow, so that what is sent
	// was read within about half a second.
	InFlight int
	// Quiet is how long a key must have been left alone before it is delivered while changes come in a burst, 200 within a quarter
	// of a second, or how long ago the burst must be where it changes keys again and again; a key is held at most twenty times as
	// long. One second if zero. Orders are never held.
	Quiet time.Duration
	// Window bounds the touches held in memory; 50,000 if zero, and four times as many where they are by changes of the last seconds.
	// A full window stops polling. // I6, I9
	Window int
	// Lease is how long an object is owned; 30 seconds if zero.
	Lease time.Duration
	// CallTime is what must be left of the lease for a delivery to begin; a third of the lease if zero.
	CallTime time.Duration
	// Late is within how long NuORDER may carry out a call that got no answer: the object is then sent once more, for the call may have
	// come after a newer one. Twice the call time if zero.
	Late time.Duration
	// Grace is how long deliveries under way may take after the stop; 10 seconds if zero.
	Grace time.Duration
	// BackoffBase and BackoffCap bound the full-jitter back-off of a key; 200 ms and one minute if zero.
	BackoffBase, BackoffCap time.Duration
	// Patience is how long a key waits for a parent before it is also parked; 24 hours if zero.
	Patience time.Duration
	// RetryFailing is how often a key that failed many times in a row, while others did not, is tried again; five minutes if
	// zero. In between it is shown among the parked.
	RetryFailing time.Duration
	// Silent is how long the ledger may hear nothing of a loop before others take over the requests that it claimed; eight
	// seconds if zero.
	Silent time.Duration
	// Look is how often requests, pauses and waiting keys are looked for without being told; one second if zero.
	Look time.Duration
	// ParkedCap pauses the flow when so many keys are parked; 10,000 if zero.
	ParkedCap int64
	// RejectWindow and RejectShare pause the flow when more than the share of the last so many outcomes were rejected; 200
	// and 0.5 if zero.
	RejectWindow int
	RejectShare  float64
	Guards       Guards
	// StockPass is within how long all stock at NuORDER is written again, for NuORDER moves it by itself; a day if zero, never
	// if negative. It concerns the inventory flow.
	StockPass time.Duration
	// At is told of each Point that is passed; nil in production.
	At func(Point)
}

func (c Config) withDefaults() Config {
	def(&c.Mode, On)
	def(&c.Lanes, 32)
	def(&c.Batch, 128)
	def(&c.InFlight, 256)
	def(&c.Quiet, time.Second)
	def(&c.Window, 50_000)
	def(&c.Lease, 30*time.Second)
	def(&c.CallTime, c.Lease/3)
	def(&c.Late, 2*c.CallTime)
	def(&c.Grace, 10*time.Second)
	def(&c.BackoffBase, 200*time.Millisecond)
	def(&c.BackoffCap, time.Minute)
	def(&c.Patience, 24*time.Hour)
	def(&c.RetryFailing, 5*time.Minute)
	def(&c.Silent, 8*time.Second)
	def(&c.Look, time.Second)
	def(&c.StockPass, 24*time.Hour)
	def(&c.ParkedCap, 10_000)
	def(&c.RejectWindow, 200)
	def(&c.RejectShare, 0.5)
	c.Batch = min(c.Batch, c.InFlight)
	return c
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) validate() error {
	switch {
	case c.Environment == "" || c.Flow == "" || c.Instance == "":
		return errors.New("make a delivery loop: environment, flow and instance are needed")
	case c.Mode != On && c.Mode != Shadow && c.Mode != Canary:
		return fmt.Errorf("make the loop of %s: mode %q: expected on, shadow or canary", c.Flow, c.Mode)
	case c.CallTime >= c.Lease:
		return fmt.Errorf("make the loop of %s: call time %v must be shorter than the lease %v", c.Flow, c.CallTime, c.Lease)
	case c.RejectShare < 0 || c.RejectShare > 1 || c.CanaryShare < 0 || c.CanaryShare > 1:
		return fmt.Errorf("make the loop of %s: shares go from 0 to 1", c.Flow)
	default:
		return nil
	}
}

// compares tells whether the loop may take an equal hash for unchanged; the Remotes of orders know better.
func (c Config) compares() bool { return c.Flow.Kind() != mapper.Order }

func (c Config) owner() string { return c.Instance + "/" + string(c.Flow) }

func (c Config) owning(keys []mapper.Key) ledger.Owning {
	return ledger.Owning{
		Environment: c.Environment, Kind: c.Flow.Kind(), Flow: c.Flow, Part: ledger.PartOf(c.Flow),
		Keys: keys, Lease: c.Lease, Owner: c.owner(),
	}
}
