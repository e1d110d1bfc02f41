package nuorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Config is what a sandbox consists of. The zero value but for Portals is usable.
type Config struct {
	// Portals are the brands served; at least one. They are told apart by the consumer key of a call.
	Portals []Portal
	// Switches decide what is not known of the original; a nil value means DefaultSwitches.
	Switches *Switches
	// Limits are what the server refuses with 429; a nil value means DefaultLimits.
	Limits *Limits
	// PublicURL is the scheme and host that clients sign, such as https://sandbox.example; empty takes them from the request.
	PublicURL string
	// MaxBody is the largest request body in bytes after decompression; 0 means 8 MiB.
	MaxBody int64
	// JournalSize is how many calls are kept; 0 means 10,000. Counts are kept for ever.
	JournalSize int
	// JournalBody is how many bytes of each request and answer are kept; 0 means 16 KiB, below 0 none.
	JournalBody int
	// Seed drives ids, tokens and verifiers; equal seeds give equal ids.
	Seed uint64
	// DataFile is where the stores are kept between runs; empty keeps them in memory only.
	DataFile string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log receives state changes of the server itself; nil discards them.
	Log *slog.Logger
}

// Portal is one brand with its credentials and settings.
type Portal struct {
	// Name tells the portal in hooks and journal; it must be unique.
	Name string `json:"name"`
	// ConsumerKey and ConsumerSecret are those of Admin > API Management. The key must be unique.
	ConsumerKey    string `json:"consumer_key"`
	ConsumerSecret string `json:"consumer_secret"`
	// Token and TokenSecret are valid from the start; both empty means that a handshake must come first.
	Token       string `json:"token"`
	TokenSecret string `json:"token_secret"`
	// Warehouses are those created in Brand Settings; empty means one with the code "default".
	Warehouses []Warehouse `json:"warehouses"`
	// Schemas are the field definitions of "product", "company" and "order"; kinds left out get a minimal one.
	Schemas map[string][]Field `json:"schemas"`
	// FirstOrderNumber is the number of the first order that a user places; 0 means 100001.
	FirstOrderNumber int `json:"first_order_number"`
}

// Warehouse is a place that stock lies in. It cannot be created by API.
type Warehouse struct {
	// ID is 24 hex digits; empty means that one is made.
	ID          string `json:"_id"`
	Code        string `json:"code"`
	DisplayName string `json:"display_name"`
}

// Field is one definition of a portal's schema.
type Field struct {
	// Key names the field; a dot addresses a nested part, such as sizes.barcode.
	Key  string `json:"key"`
	Name string `json:"name"`
	// Type is text, number, date, bool or multi, the last meaning an array of strings.
	Type     string `json:"type"`
	Required bool   `json:"required"`
	// AllowedValues bounds the values; empty allows all.
	AllowedValues []string `json:"allowed_values"`
}

// Limits are what the server refuses with 429, for each portal.
type Limits struct {
	// Concurrency is how many calls may be in flight; 0 means no limit.
	Concurrency int `json:"concurrency"`
	// Rate is calls a second; 0 means no limit.
	Rate float64 `json:"rate"`
	// Burst is how many calls the rate lets through at once; 0 means one second's worth.
	Burst int `json:"burst"`
	// RetryAfter is the header's value in seconds; 0 leaves the header out.
	RetryAfter int `json:"retry_after"`
}

// DefaultLimits are the only ones that anybody states: five calls in flight.
func DefaultLimits() Limits { return Limits{Concurrency: 5, RetryAfter: 1} }

func (c Config) withDefaults() Config {
	if c.Switches == nil {
		s := DefaultSwitches()
		c.Switches = &s
	}
	if c.Limits == nil {
		l := DefaultLimits()
		c.Limits = &l
	}
	if c.MaxBody == 0 {
		c.MaxBody = 8 << 20
	}
	if c.JournalSize == 0 {
		c.JournalSize = 10_000
	}
	if c.JournalBody == 0 {
		c.JournalBody = 16 << 10
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if len(c.Portals) == 0 {
		return errors.New("a sandbox needs at least one portal")
	}
	names, keys := map[string]bool{}, map[string]bool{}
	for _, p := range c.Portals {
		switch {
		case p.Name == "":
			return errors.New("a portal needs a name")
		case names[p.Name]:
			return fmt.Errorf("portal %q is named twice", p.Name)
		case p.ConsumerKey == "" || p.ConsumerSecret == "":
			return fmt.Errorf("portal %q needs a consumer key and a consumer secret", p.Name)
		case keys[p.ConsumerKey]:
			return fmt.Errorf("portal %q has the consumer key of another portal", p.Name)
		case (p.Token == "") != (p.TokenSecret == ""):
			return fmt.Errorf("portal %q needs both token and token secret, or neither", p.Name)
		}
		names[p.Name], keys[p.ConsumerKey] = true, true
	}
	if c.JournalSize < 0 {
		return errors.New("the journal's size must not be negative")
	}
	if err := c.Limits.validate(); err != nil {
		return err
	}
	return c.Switches.validate()
}

func (l Limits) validate() error {
	if l.Concurrency < 0 || l.Rate < 0 || l.Burst < 0 || l.RetryAfter < 0 {
		return errors.New("limits must not be negative; 0 means none")
	}
	return nil
}

// Duration is a time.Duration that reads and writes as text such as "250ms" in JSON.
type Duration time.Duration

// MarshalJSON gives the duration as text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads text such as "250ms".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is text such as \"250ms\": %w", err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("read duration: %w", err)
	}
	*d = Duration(v)
	return nil
}

func oneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("switch %s: %q is not one of %v", name, value, allowed)
}
