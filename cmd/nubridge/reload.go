package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"nubridge/internal/fault"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

type reloadCmd struct {
	configured
	JSON   bool   `help:"Print JSON."`
	Plan   bool   `help:"Only show how many documents the changed folders would alter; reads every document."`
	Server string `help:"The running instance's console; by default http.listen." placeholder:"URL"`
}

// Example implements exampled.
func (reloadCmd) Example() string { return "nubridge reload --plan\nnubridge reload" }

// Run asks the running instance to take its changed mapping folders over. A finding in any of them refuses all of them.
func (c reloadCmd) Run(ctx context.Context, s std) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	server := c.Server
	if server == "" {
		if cfg.HTTP.Listen == "off" {
			return usageError{errors.New("http.listen is off; send the signal SIGHUP to the process instead")}
		}
		server = "http://" + cfg.HTTP.Listen
	}
	path := "/api/reload"
	if c.Plan {
		path += "?plan=true"
	}
	report, err := postReload(ctx, strings.TrimSuffix(server, "/")+path)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, report)
	}
	for _, e := range report.Environments {
		fmt.Fprintf(s.out, "%s: %s\n", e.Name, strings.Join(e.Flows, ", "))
		for _, a := range e.Altered {
			fmt.Fprintf(s.out, "  %s\n", a)
		}
		for _, w := range e.Warnings {
			fmt.Fprintf(s.out, "  %s\n", w)
		}
	}
	text := "the mapping is taken over; documents change as their rows do, or by: nubridge replay FLOW --all"
	if !report.Applied {
		text = "nothing was changed; nubridge reload takes it over"
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}

// reloadReport is what a reload did, or would do.
type reloadReport struct {
	Applied      bool                `json:"applied"`
	Environments []reloadEnvironment `json:"environments"`
	// Error is the refusal.
	Error string `json:"error,omitempty"`
}

type reloadEnvironment struct {
	Name     string   `json:"name"`
	Flows    []string `json:"flows"`
	Altered  []string `json:"altered,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// reloadTimeout bounds a reload; a plan reads every document.
const reloadTimeout = 30 * time.Minute

func postReload(ctx context.Context, url string) (reloadReport, error) {
	var report reloadReport
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return report, usageError{errors.New("--server is no address; expected one such as http://127.0.0.1:9321")}
	}
	request.Header.Set("X-Nubridge", "reload") // a page in a browser cannot set it: no forged request
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return report, &fault.Error{Kind: fault.Retry, Code: "console_unreachable", Err: errors.New("no instance answers at " + url), Hint: "is nubridge run at work there?"}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil {
		return report, fmt.Errorf("read the instance's answer: %w", err)
	}
	if json.Unmarshal(text, &report) != nil {
		return report, fmt.Errorf("%s is no nubridge: %s", url, answer.Status)
	}
	if answer.StatusCode != http.StatusOK {
		return report, usageError{errors.New(report.Error)}
	}
	return report, nil
}

// reload compiles every environment's folder anew and, if none has an error, puts them all in force at once. Documents that are
// being read are translated by the mapping that they were read by.
func (b *bridge) reload(ctx context.Context, plan bool) (any, error) {
	type fresh struct {
		e       *environment
		mapping *mapper.Mapping
	}
	report := reloadReport{Environments: []reloadEnvironment{}}
	var all []fresh
	var refused []error
	for _, e := range b.envs {
		_, mapping, err := e.recompile(ctx)
		if err != nil {
			refused = append(refused, fmt.Errorf("environment %s: %w", e.name, err))
			continue
		}
		all = append(all, fresh{e, mapping})
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("the changed mapping is refused, the one before stays in force:\n%w", errors.Join(refused...))
	}
	for _, f := range all {
		r := reloadEnvironment{Name: f.e.name}
		for _, flow := range mapper.Flows() {
			if f.mapping.Maps(flow) {
				r.Flows = append(r.Flows, string(flow))
			}
		}
		r.Warnings = f.e.notTaken(f.mapping)
		if plan {
			altered, err := f.e.altered(ctx, f.mapping)
			if err != nil {
				return nil, err
			}
			r.Altered = altered
		}
		report.Environments = append(report.Environments, r)
	}
	if plan {
		return report, nil
	}
	for _, f := range all {
		f.e.mapping.Store(f.mapping)
	}
	report.Applied = true
	b.mended() // what a wrong mapping had halted
	b.log.Info("mapping reloaded", "environments", len(all))
	return report, nil
}

// recompile compiles the folder as it is now, and changes nothing.
func (e *environment) recompile(ctx context.Context) (*mapper.Folder, *mapper.Mapping, error) {
	folder, err := loadMapping(e.bridge.cfg, e.cfg)
	if err != nil {
		return nil, nil, err
	}
	schema, err := documents.Describe(ctx, e.bridge.oms, folder, "")
	if err != nil {
		return nil, nil, err
	}
	mapping, findings := folder.Compile(schema, time.Now)
	if findings.HasErrors() {
		return nil, nil, usageError{fmt.Errorf("mapping %s:\n%w", e.cfg.Mapping, findings.Err())}
	}
	return folder, mapping, nil
}

// notTaken names what a reload cannot do: a flow subscribes to its topics and capture to its tables at the start.
func (e *environment) notTaken(mapping *mapper.Mapping) []string {
	var out []string
	old := e.mapping.Load()
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
	return out
}

// altered counts what the new mapping would change.
func (e *environment) altered(ctx context.Context, mapping *mapper.Mapping) ([]string, error) {
	var out []string
	old := e.mapping.Load()
	for _, flow := range mapper.Flows() {
		if !mapping.Maps(flow) || !old.Maps(flow) {
			continue
		}
		a, err := documents.Plan(ctx, e.bridge.oms, old, mapping, flow, documents.Keys(ctx, e.bridge.oms, mapping, flow))
		if err != nil {
			return nil, err
		}
		out = append(out, a.String())
	}
	return out, nil
}

// reloadOnHangup reloads whenever the process is sent SIGHUP, until the context ends, and lets what is halted try again. A refusal
// leaves the mapping that is in force.
func (b *bridge) reloadOnHangup(ctx context.Context) error {
	hangups := make(chan os.Signal, 1) // a second one while the first is at work says no more
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			if _, err := b.reload(ctx, false); err != nil && ctx.Err() == nil {
				b.log.Error("the changed mapping stays out", "error", err)
			}
			b.mended()
		}
	}
}
