package kafkalog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"nubridge/cdc/kafkalog"
	"nubridge/internal/fault"
	sandbox "nubridge/internal/sandbox/kafka"
)

// selfSigned makes the settings of a server and of a client that trusts it.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func TestPublisherAndGroupWorkOverTLSWithEveryLogin(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			serverTLS, clientTLS := selfSigned(t)
			broker, err := sandbox.Start(sandbox.Config{TLS: serverTLS, User: "bridge", Password: "pa55-word", Mechanism: mechanism})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(broker.Close)
			cfg := kafkalog.Config{
				Brokers: broker.Addrs(), TLS: clientTLS, SASL: kafkalog.SASL{Mechanism: mechanism, User: "bridge", Password: "pa55-word"},
			}
			client, err := kafkalog.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			w := &world{broker: broker, client: client}
			w.topic(t, "a", 2)
			p := open(t, client, kafkalog.PublisherConfig{}, "a")
			sent := events("a", 0, 200, 20)
			allAcked(t, pump(t, p, sent, 50))
			checkRecords(t, sent, contents(t, client, len(sent), "a"))

			cfg.SASL.Password, cfg.Timeout = "wr0ng-word", time.Second
			wrong, err := kafkalog.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(wrong.Close)
			err = wrong.Ping(soon(t))
			if code := fault.CodeOf(err); code != "kafka_auth" && code != "kafka_unreachable" {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "w0rd") || strings.Contains(err.Error(), "wr0ng-word") {
				t.Fatalf("the password is in the error: %v", err)
			}
		})
	}
}
