package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/lifecycle"
)

type reloadCmd struct {
	configured
	JSON    bool   `help:"Print JSON."`
	Plan    bool   `help:"Only show how many documents the changed folders would alter; reads every document."`
	Confirm bool   `help:"Take a change over that was held because it alters more than guards.altered_percent."`
	Server  string `help:"The running instance's console; by default http.listen." placeholder:"URL"`
}

// Example implements exampled.
func (reloadCmd) Example() string {
	return "nubridge reload --plan\nnubridge reload\nnubridge reload --confirm"
}

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
	switch {
	case c.Plan && c.Confirm:
		return usageError{errors.New("expected --plan or --confirm, not both")}
	case c.Plan:
		path += "?plan=true"
	case c.Confirm:
		path += "?confirm=true"
	}
	report, err := postReload(ctx, strings.TrimSuffix(server, "/")+path)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(s.out, report)
	} else {
		err = report.print(s.out)
	}
	if err == nil && report.Held && !c.Plan {
		return reported{exitError{lifecycle.ExitFailed}}
	}
	return err
}

// print writes the report for a person.
func (report reloadReport) print(out io.Writer) error {
	for _, e := range report.Environments {
		fmt.Fprintf(out, "%s: %s\n", e.Name, strings.Join(e.Flows, ", "))
		for _, a := range e.Altered {
			fmt.Fprintf(out, "  %s\n", a)
		}
		if len(e.Altered) == 0 {
			fmt.Fprintln(out, "  no document would be altered")
		}
		for _, w := range e.Warnings {
			fmt.Fprintf(out, "  %s\n", w)
		}
	}
	text := "nothing was changed; nubridge reload takes it over"
	switch {
	case report.Applied:
		text = "the mapping is taken over; the documents that it alters are sent after live changes, nubridge status shows the rest"
	case report.Held:
		text = "held: it alters more than guards.altered_percent allows without a person, and the mapping before stays in force; hint: nubridge reload --confirm takes it over"
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// reloadReport is what a reload did, or would do.
type reloadReport struct {
	Applied bool `json:"applied"`
	// Held tells that the change waits for a confirmation, or would.
	Held         bool                `json:"held"`
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
