package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// mapping compiles one environment's folder against the database and the portal, and looks at what it makes of the documents.
func (k *checker) mapping(ctx context.Context, name string, folder *mapper.Folder, demands *mapper.Portal) {
	area := "mapping of " + name
	publication := ""
	var exists bool
	if err := k.pool.QueryRow(ctx, "select exists (select from pg_publication where pubname = $1)", k.cfg.Capture.Publication).Scan(&exists); err == nil && exists {
		publication = k.cfg.Capture.Publication
	}
	schema, err := documents.Describe(ctx, k.pool, folder, publication)
	if err != nil {
		k.add(area, err, "")
		return
	}
	schema.Portal = demands
	mapping, findings := folder.Compile(schema, time.Now)
	k.findings(area, findings)
	if findings.HasErrors() {
		return
	}
	k.ok(area, "compiles against the database, %d tables watched", len(folder.Tables()))
	if k.quick {
		return
	}
	seen := map[string]bool{}
	for _, flow := range mapper.Flows() {
		if mapping.Maps(flow) && !seen[mapper.FileOf(flow)] {
			seen[mapper.FileOf(flow)] = true
			k.documents(ctx, area, folder, mapping, flow)
		}
	}
}

// documents tells which documents would be parked, and ids that several claim.
func (k *checker) documents(ctx context.Context, area string, folder *mapper.Folder, mapping *mapper.Mapping, flow mapper.Flow) {
	keys := func() iter.Seq2[mapper.Key, error] { return documents.Keys(ctx, k.pool, mapping, flow) }
	survey, err := documents.Look(ctx, k.pool, mapping, flow, keys)
	if err != nil {
		k.all = append(k.all, checked{Status: "warn", Area: area, Code: "documents_unread", Text: fmt.Sprintf("the documents of %s are not looked at: %v", flow, err)})
		return
	}
	id := folder.Tree(mapper.FileOf(flow)).Get("id")
	for i, d := range survey.Duplicates {
		if i == 5 {
			k.fail(area, "id_not_unique", lifecycle.ExitUsage, fmt.Sprintf("%s: %d more ids are claimed by several documents", flow, len(survey.Duplicates)-i), "")
			break
		}
		f := id.Finding(mapper.Error, d.String(), "an expression that is another for each document", "")
		k.fail(area, "id_not_unique", lifecycle.ExitUsage, f.String(), "")
	}
	for i, b := range survey.Broken {
		if i == 10 {
			break
		}
		k.all = append(k.all, checked{
			Status: "warn", Area: area, Code: "documents_parked",
			Text: fmt.Sprintf("%s: %d of %d documents would be parked: %s (%s), such as %s: %s", flow, b.Documents, survey.Documents, b.Field, b.Rule, b.Key, b.Text),
			Hint: fmt.Sprintf("nubridge mapping try %s '%s' shows its rows", flow, b.Key),
		})
	}
	k.ok(area, "%s: %d documents, %d not selected, %d would be parked", flow, survey.Documents, survey.Filtered, survey.Parked)
}

// remote asks the portal what it demands, which proves address, credentials and clock too. A portal that does not answer gives nil.
func (k *checker) remote(ctx context.Context, name string, e *config.Environment) *mapper.Portal {
	if e.NuORDER.URL == "" {
		return nil
	}
	demands, err := askDemands(ctx, name, e, k.anyProduct(ctx, name), nil)
	k.add("nuorder of "+name, err, "answers to our signature")
	if err != nil {
		k.all = append(k.all, checked{
			Status: "warn", Area: "mapping of " + name, Code: "portal_unread",
			Text: "the portal's schemas are not known: its own required fields, allowed values and warehouses are not checked",
		})
		return nil
	}
	fields := 0
	for _, list := range demands.Fields {
		fields += len(list)
	}
	k.ok("nuorder of "+name, "its schemas define %d fields", fields)
	return demands
}

// anyProduct names a product of ours at NuORDER, which shows the portal's warehouses; empty where there is none yet.
func (k *checker) anyProduct(ctx context.Context, environment string) string {
	store, err := openLedger(ctx, k.cfg)
	if err != nil {
		return "" // the ledger has a finding of its own
	}
	defer store.Close()
	id, err := store.AnyRemoteID(ctx, environment, mapper.Product)
	if err != nil {
		return ""
	}
	return id
}
