package oms_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nubridge/orders/oms"
)

func TestEachKindOfCredentialsIsSentAndNeverPrinted(t *testing.T) {
	t.Parallel()
	for kind, c := range map[string]struct {
		auth         oms.Auth
		header, want string
	}{
		"none":    {oms.Auth{Kind: "none"}, "Authorization", ""},
		"basic":   {oms.Auth{Kind: "basic", Username: "me", Password: "canary"}, "Authorization", "Basic bWU6Y2FuYXJ5"},
		"bearer":  {oms.Auth{Kind: "bearer", Token: "canary"}, "Authorization", "Bearer canary"},
		"api_key": {oms.Auth{Kind: "api_key", Key: "canary", Header: "X-Key"}, "X-Key", "canary"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got <- r.Header.Get(c.header)
				w.WriteHeader(http.StatusUnauthorized)
			}))
			defer h.Close()
			client, err := oms.New(compile(t, referenceMapping), noDatabase{}, nil, oms.Config{URL: h.URL, Auth: c.auth})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			a, err := client.Create(t.Context(), draftOf(t, client))
			if g := <-got; g != c.want {
				t.Errorf("sent %q, want %q", g, c.want)
			}
			if err != nil || a.Outcome != oms.Again || !a.Everyone {
				t.Errorf("refused credentials are the order's fault: %+v %v", a, err)
			}
			if text := fmt.Sprintf("%v %+v %#v %v %+v", c.auth, c.auth, c.auth, a, oms.Config{Auth: c.auth}); strings.Contains(text, "canary") {
				t.Errorf("a secret is printed: %s", text)
			}
		})
	}
}

func TestClientCertificateIsShown(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	caKey, ca := certificate(t, nil, nil, true)
	key, cert := certificate(t, ca, caKey, false)
	keyText, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"order_no":%q}`, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	h.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
	}
	h.StartTLS()
	defer h.Close()
	files := oms.TLS{CAFile: write("ca.pem", "CERTIFICATE", ca.Raw), CertFile: write("cert.pem", "CERTIFICATE", cert.Raw), KeyFile: write("key.pem", "PRIVATE KEY", keyText)}
	client, err := oms.New(compile(t, referenceMapping), noDatabase{}, nil, oms.Config{URL: h.URL, Auth: oms.Auth{Kind: "mtls"}, TLS: files})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a, err := client.Create(t.Context(), draftOf(t, client)); err != nil || a.Outcome != oms.Created || a.Number != "bridge" {
		t.Errorf("%+v %v", a, err)
	}
	// Without the authority the handshake fails: nothing was sent, and nothing is in doubt.
	files.CAFile = ""
	if client, err = oms.New(compile(t, referenceMapping), noDatabase{}, nil, oms.Config{URL: h.URL, Auth: oms.Auth{Kind: "mtls"}, TLS: files}); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a, err := client.Create(t.Context(), draftOf(t, client)); err != nil || a.Outcome != oms.Again {
		t.Errorf("an unknown authority: %+v %v", a, err)
	}
}

// certificate makes a key with its certificate, signed by the parent or by itself.
func certificate(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, ca bool) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "bridge"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true, DNSNames: []string{"localhost"},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	template.IPAddresses = append(template.IPAddresses, []byte{127, 0, 0, 1})
	signer, signerKey := template, key
	if parent != nil {
		signer, signerKey = parent, parentKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signerKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}
