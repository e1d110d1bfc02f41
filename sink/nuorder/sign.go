package nuorder

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 5849 and NuORDER fix HMAC-SHA1.
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dghubble/oauth1"
)

// Credentials sign requests for one portal. They print as nothing. // I11
type Credentials struct {
	ConsumerKey, ConsumerSecret string
	Token, TokenSecret          string
}

// String hides the credentials.
func (Credentials) String() string { return "<credentials>" }

// GoString hides the credentials.
func (Credentials) GoString() string { return "<credentials>" }

// signer writes the Authorization header of one attempt; the request's URL is final by then.
type signer interface {
	sign(r *http.Request, c Credentials, extra handshakeParams, at time.Time) error
}

// handshakeParams are the parameters that only the handshake's two calls carry.
type handshakeParams struct {
	callback, verifier string
	application        string // signed by RFC 5849 alone
}

func newSigner(c Config) signer {
	if c.Signature == Legacy {
		return legacySigner{bare: c.Dialect.BareHeader}
	}
	return standardSigner{plainName: c.Dialect.PlainApplicationName}
}

// oauthParams are the parameters of one attempt, in the order of NuORDER's own sample.
func oauthParams(c Credentials, extra handshakeParams, at time.Time) [][2]string {
	params := [][2]string{
		{"oauth_consumer_key", c.ConsumerKey},
		{"oauth_token", c.Token},
		{"oauth_timestamp", strconv.FormatInt(at.Unix(), 10)},
		{"oauth_nonce", nonce()},
		{"oauth_version", "1.0"},
		{"oauth_signature_method", "HMAC-SHA1"},
	}
	if extra.callback != "" {
		params = append(params, [2]string{"oauth_callback", extra.callback})
	}
	if extra.verifier != "" {
		params = append(params, [2]string{"oauth_verifier", extra.verifier})
	}
	return params
}

// nonce gives 16 alphanumeric characters, fresh for each attempt.
func nonce() string { return rand.Text()[:16] }

// standardSigner signs by RFC 5849. The digest is the library's; the base string is ours, because the library's drops repeated
// query parameters and takes no clock.
type standardSigner struct {
	plainName bool
}

func (s standardSigner) sign(r *http.Request, c Credentials, extra handshakeParams, at time.Time) error {
	params := oauthParams(c, extra, at)
	name := [2]string{"application_name", extra.application}
	if extra.application != "" && !s.plainName {
		params = append(params, name) // the standard signs every parameter of the header
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("sign: query: %w", err)
	}
	base := baseString(r.Method, r.URL, params, query)
	hmacSigner := oauth1.HMACSigner{ConsumerSecret: c.ConsumerSecret}
	signature, err := hmacSigner.Sign(c.TokenSecret, base)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	params = append(params, [2]string{"oauth_signature", signature})
	if extra.application != "" && s.plainName {
		params = append(params, name)
	}
	header := append(make([]byte, 0, 512), "OAuth "...)
	for i, p := range params {
		if i > 0 {
			header = append(header, ", "...)
		}
		header = append(appendEncoded(header, p[0]), `="`...)
		header = append(appendEncoded(header, p[1]), '"')
	}
	r.Header.Set("Authorization", string(header))
	return nil
}

// appendEncoded escapes a text by RFC 5849, section 3.6: all but the unreserved characters, in capital hexadecimal digits.
func appendEncoded[T string | []byte](dst []byte, text T) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// baseString is the signature base string of RFC 5849, section 3.4.1. JSON bodies are no part of it.
func baseString(method string, u *url.URL, params [][2]string, query url.Values) string {
	pairs := make([]string, 0, len(params)+len(query))
	var scratch [256]byte
	pair := func(name, value string) {
		b := append(appendEncoded(scratch[:0], name), '=')
		pairs = append(pairs, string(appendEncoded(b, value)))
	}
	for _, p := range params {
		pair(p[0], p[1])
	}
	for name, values := range query {
		for _, v := range values {
			pair(name, v)
		}
	}
	// Encoded names and values hold no byte below '=', but "a=" sorts after "a1=" only if names are compared first.
	slices.SortFunc(pairs, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return strings.Compare(av, bv)
	})
	base := append(make([]byte, 0, 640), strings.ToUpper(method)...)
	base = appendEncoded(append(base, '&'), baseURI(u))
	base = append(base, '&')
	for i, p := range pairs {
		if i > 0 {
			base = append(base, "%26"...) // an ampersand, escaped as all of this part is
		}
		base = appendEncoded(base, p)
	}
	return string(base)
}

// baseURI is scheme, host and path as RFC 5849, section 3.4.1.2 wants them: lower case, no default port, no query.
func baseURI(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if p := u.Port(); scheme == "http" && p == "80" || scheme == "https" && p == "443" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path
}

// legacySigner signs in NuORDER's own older form: parts simply joined, parameters in a fixed order, nothing encoded, digest in hex.
type legacySigner struct {
	bare bool
}

func (s legacySigner) sign(r *http.Request, c Credentials, extra handshakeParams, at time.Time) error {
	if r.URL.RawQuery != "" {
		return fmt.Errorf("sign: the older signature form cannot carry a query; use %s", RFC5849)
	}
	params := oauthParams(c, extra, at)
	signed := make([]string, len(params))
	for i, p := range params {
		signed[i] = p[0] + "=" + p[1]
	}
	mac := hmac.New(sha1.New, []byte(c.ConsumerSecret+"&"+c.TokenSecret))
	mac.Write([]byte(strings.ToUpper(r.Method) + r.URL.String() + "?" + strings.Join(signed, "&")))
	params = append(params, [2]string{"oauth_signature", hex.EncodeToString(mac.Sum(nil))})
	if extra.application != "" {
		params = append(params, [2]string{"application_name", extra.application})
	}
	quote := `"`
	if s.bare {
		quote = ""
	}
	parts := make([]string, len(params))
	for i, p := range params {
		if strings.ContainsAny(p[1], "\",\r\n") {
			return fmt.Errorf("sign: %s holds a quote, a comma or a line break, which the older form cannot carry", p[0])
		}
		parts[i] = p[0] + "=" + quote + p[1] + quote
	}
	r.Header.Set("Authorization", "OAuth "+strings.Join(parts, ","))
	return nil
}
