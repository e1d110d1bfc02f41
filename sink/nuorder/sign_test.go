package nuorder

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"
)

// The example of RFC 5849, section 3.4.1.1.
func TestBaseStringIsThatOfTheStandardsExample(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b")
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Add("c2", "")
	query.Add("a3", "2 q")
	params := [][2]string{
		{"oauth_consumer_key", "9djdj82h48djs9d2"},
		{"oauth_token", "kkk9d7dh3k39sjv7"},
		{"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "137131201"},
		{"oauth_nonce", "7d8f3e4a"},
	}
	want := "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := baseString("post", u, params, query); got != want {
		t.Fatalf("base string\n got %s\nwant %s", got, want)
	}
}

// The vectors of section 3.4.1.2.
func TestBaseURIDropsDefaultPortsOnly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://EXAMPLE.COM:80/r%20v/X?id=123": "http://example.com/r%20v/X",
		"https://www.example.net:8080/?q=1":    "https://www.example.net:8080/",
		"https://h:443/a":                      "https://h/a",
		"https://h:80/a":                       "https://h:80/a",
		"https://h":                            "https://h/",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := baseURI(u); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// What is escaped and how is the library's idea too.
func TestEncodingIsThatOfTheLibrary(t *testing.T) {
	t.Parallel()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, text := range []string{"", string(every), "a b/ü~"} {
		if got, want := string(appendEncoded(nil, text)), oauth1.PercentEncode(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

var testCredentials = Credentials{ConsumerKey: "ck", ConsumerSecret: "c&s", Token: "tk", TokenSecret: "t/s"}

func header(t *testing.T, s signer, method, target string, extra handshakeParams) map[string]string {
	t.Helper()
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sign(r, testCredentials, extra, time.Unix(1_500_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, part := range regexp.MustCompile(`(\w+)="?([^",]*)"?`).FindAllStringSubmatch(strings.TrimPrefix(r.Header.Get("Authorization"), "OAuth "), -1) {
		got[part[1]] = part[2]
	}
	return got
}

// A verifier written from the facts alone: fixed order, nothing encoded, raw key, lower-case hex.
func TestLegacySignatureIsWhatThePortalsSampleComputes(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]handshakeParams{"call": {}, "initiate": {callback: "oob", application: "bridge"}, "token": {verifier: "0123456789abcdef"}} {
		for _, bare := range []bool{false, true} {
			h := header(t, legacySigner{bare: bare}, "get", "https://sandbox1.nuorder.com/api/company/code/A%20B", extra)
			text := "GEThttps://sandbox1.nuorder.com/api/company/code/A%20B?oauth_consumer_key=ck&oauth_token=tk&oauth_timestamp=1500000000&oauth_nonce=" +
				h["oauth_nonce"] + "&oauth_version=1.0&oauth_signature_method=HMAC-SHA1"
			if extra.callback != "" {
				text += "&oauth_callback=oob"
			}
			if extra.verifier != "" {
				text += "&oauth_verifier=" + extra.verifier
			}
			mac := hmac.New(sha1.New, []byte("c&s&t/s"))
			mac.Write([]byte(text))
			if want := hex.EncodeToString(mac.Sum(nil)); h["oauth_signature"] != want {
				t.Errorf("%s bare=%v: signature %q, want %q", name, bare, h["oauth_signature"], want)
			}
			if len(h["oauth_nonce"]) != 16 || h["application_name"] != extra.application {
				t.Errorf("%s: nonce %q, application %q", name, h["oauth_nonce"], h["application_name"])
			}
		}
	}
}

func TestStandardSignatureCoversTheQuery(t *testing.T) {
	t.Parallel()
	h := header(t, standardSigner{}, "GET", "https://next.nuorder.com/api/orders/list?start_date=2026-01-02&end_date=a+b", handshakeParams{})
	params := "end_date%3Da%2520b%26oauth_consumer_key%3Dck%26oauth_nonce%3D" + h["oauth_nonce"] +
		"%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D1500000000%26oauth_token%3Dtk%26oauth_version%3D1.0%26start_date%3D2026-01-02"
	mac := hmac.New(sha1.New, []byte("c%26s&t%2Fs"))
	mac.Write([]byte("GET&https%3A%2F%2Fnext.nuorder.com%2Fapi%2Forders%2Flist&" + params))
	want := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if h["oauth_signature"] != want {
		t.Fatalf("signature %q, want %q", h["oauth_signature"], want)
	}
}

func TestLegacyRefusesAQuery(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest(http.MethodGet, "https://h/api/x?a=b", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := (legacySigner{}).sign(r, testCredentials, handshakeParams{}, time.Unix(0, 0)); err == nil {
		t.Fatal("a query was signed in the older form")
	}
}
