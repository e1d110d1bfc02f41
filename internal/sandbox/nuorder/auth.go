package nuorder

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// identity is who made a call: the portal, the signature family and the token used.
type identity struct {
	portal *portal
	family string
	token  string
	header authHeader
}

// refusal is why a call is not let in. Message is what the caller reads, reason is for the journal.
type refusal struct{ message, reason string }

const badSignature = "Signature is not correct"

// authenticate verifies the header of a call. Order matters: a nonce is only used up by a call whose signature is right.
func (s *Server) authenticate(r *http.Request, body []byte, sw *Switches, now time.Time) (identity, *refusal) {
	h, err := parseAuth(r.Header.Get("Authorization"))
	if err != nil {
		return identity{}, &refusal{"Authorization header is missing or malformed", err.Error()}
	}
	if sw.RequireQuotes && !h.quoted {
		return identity{}, &refusal{"Authorization header is missing or malformed", "values are not quoted"}
	}
	p := s.byKey[h.val["oauth_consumer_key"]]
	if p == nil {
		return identity{}, &refusal{"Consumer key is not known", "unknown consumer key"}
	}
	id := identity{portal: p, token: h.val["oauth_token"], header: h}
	if h.val["oauth_signature_method"] != "HMAC-SHA1" || (h.val["oauth_version"] != "1.0" && h.val["oauth_version"] != "") {
		return id, &refusal{"Signature method or version is not supported", "method or version"}
	}
	secret, known := p.secretFor(r.URL.Path, id.token)
	if !known {
		return id, &refusal{"Token is not known", "unknown token"}
	}
	sig := h.val["oauth_signature"]
	if isLowerHex(sig, 40) {
		id.family = "L"
	} else {
		id.family = "S"
	}
	if sw.Signatures != "both" && sw.Signatures != id.family {
		return id, &refusal{badSignature, "family " + id.family + " is switched off"}
	}
	if id.family == "L" && !s.verifyL(r, h, p.cfg.ConsumerSecret, secret, sw) {
		return id, &refusal{badSignature, "legacy signature differs"}
	}
	if id.family == "S" && !s.verifyS(r, h, body, p.cfg.ConsumerSecret, secret, sw) {
		return id, &refusal{badSignature, "RFC 5849 signature differs"}
	}
	if ref := p.useNonce(h, sw, now); ref != nil {
		return id, ref
	}
	return id, nil
}

// signedURL is the address that a client signs, without its query.
func (s *Server) signedURL(r *http.Request) (base, query string) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path, query = r.URL.EscapedPath(), r.URL.RawQuery
	}
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/") + path, query
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + path, query
}

func (s *Server) verifyL(r *http.Request, h authHeader, consumerSecret, tokenSecret string, sw *Switches) bool {
	full, query := s.signedURL(r)
	if query != "" {
		switch sw.LegacyQuery {
		case "refuse":
			return false
		case "inside":
			full += "?" + query
		}
	}
	got := h.val["oauth_signature"]
	return sameText(got, signL(legacyString(r.Method, full, h.raw), consumerSecret, tokenSecret)) ||
		sameText(got, signL(legacyString(r.Method, full, h.val), consumerSecret, tokenSecret))
}

func (s *Server) verifyS(r *http.Request, h authHeader, body []byte, consumerSecret, tokenSecret string, sw *Switches) bool {
	full, query := s.signedURL(r)
	base, ok := normalURL(full)
	if !ok {
		return false
	}
	params, err := parseForm(query)
	if err != nil {
		return false
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := parseForm(string(body))
		if err != nil {
			return false
		}
		params = append(params, form...)
	}
	named := false
	for k, v := range h.val {
		switch {
		case k == "oauth_signature" || strings.EqualFold(k, "realm"):
		case k == "application_name":
			named = true
		default:
			params = append(params, param{k, v})
		}
	}
	with := params
	if named {
		with = append(params[:len(params):len(params)], param{"application_name", h.val["application_name"]})
	}
	got := h.val["oauth_signature"]
	if sw.SignedApplicationName != "no" && sameText(got, signS(baseString(r.Method, base, with), consumerSecret, tokenSecret)) {
		return true
	}
	return (sw.SignedApplicationName != "yes" || !named) && sameText(got, signS(baseString(r.Method, base, params), consumerSecret, tokenSecret))
}

// normalURL lower-cases scheme and host and takes the default port away, as RFC 5849 section 3.4.1.2 asks.
func normalURL(full string) (string, bool) {
	u, err := url.Parse(full)
	if err != nil || u.Host == "" {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	}
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, true
}

// secretFor finds the token secret that a call must be signed with.
func (p *portal) secretFor(path, token string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch path {
	case "/api/initiate":
		return "", token == ""
	case "/api/token":
		app := p.apps[token]
		if app == nil {
			return "", false
		}
		return app.secret, true
	}
	secret, ok := p.tokens[token]
	return secret, ok && token != ""
}

// useNonce checks the clock window and takes the nonce, once per token and timestamp.
func (p *portal) useNonce(h authHeader, sw *Switches, now time.Time) *refusal {
	ts, err := strconv.ParseInt(h.val["oauth_timestamp"], 10, 64)
	if err != nil || ts <= 0 {
		return &refusal{"Timestamp is not correct", "timestamp is no number"}
	}
	window := int64(time.Duration(sw.ClockWindow) / time.Second)
	if d := now.Unix() - ts; d > window || d < -window {
		return &refusal{"Timestamp is out of range", "clock differs by " + strconv.FormatInt(d, 10) + " s"}
	}
	nonce := h.val["oauth_nonce"]
	if nonce == "" || (sw.NonceLength > 0 && len(nonce) != sw.NonceLength) {
		return &refusal{"Nonce is not correct", "nonce is empty or of the wrong length"}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Unix() >= p.nonceSweep {
		for t := range p.nonces {
			if t < now.Unix()-window || t > now.Unix()+window {
				delete(p.nonces, t)
			}
		}
		p.nonceSweep = now.Unix() + 30
	}
	at := p.nonces[ts]
	if at == nil {
		at = map[string]bool{}
		p.nonces[ts] = at
	}
	key := h.val["oauth_token"] + " " + nonce
	if at[key] {
		return &refusal{"Nonce was already used", "nonce repeated"}
	}
	at[key] = true
	return nil
}
