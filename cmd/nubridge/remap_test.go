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
