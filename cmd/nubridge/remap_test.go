package main

import (
	"fmt"
	"testing"

	"nubridge/mapper"
)

func TestKeySetRemembersTheFirstKeys(t *testing.T) {
	t.Parallel()
	s := newKeySet(100)
	for i := range 150 {
		s.add(mapper.Key(fmt.Sprint(i)))
	}
	for i := range 150 {
		if got, want := s.has(mapper.Key(fmt.Sprint(i))), i < 100; got != want {
			t.Fatalf("key %d is remembered: %t, want %t", i, got, want)
		}
	}
}

func TestWhatAChangedMappingAsksFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last, documents, warehouses string
		want                        mappingChange
	}{
		"the first start":                  {"", "d1", "", changedNothing},
		"nothing":                          {"d1w1", "d1", "w1", changedNothing},
		"nothing, without warehouses":      {"d1", "d1", "", changedNothing},
		"another mapping":                  {"d1w1", "d2", "w1", changedDocuments},
		"another mapping, and warehouses":  {"d1w1", "d2", "w2", changedDocuments},
		"warehouses that become known":     {"d1", "d1", "w1", changedNothing},
		"warehouses that come or go":       {"d1w1", "d1", "w2", changedWarehouses},
		"warehouses that nobody tells now": {"d1w1", "d1", "", changedWarehouses},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last []byte
			if c.last != "" {
				last = []byte(c.last)
			}
			if got := whatChanged(last, []byte(c.documents), []byte(c.warehouses)); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
