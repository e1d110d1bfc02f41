package oms_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nubridge/orders/oms"
)

// answering makes a client of a server that answers every call the same way.
func answering(t *testing.T, handler http.HandlerFunc) *oms.Client {
	t.Helper()
	h := httptest.NewServer(handler)
	t.Cleanup(h.Close)
	return clientAt(t, h.URL)
}

func clientAt(t testing.TB, url string) *oms.Client {
	t.Helper()
	client, err := oms.New(compile(t, referenceMapping), noDatabase{}, nil, oms.Config{URL: url, Timeout: 2 * time.Second, MaxAnswer: 1000, BreakAfter: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func draftOf(t testing.TB, c *oms.Client) oms.Draft {
	t.Helper()
	d, err := c.Draft(oms.Order{Environment: "sandbox", Reference: "sandbox:1", JSON: []byte(sampleOrder)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryStatusMeansOneThing(t *testing.T) {
	t.Parallel()
	want := func(status int) oms.Outcome {
		switch {
		case status == 201:
			return oms.Created
		case status == 409:
			return oms.Duplicate
		case status == 401, status == 403, status >= 300 && status < 400:
			return oms.Again
		case status == 408, status == 425, status == 429, status < 300, status >= 500:
			return oms.Lost
		}
		return oms.Refused
	}
	var now atomic.Int64
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		status := int(now.Load())
		w.WriteHeader(status)
		if status != 204 && status != 304 {
			_, _ = w.Write([]byte(`{"order_no":"7","error":"duplicate"}`))
		}
	})
	draft := draftOf(t, client)
	for status := 200; status < 600; status++ {
		now.Store(int64(status))
		a, err := client.Create(t.Context(), draft)
		if err != nil || a.Outcome != want(status) {
			t.Errorf("status %d: %+v %v, want %s", status, a, err, want(status))
		}
	}
}

func TestBodiesThatTellNothingAreNoSuccess(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"empty":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) },
		"plain text": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); _, _ = w.Write([]byte("ok")) },
		"no number": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"order_no":null}`))
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"order_no":"7"}`))
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"order_no":"7","x":"` + strings.Repeat("x", 2000) + `"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := answering(t, handler)
			if a, err := client.Create(t.Context(), draftOf(t, client)); err != nil || a.Outcome != oms.Lost {
				t.Errorf("%+v %v", a, err)
			}
			if found, err := client.Search(t.Context(), draftOf(t, client)); err == nil {
				t.Errorf("a search that tells nothing gave %v: the order would be created again", found)
			}
		})
	}
}

func TestCreateIsSentOnceWhateverBreaks(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				if r.Method == http.MethodPost {
					requests.Add(1)
				}
			}()
		}
	}()
	client := clientAt(t, "http://"+l.Addr().String())
	a, err := client.Create(t.Context(), draftOf(t, client))
	if err != nil || a.Outcome != oms.Lost || requests.Load() != 1 {
		t.Errorf("%+v %v after %d requests", a, err, requests.Load())
	}
	_ = l.Close()
	if a, err = client.Create(t.Context(), draftOf(t, client)); err != nil || a.Outcome != oms.Again || !a.Everyone {
		t.Errorf("nobody listens: %+v %v", a, err)
	}
}

func TestMappingMistakesAreFoundWithTheirPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"create:\n  path: /x\n  body: {a: reference}\n  number: answer.no\n":                                                                  `no entry "answers"`,
		"create:\n  path: /x\n  bodyy: {}\n  body: {a: referenc}\n  number: answer.no\n  answers: {created: status == 201}\n":                 `unknown entry "bodyy"`,
		"create:\n  path: /x/{reference\n  body: {a: reference}\n  number: answer.no\n  answers: {created: status == 201}\n":                  "brace",
		"create:\n  path: /x\n  headers: {Idempotency-Key: reference}\n  body: {a: reference}\n  number: 1\n  answers: {created: true}\n":     "twice by itself",
		"create:\n  path: /x\n  body: {a: referenc}\n  number: answer.no\n  answers: {created: status == 201}\n":                              "referenc",
		"create:\n  path: /x\n  body: {a: reference}\n  number: answer.no\n  answers: {created: status == 201}\nchecks: [{name: a, text: b}]": "what it checks",
	} {
		_, findings := oms.Compile("orders_in.yaml", []byte(text))
		if !findings.HasErrors() || !strings.Contains(findings.String(), want) {
			t.Errorf("%q\ngave %s, want %q", text, findings, want)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(201, []byte(`{"order_no":"7"}`))
	f.Add(409, []byte(`{"error":"duplicate","order_no":1e999999999}`))
	f.Add(422, []byte(`{"reasons":[{"message":"x"},7,null]}`))
	var status int
	var body []byte
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	f.Cleanup(h.Close)
	client := clientAt(f, h.URL)
	draft := draftOf(f, client)
	f.Fuzz(func(t *testing.T, s int, b []byte) {
		if s < 200 || s > 599 || s == 204 || s == 304 {
			return
		}
		status, body = s, b
		a, err := client.Create(t.Context(), draft)
		if err == nil && a.Outcome == oms.Created && (a.Number == "" || s != 201) {
			t.Errorf("status %d with %q was taken for a success: %+v", s, b, a)
		}
		_, _ = client.Search(t.Context(), draft)
	})
}
