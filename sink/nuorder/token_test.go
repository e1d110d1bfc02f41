package nuorder

import (
	"strings"
	"testing"

	"nubridge/internal/fault"
)

// A token that no header carries is refused when it is told, not at each call that it would spoil.
func TestATokenThatNoHeaderCarriesIsRefused(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"Gq3D4f6h8J0k2L4m": true, "a/b+c=-._~&%": true, "": false, "to\nken": false, "to ken": false, `to"ken`: false, "tokén": false, "to\x00ken": false,
	} {
		for _, answer := range []tokenAnswer{{Token: text, Secret: "secret"}, {Token: "token", Secret: text}} {
			got, err := exchange(Credentials{ConsumerKey: "ck"}, answer, nil)
			switch {
			case ok && (err != nil || got.Token != answer.Token || got.TokenSecret != answer.Secret):
				t.Errorf("%q: got %v", text, err)
			case !ok && (fault.CodeOf(err) != CodeUnreadable || got.Token != ""):
				t.Errorf("%q: taken, %v", text, err)
			case !ok && text != "" && strings.Contains(err.Error(), text):
				t.Errorf("%q is shown: %v", text, err)
			}
		}
	}
}
