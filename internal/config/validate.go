package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// flows and the modes each may have.
var (
	sinkFlows = []string{"products", "customers", "inventory", "order_edits", "order_creation", "shipments"}
	sinkModes = []string{"off", "shadow", "canary", "on"}
	inModes   = []string{"off", "test", "on"}
	plainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)
)

func (c *Config) defaults() {
	d := &c.Capture
	setDefault(&d.Name, "oms")
	setDefault(&d.Slot, "nubridge_"+d.Name)
	setDefault(&d.Publication, "nubridge_"+d.Name)
	setDefault(&d.TopicPrefix, d.Name)
	setDefault(&d.Snapshot, "initial")
	setDefault(&d.StatusInterval, 5*time.Second)
	setDefault(&d.HeartbeatInterval, 10*time.Second)
	setDefault(&d.SpillLimitMB, 20480)
	setDefault(&d.MaxRowMB, 256)
	setDefault(&d.Protocol, 2)
	setDefault(&c.Kafka.Partitions, 6)
	setDefault(&c.Kafka.Replication, 1)
	setDefault(&c.Kafka.Compression, "lz4")
	setDefault(&c.Kafka.SessionTimeout, 10*time.Second)
	if c.Kafka.Idempotence == nil {
		c.Kafka.Idempotence = new(true)
	}
	if !c.Ledger.URL.IsSet() {
		c.Ledger.URL = c.OMS.URL
	}
	setDefault(&c.Ledger.Schema, "nubridge")
	setDefault(&c.HTTP.Listen, "127.0.0.1:9321")
	if c.Telemetry.Sample == nil {
		c.Telemetry.Sample = new(1.0)
	}
	setDefault(&c.Log.Level, "info")
	setDefault(&c.Log.Format, "text")
	for name, e := range c.Environments {
		if e != nil {
			e.defaults(name)
		}
	}
}

func (e *Environment) defaults(name string) {
	setDefault(&e.Overlay, name)
	n := &e.NuORDER
	setDefault(&n.Signature, "rfc5849")
	setDefault(&n.Rate, 10)
	setDefault(&n.Concurrency, 4)
	setDefault(&n.Timeout, 30*time.Second)
	setDefault(&n.Inventory, "classic")
	u := &n.Unsure
	setDefault(&u.Arrays, "replace")
	setDefault(&u.StatusVerb, "POST")
	setDefault(&u.StatusWord, "processed")
	setDefault(&u.NumberPath, "number")
	setDefault(&u.NumberVerb, "POST")
	setDefault(&u.StatusForm, "path")
	setDefault(&u.Shipments, "inside")
	o := &e.OMSAPI
	setDefault(&o.Auth, "none")
	setDefault(&o.Timeout, 30*time.Second)
	setDefault(&o.Settle, 30*time.Second)
	setDefault(&o.Attempts, 3)
	setDefault(&e.Orders.Every, 10*time.Minute)
	if len(e.Orders.Statuses) == 0 {
		e.Orders.Statuses = []string{"approved"}
	}
	setDefault(&e.Orders.Workers, 16)
	setDefault(&e.Lanes, 8)
	setDefault(&e.Lease, time.Minute)
	setDefault(&e.ParentTimeout, 24*time.Hour)
	setDefault(&e.ParkLimit, 1000)
	setDefault(&e.Guards.AlteredPercent, 20)
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// findings gathers every broken rule, each as one sentence that starts with the key.
type findings []string

func (f *findings) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *findings) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		f.add("%s is %q; expected one of %s", key, value, strings.Join(allowed, ", "))
	}
}

func (f *findings) web(key, value string) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		f.add("%s is no http or https address; expected something like https://host", key)
	}
}

func (c *Config) validate() []string {
	var f findings
	if !c.OMS.URL.IsSet() {
		f.add("oms.url is missing; expected the OMS database, such as ${OMS_DATABASE_URL} with postgres://user:password@host:5432/oms in it")
	}
	if len(c.Kafka.Brokers) == 0 {
		f.add("kafka.brokers is missing; expected a list of host:port")
	}
	f.oneOf("capture.snapshot", c.Capture.Snapshot, "initial", "never")
	f.oneOf("kafka.compression", c.Kafka.Compression, "none", "gzip", "snappy", "lz4", "zstd")
	if c.Kafka.SessionTimeout < time.Second {
		f.add("kafka.session_timeout is %v; expected at least 1s", c.Kafka.SessionTimeout)
	}
	f.oneOf("kafka.sasl.mechanism", c.Kafka.SASL.Mechanism, "", "plain", "scram-sha-256", "scram-sha-512")
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	f.oneOf("log.format", c.Log.Format, "text", "json")
	if c.Capture.Protocol != 1 && c.Capture.Protocol != 2 {
		f.add("capture.protocol is %d; expected 1 or 2", c.Capture.Protocol)
	}
	if c.Capture.MaxRowMB < 1 {
		f.add("capture.max_row_mb is %d; expected at least 1", c.Capture.MaxRowMB)
	}
	for _, n := range []struct{ key, value string }{
		{"capture.name", c.Capture.Name},
		{"capture.slot", c.Capture.Slot},
		{"capture.publication", c.Capture.Publication},
		{"ledger.schema", c.Ledger.Schema},
	} {
		if !plainName.MatchString(n.value) {
			f.add("%s is %q; expected lower-case letters, digits and _, beginning with a letter, at most 41", n.key, n.value)
		}
	}
	if s := *c.Telemetry.Sample; s < 0 || s > 1 {
		f.add("telemetry.sample is %v; expected 0 to 1", s)
	}
	if c.Telemetry.OTLP != "" {
		f.web("telemetry.otlp", c.Telemetry.OTLP)
	}
	if len(c.Environments) == 0 && c.Capture.Off {
		f.add("environments is empty and capture is off: there is nothing to run")
	}
	var owners []string
	for _, name := range sortedKeys(c.Environments) {
		e := c.Environments[name]
		if e == nil {
			f.add("environments.%s is empty", name)
			continue
		}
		if !plainName.MatchString(name) {
			f.add("environments.%s: expected a name of lower-case letters, digits and _", name)
		}
		e.validate(&f, "environments."+name)
		if e.Flows["orders_in"] == "on" {
			owners = append(owners, name)
		}
	}
	if len(owners) > 1 { // I12
		f.add("orders_in is on in %s; expected at most one environment per OMS, the others test or off", strings.Join(owners, " and "))
	}
	f = append(f, c.portalsApart()...)
	return f
}

