package nuorder

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"nubridge/internal/fault"
)

// OutOfBand is the callback that asks the portal to show the verifier to its administrator instead of sending it.
const OutOfBand = "oob"

// tokenAnswer is the answer of both calls of the handshake.
type tokenAnswer struct {
	Token  string `json:"oauth_token"`
	Secret string `json:"oauth_token_secret"`
}

// Initiate asks for a temporary token on behalf of the application. The administrator of the portal then finds the application
// under Admin > API Management, approves it and sees the verifier; a callback URL gets it instead.
func (c *Client) Initiate(ctx context.Context, application, callback string) (Credentials, error) {
	temporary := c.credentials()
	temporary.Token, temporary.TokenSecret = "", ""
	var t tokenAnswer
	err := c.fetch(ctx, &request{
		class: ClassMeta, method: http.MethodGet, route: "initiate", once: true,
		sign: handshakeParams{callback: callback, application: application}, with: &temporary,
	}, &t)
	return exchange(temporary, t, hinted(err, "check the consumer key and secret; a portal of the older kind wants the signature hex"))
}

// Exchange trades the temporary token and the verifier for the token that signs all other calls. It has no known expiry.
func (c *Client) Exchange(ctx context.Context, temporary Credentials, verifier string) (Credentials, error) {
	var t tokenAnswer
	err := c.fetch(ctx, &request{
		class: ClassMeta, method: http.MethodGet, route: "token", once: true,
		sign: handshakeParams{verifier: verifier}, with: &temporary,
	}, &t)
	return exchange(temporary, t, hinted(err, "check the verifier: it belongs to this request, so begin anew and type the one that is shown then"))
}

// hinted says what to look at when the portal refuses a call of the handshake, where there is no token to check yet. A clock that is wrong
// is named before.
func hinted(err error, hint string) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == CodeUnauthorized && e.Hint == statusVerdict(http.StatusUnauthorized).hint {
		e.Hint = hint
	}
	return err
}

func exchange(c Credentials, t tokenAnswer, err error) (Credentials, error) {
	if err != nil {
		return Credentials{}, err
	}
	if t.Token == "" || t.Secret == "" {
		return Credentials{}, fault.New(fault.Retry, CodeUnreadable, "the portal's answer holds no token")
	}
	if strings.ContainsFunc(t.Token+t.Secret, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return Credentials{}, fault.New(fault.Retry, CodeUnreadable, "the portal's answer holds a token with a space, a quote or a character that no header carries")
	}
	c.Token, c.TokenSecret = t.Token, t.Secret
	return c, nil
}
