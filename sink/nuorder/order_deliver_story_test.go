package nuorder_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nubridge/internal/fault"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

// TestOrderStories plays the stories of testdata/orders against the portal, with arrays replaced and merged. The commands:
//
//	import KEY S M            a buyer's order of S and M pieces, imported as OMS order KEY and marked
//	stranger NUMBER           a buyer's order that somehow has this number
//	edits KEY LINES [cancelled]    the edits flow gets OMS order KEY with these lines, such as S=2,M=3
//	creation KEY LINES [DATE] the creation flow gets it, as an order born in the OMS
//	bornedits KEY LINES       the edits flow gets an order born in the OMS
//	shipments KEY SHIPMENTS   the shipments flow gets it, such as T1:S=1,M=2/T2:M=1; for an order born in the OMS bornshipments
//	deleted KEY               the edits flow gets it gone from the OMS
//	nuorder KEY               prints the order as NuORDER has it
//
// Each delivery prints what came of it and the calls that were made.
func TestOrderStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/orders/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("stories: %v %v", files, err)
	}
	for _, file := range files {
		for name, merge := range map[string]bool{"replace": false, "merge": true} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := &story{orderWorld: newOrderWorld(t, merge, nil), ids: map[string]string{}}
				testscript.Run(t, testscript.Params{
					Files: []string{file}, RequireExplicitExec: true, Cmds: s.commands(),
					Condition: func(cond string) (bool, error) { return cond == name, nil },
				})
			})
		}
	}
}

// story is a world with the _ids of its orders by OMS number.
type story struct {
	*orderWorld
	ids  map[string]string
	seen uint64
}

func (s *story) commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	flow := func(f mapper.Flow, born bool, body func(args []string) string) func(ts *testscript.TestScript, neg bool, args []string) {
		return func(ts *testscript.TestScript, _ bool, args []string) {
			facts := map[string]string{"reference": "test:" + s.ids[args[0]], "date": "2026-11-01"}
			if born {
				facts["reference"] = ""
			}
			for _, a := range args[2:] {
				if a == "cancelled" {
					facts["cancelled"] = "true"
				} else {
					facts["date"] = a
				}
			}
			s.play(ts, f, args[0], body(args), facts)
		}
	}
	order := func(args []string) string { return orderBody(args[0], linesOf(args[1])...) }
	ships := func(args []string) string { return shipmentsOf(args[1]) }
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"import": func(ts *testscript.TestScript, _ bool, args []string) {
			id, _ := s.importedOf(args[0], number(args[1]), number(args[2]))
			s.ids[args[0]] = id
			s.calls()
		},
		"stranger": func(ts *testscript.TestScript, _ bool, args []string) {
			id, _ := s.place(1, 1)
			_, err := s.client.UpdateOrder(s.t.Context(), id, []byte(`{"order_number":"`+args[0]+`"}`))
			ts.Check(err)
			s.calls()
		},
		"edits":         flow(mapper.OrderEdits, false, order),
		"bornedits":     flow(mapper.OrderEdits, true, order),
		"creation":      flow(mapper.OrderCreation, true, order),
		"shipments":     flow(mapper.Shipments, false, ships),
		"bornshipments": flow(mapper.Shipments, true, ships),
		"deleted": func(ts *testscript.TestScript, _ bool, args []string) {
			s.play(ts, mapper.OrderEdits, args[0], "", nil)
		},
		"nuorder": func(ts *testscript.TestScript, _ bool, args []string) {
			o, err := s.client.OrderByNumber(s.t.Context(), args[0])
			if nuorder.IsNotFound(err) {
				_, _ = fmt.Fprintln(ts.Stdout(), "not there")
				return
			}
			ts.Check(err)
			s.calls()
			_, _ = fmt.Fprintf(ts.Stdout(), "status=%s units=%s shipments=%d\n", o.Status, s.units(string(o.ID)), len(o.Shipments))
			s.calls()
		},
	}
}

// play delivers and prints.
func (s *story) play(ts *testscript.TestScript, flow mapper.Flow, key, body string, facts map[string]string) {
	d, err := s.turn(flow, key, body, facts)
	if err != nil {
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Reject {
			ts.Fatalf("%s %s: %v", flow, key, err)
		}
		_, _ = fmt.Fprintf(ts.Stdout(), "parked %s: %s\n", e.Code, e.Error())
	} else {
		_, _ = fmt.Fprintln(ts.Stdout(), d.Disposition)
	}
	for _, call := range s.calls() {
		_, _ = fmt.Fprintln(ts.Stdout(), call)
	}
}

// calls gives the calls since the last time, _ids left out.
func (s *story) calls() []string {
	var out []string
	for _, e := range s.server.Journal(portal.JournalQuery{Since: s.seen}) {
		s.seen = e.Done
		path := e.Path
		for _, id := range s.ids {
			path = strings.ReplaceAll(path, id, "{id}")
		}
		out = append(out, e.Method+" "+path)
	}
	return out
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err) // a story is part of the test
	}
	return n
}

// linesOf reads S=2,M=3; a size that is not named is no line.
func linesOf(text string) []string {
	s, m := -1, -1
	for part := range strings.SplitSeq(text, ",") {
		size, q, _ := strings.Cut(part, "=")
		if size == "S" {
			s = number(q)
		} else {
			m = number(q)
		}
	}
	return []string{line(s, m)}
}

// shipmentsOf reads T1:S=1,M=2/T2:M=1, or none.
func shipmentsOf(text string) string {
	if text == "none" {
		return shipments()
	}
	var list []string
	for one := range strings.SplitSeq(text, "/") {
		tracking, sizes, _ := strings.Cut(one, ":")
		s, m := 0, 0
		for part := range strings.SplitSeq(sizes, ",") {
			size, q, _ := strings.Cut(part, "=")
			if size == "S" {
				s = number(q)
			} else {
				m = number(q)
			}
		}
		list = append(list, shipment(tracking, s, m))
	}
	return shipments(list...)
}