// portalsApart refuses two environments with one token: sandbox and production must not meet. // I12
func (c *Config) portalsApart() findings {
	var f findings
	seen := map[string]string{}
	for _, name := range sortedKeys(c.Environments) {
		e := c.Environments[name]
		if e == nil || !e.NuORDER.Token.IsSet() {
			continue
		}
		id := e.NuORDER.URL + " " + e.NuORDER.Token.Reveal()
		if other, ok := seen[id]; ok {
			f.add("environments %s and %s have the same NuORDER address and token; expected a portal of its own for each", other, name)
		}
		seen[id] = name
	}
	return f
}

func (e *Environment) validate(f *findings, at string) {
	on := false
	for _, name := range sortedKeys(e.Flows) {
		mode := e.Flows[name]
		on = on || mode != "off"
		switch {
		case name == "orders_in":
			f.oneOf(at+".flows.orders_in", mode, inModes...)
		case slices.Contains(sinkFlows, name):
			f.oneOf(at+".flows."+name, mode, sinkModes...)
		default:
			hint := ""
			if near := nearest(name, append([]string{"orders_in"}, sinkFlows...)); near != "" {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			f.add("%s.flows.%s is no flow; expected %s or orders_in%s", at, name, strings.Join(sinkFlows, ", "), hint)
		}
	}
	f.oneOf(at+".nuorder.signature", e.NuORDER.Signature, "rfc5849", "hex")
	f.oneOf(at+".nuorder.inventory", e.NuORDER.Inventory, "classic", "replenishments")
	u := e.NuORDER.Unsure
	f.oneOf(at+".nuorder.unsure.arrays", u.Arrays, "replace", "merge")
	f.oneOf(at+".nuorder.unsure.status_verb", u.StatusVerb, "POST", "PUT")
	f.oneOf(at+".nuorder.unsure.number_verb", u.NumberVerb, "POST", "PUT")
	f.oneOf(at+".nuorder.unsure.number_path", u.NumberPath, "number", "plain")
	f.oneOf(at+".nuorder.unsure.status_form", u.StatusForm, "path", "body")
	f.oneOf(at+".nuorder.unsure.shipments", u.Shipments, "inside", "own")
	if p := e.Guards.AlteredPercent; p < 0 || p > 100 {
		f.add("%s.guards.altered_percent is %d; expected 1 to 100", at, p)
	}
	if e.NuORDER.Rate <= 0 || e.NuORDER.Concurrency < 1 {
		f.add("%s.nuorder: rate and concurrency must be above zero", at)
	}
	if !on {
		return
	}
	if e.Mapping == "" && e.MappingFS == nil {
		f.add("%s.mapping is missing; expected the mapping folder", at)
	}
	f.web(at+".nuorder.url", e.NuORDER.URL)
	for _, s := range []struct {
		key   string
		value Secret
	}{{"consumer_key", e.NuORDER.ConsumerKey}, {"consumer_secret", e.NuORDER.ConsumerSecret}, {"token", e.NuORDER.Token}, {"token_secret", e.NuORDER.TokenSecret}} {
		if !s.value.IsSet() {
			f.add("%s.nuorder.%s is missing; expected ${NAME}, or %s_file; hint: nubridge nuorder connect gets a token", at, s.key, s.key)
		}
	}
	e.validateOrders(f, at)
}

func (e *Environment) validateOrders(f *findings, at string) {
	if m := e.Flows["orders_in"]; m == "on" || m == "test" {
		f.web(at+".oms_api.url", e.OMSAPI.URL)
		f.oneOf(at+".oms_api.auth", e.OMSAPI.Auth, "none", "basic", "bearer", "api_key", "oauth2", "mtls")
	}
	active := func(flow string) bool { return e.Flows[flow] != "" && e.Flows[flow] != "off" }
	if active("order_creation") || active("shipments") || e.Orders.Since != "" {
		if _, err := time.Parse(time.DateOnly, e.Orders.Since); err != nil {
			f.add("%s.orders.since is %q; expected the first order date that may be created at NuORDER, as YYYY-MM-DD (it bounds the first load)", at, e.Orders.Since)
		}
	}
	if e.Lease < 5*time.Second || e.Lease < e.NuORDER.Timeout+e.NuORDER.Timeout/4 {
		f.add("%s.lease is %s; expected at least 5s and a quarter more than nuorder.timeout (%s)", at, e.Lease, e.NuORDER.Timeout)
	}
}
