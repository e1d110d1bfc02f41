package nuorder_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"nubridge/internal/fault"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/sink/nuorder"
)

// Whatever stands in a path or a query, a verifier written by somebody else computes the same signature.
func TestAnyPathAndQueryIsSignedAsTheVerifierReadsIt(t *testing.T) {
	t.Parallel()
	standard := newWorld(t, func(s *portal.Switches) { s.Signatures = "S" }, nil)
	legacy := newWorld(t, func(s *portal.Switches) { s.Signatures = "L" }, func(c *nuorder.Config) { c.Signature = nuorder.Legacy })
	rapid.Check(t, func(rt *rapid.T) {
		code := rapid.StringN(1, 30, -1).Draw(rt, "code")
		day := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "day"), 0)
		for name, w := range map[string]*world{"standard": standard, "legacy": legacy} {
			if _, err := w.client.CompanyByCode(t.Context(), code); fault.CodeOf(err) != nuorder.CodeNotFound {
				rt.Fatalf("%s, code %q: %v", name, code, err)
			}
		}
		if _, err := standard.client.OrderIDsBetween(t.Context(), day, day); err != nil {
			rt.Fatal(err)
		}
	})
	if _, err := legacy.client.OrderIDsBetween(t.Context(), time.Now(), time.Now()); fault.CodeOf(err) != nuorder.CodeSigning {
		t.Fatalf("a query in the older form: %v", err)
	}
}

// One wrong byte in a secret or a token is one clear failure that pauses, and parks nothing.
func TestWrongCredentialsPauseWithAHint(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*nuorder.Credentials){
		"consumer secret": func(c *nuorder.Credentials) { c.ConsumerSecret = "c&S" },
		"token secret":    func(c *nuorder.Credentials) { c.TokenSecret = "t/S" },
		"token":           func(c *nuorder.Credentials) { c.Token = "tK" },
		"consumer key":    func(c *nuorder.Credentials) { c.ConsumerKey = "cK" },
	} {
		for _, family := range []nuorder.Signature{nuorder.RFC5849, nuorder.Legacy} {
			w := newWorld(t, nil, nil)
			c := w.clientWith(family, change)
			err := c.Ping(t.Context())
			if fault.KindOf(err) != fault.Throttle || fault.CodeOf(err) != nuorder.CodeUnauthorized {
				t.Errorf("%s, %s: %v", name, family, err)
			}
		}
	}
}
