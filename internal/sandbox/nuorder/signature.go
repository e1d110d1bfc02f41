package nuorder

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// authHeader is a parsed Authorization header: parameters as they stand on the wire and percent-decoded.
type authHeader struct {
	raw, val map[string]string
	quoted   bool
}

// parseAuth reads an OAuth header. Its scheme may be spelled in any case, values may stand in quotes or not.
func parseAuth(h string) (authHeader, error) {
	a := authHeader{raw: map[string]string{}, val: map[string]string{}, quoted: true}
	scheme, rest, ok := strings.Cut(strings.TrimSpace(h), " ")
	if !ok || !strings.EqualFold(scheme, "OAuth") {
		return a, errors.New("the Authorization header is not of scheme OAuth")
	}
	for _, part := range splitParams(rest) {
		key, value, ok := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" {
			return a, errors.New("the Authorization header has a parameter without a value")
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		} else {
			a.quoted = false
		}
		if strings.ContainsRune(value, '"') {
			return a, errors.New("the Authorization header has a stray quote")
		}
		if _, twice := a.raw[key]; twice {
			return a, errors.New("the Authorization header has a parameter twice")
		}
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return a, errors.New("the Authorization header is not percent-encoded correctly")
		}
		name, err := url.PathUnescape(key)
		if err != nil || name != key {
			return a, errors.New("the Authorization header has an encoded parameter name")
		}
		a.raw[key], a.val[key] = value, decoded
	}
	return a, nil
}

// splitParams cuts at commas outside quotes.
func splitParams(s string) []string {
	var parts []string
	start, inside := 0, false
	for i := range len(s) {
		switch s[i] {
		case '"':
			inside = !inside
		case ',':
			if !inside {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}

// param is one decoded name and value of a query, form or header.
type param struct{ key, value string }

// encode3986 percent-encodes all but unreserved characters, as RFC 5849 section 3.6 asks.
func encode3986(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// parseForm reads name=value pairs of a query or a form; plus means space.
func parseForm(s string) ([]param, error) {
	var out []param
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(k)
		if err != nil {
			return nil, err
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			return nil, err
		}
		out = append(out, param{key, value})
	}
	return out, nil
}

// baseString builds the string that RFC 5849 section 3.4.1 signs.
func baseString(method, baseURL string, params []param) string {
	pairs := make([][2]string, len(params))
	for i, p := range params {
		pairs[i] = [2]string{encode3986(p.key), encode3986(p.value)}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	joined := make([]string, len(pairs))
	for i, p := range pairs {
		joined[i] = p[0] + "=" + p[1]
	}
	return strings.ToUpper(method) + "&" + encode3986(baseURL) + "&" + encode3986(strings.Join(joined, "&"))
}

// signS is the RFC 5849 signature of a base string.
func signS(base, consumerSecret, tokenSecret string) string {
	m := hmac.New(sha1.New, []byte(encode3986(consumerSecret)+"&"+encode3986(tokenSecret)))
	m.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// legacyString builds the string that the portal's older form signs: fixed order, nothing encoded, no separators.
func legacyString(method, fullURL string, p map[string]string) string {
	var b strings.Builder
	b.WriteString(strings.ToUpper(method) + fullURL + "?")
	for i, k := range []string{"oauth_consumer_key", "oauth_token", "oauth_timestamp", "oauth_nonce", "oauth_version", "oauth_signature_method"} {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(k + "=" + p[k])
	}
	for _, k := range []string{"oauth_callback", "oauth_verifier"} {
		if v, ok := p[k]; ok {
			b.WriteString("&" + k + "=" + v)
		}
	}
	return b.String()
}

// signL is the older form's signature: lower-case hex under raw secrets.
func signL(text, consumerSecret, tokenSecret string) string {
	m := hmac.New(sha1.New, []byte(consumerSecret+"&"+tokenSecret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func sameText(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

func isLowerHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
