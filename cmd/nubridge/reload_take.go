package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"nubridge/internal/console"
	"nubridge/mapper"
	"nubridge/mapper/documents"
	"nubridge/orders/oms"
)

// heldReload is a change of the mapping folders that waits for a confirmation, by its fingerprint: what is confirmed is what was shown.
type heldReload struct{ sum []byte }

// fresh is one environment's folder as it is now.
type fresh struct {
	e       *environment
	folder  *mapper.Folder
	mapping *mapper.Mapping
}

// reload compiles every environment's folder anew and, if none has an error and none alters more than its share, puts them all in
// force at once. Documents that are being read are translated by the mapping that they were read by.
func (b *bridge) reload(ctx context.Context, ask console.Reload) (any, error) {
	b.taking.Lock()
	defer b.taking.Unlock()
	all, err := b.recompile(ctx)
	if err != nil {
		b.held.Store(nil)
		return nil, err
	}
	report := reloadReport{Environments: []reloadEnvironment{}}
	sum := sha256.New()
	for _, f := range all {
		r, large, err := f.weigh(ctx)
		if err != nil {
			return nil, err
		}
		report.Held = report.Held || large
		report.Environments = append(report.Environments, r)
		for _, flow := range mapper.Flows() {
			sum.Write(f.mapping.Sum(flow))
		}
	}
	now := sum.Sum(nil)
	if ask.Plan {
		return report, nil
	}
	held := b.held.Load()
	if confirmed := ask.Confirm && held != nil && bytes.Equal(held.sum, now); report.Held && !confirmed {
		b.held.Store(&heldReload{now})
		for _, r := range report.Environments {
			b.log.Warn("a changed mapping is held: it alters much; nubridge reload --confirm takes it over", "environment", r.Name, "altered", r.Altered)
		}
		return report, nil
	}
	for _, f := range all {
		f.e.take(f.folder, f.mapping)
	}
	report.Applied, report.Held = true, false
	b.held.Store(nil)
	b.mended() // what a wrong mapping had halted
	b.log.Info("mapping reloaded", "environments", len(all))
	return report, nil
}

// recompile compiles the folders as they are now, and changes nothing. An error in one refuses all.
func (b *bridge) recompile(ctx context.Context) ([]fresh, error) {
	var all []fresh
	var refused []error
	for _, e := range b.envs {
		folder, err := loadMapping(b.cfg, e.cfg)
		var mapping *mapper.Mapping
		if err == nil {
			mapping, err = e.compile(ctx, folder, e.demands)
		}
		if err == nil && e.poller != nil {
			err = checkOrdersIn(folder)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("environment %s: %w", e.name, err))
			continue
		}
		all = append(all, fresh{e, folder, mapping})
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("the changed mapping is refused, the one before stays in force:\n%w", errors.Join(refused...))
	}
	return all, nil
}

func checkOrdersIn(folder *mapper.Folder) error {
	tree := folder.Tree("orders_in.yaml")
	if tree == nil {
		return errors.New("orders_in.yaml is missing; hint: put it back, or set the flow orders_in to off and start again")
	}
	if _, findings := oms.CompileTree(tree); findings.HasErrors() {
		return findings.Err()
	}
	return nil
}

// weigh tells what the new mapping alters, and whether that is more of a flow than may go without a confirmation. Flows whose
// mapping is the same are not read.
func (f *fresh) weigh(ctx context.Context) (reloadEnvironment, bool, error) {
	r, large := reloadEnvironment{Name: f.e.name, Warnings: f.notTaken()}, false
	old := f.e.mapping.Load()
	for _, flow := range mapper.Flows() {
		if !f.mapping.Maps(flow) {
			continue
		}
		r.Flows = append(r.Flows, string(flow))
		if !old.Maps(flow) || bytes.Equal(old.Sum(flow), f.mapping.Sum(flow)) {
			continue
		}
		a, err := documents.Plan(ctx, f.e.bridge.oms, old, f.mapping, flow, documents.Keys(ctx, f.e.bridge.oms, f.mapping, flow))
		if err != nil {
			return r, false, err
		}
		r.Altered = append(r.Altered, a.String())
		large = large || a.Total()*100 > f.e.cfg.Guards.AlteredPercent*a.Documents
	}
	return r, large, nil
}

// notTaken names what a reload cannot do: a flow subscribes to its topics and capture to its tables at the start.
func (f *fresh) notTaken() []string {
	var out []string
	old, mapping := f.e.mapping.Load(), f.mapping
	for _, flow := range mapper.Flows() {
		if mapping.Maps(flow) && !old.Maps(flow) {
			out = append(out, fmt.Sprintf("flow %s is new: it begins at the next start", flow))
			continue
		}
		for _, table := range mapping.Tables(flow) {
			if !slices.Contains(old.Tables(flow), table) {
				out = append(out, fmt.Sprintf("flow %s watches %s: it is read from the next start on", flow, table))
			}
		}
	}
	if f.e.poller != nil && !mapper.Same(f.e.folder.Tree("orders_in.yaml"), f.folder.Tree("orders_in.yaml")) {
		out = append(out, "orders_in.yaml has changed: it is taken over by the next start")
	}
	return out
}

// reloadOnHangup reloads whenever the process is sent SIGHUP, until the context ends, and lets what is halted try again. A refusal,
// or a change that is held, leaves what is in force; the log says which.
func (b *bridge) reloadOnHangup(ctx context.Context) error {
	hangups := make(chan os.Signal, 1) // a second one while the first is at work says no more
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			if _, err := b.reload(ctx, console.Reload{}); err != nil && ctx.Err() == nil {
				b.log.Error("the changed mapping stays out", "error", err)
			}
			b.mended()
		}
	}
}
