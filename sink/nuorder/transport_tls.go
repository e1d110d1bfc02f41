package nuorder

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// isCertificate tells whether the far end could not prove who it is.
func isCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}

// withoutAddress keeps what went wrong on the network and drops between which addresses.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return &opError{op: op.Op, err: op.Err}
	}
	return err
}

// opError is a network error without addresses.
type opError struct {
	op  string
	err error
}

// Error gives operation and cause.
func (e *opError) Error() string { return e.op + ": " + e.err.Error() }

// Unwrap gives the cause.
func (e *opError) Unwrap() error { return e.err }
