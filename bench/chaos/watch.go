package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

// watch follows NuORDER's journal and its orders while a scenario runs.
type watch struct {
	w     *world
	since uint64
	// newest is the newest revision that an object was ever seen to hold.
	newest map[string]int64
	// reordered are objects that went back to an older revision. // I3
	reordered []string
	// early are orders that were processed before the OMS had them. // I5
	early []string
}

func newWatch(w *world) *watch { return &watch{w: w, newest: map[string]int64{}} }

func (v *watch) run(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			v.look(ctx)
		}
	}
}

func (v *watch) look(ctx context.Context) {
	for _, e := range v.w.NuORDER.Journal(nuorder.JournalQuery{Since: v.since}) {
		v.since = max(v.since, e.Done)
		v.call(e)
	}
	state, err := v.w.NuORDER.State("")
	if err != nil {
		return
	}
	refs, err := v.w.references(ctx)
	if err != nil {
		return // the database is away
	}
	for _, o := range state.Orders {
		id, status := fmt.Sprint(o["_id"]), fmt.Sprint(o["status"])
		if v.w.desk != nil && v.w.desk.isPlaced(id) && (status == "processed" || status == "shipped") && refs[id] == 0 {
			v.early = append(v.early, id)
		}
	}
}

// last is the last call that ended.
func (v *watch) last() uint64 {
	var last uint64
	for _, e := range v.w.NuORDER.Journal(nuorder.JournalQuery{}) {
		last = max(last, e.Done)
	}
	return last
}

var revision = regexp.MustCompile(`rev (\d+)`)

func (v *watch) call(e nuorder.Entry) {
	if !e.Committed || e.Method == "GET" || strings.Contains(e.Path, "inventory") {
		return
	}
	m := revision.FindStringSubmatch(e.Request)
	if m == nil || len(e.Objects) == 0 {
		return
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	object := e.Objects[0]
	if n < v.newest[object] {
		v.reordered = append(v.reordered, fmt.Sprintf("%s from revision %d to %d by call %d (fault %q)", object, v.newest[object], n, e.Seq, e.Fault))
	}
	v.newest[object] = n
}

// references counts OMS orders by the NuORDER _id in their reference.
func (w *world) references(ctx context.Context) (map[string]int, error) {
	rows, err := w.Pool.Query(ctx, "select split_part(external_ref, ':', 2), count(*)::int from oms.sales_orders where external_ref is not null group by 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		out[id] = n
	}
	return out, rows.Err()
}
