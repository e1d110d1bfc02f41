//go:build !unix

package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

type account struct{}

// String gives the name.
func (a *account) String() string { return "ourselves" }

func serverAccount() (*account, error) {
	return nil, errors.New("the embedded PostgreSQL server runs on Linux and macOS only; give the address of a running server instead")
}

func (a *account) dress(*exec.Cmd)     {}
func (a *account) own(string) error    { return nil }
func (a *account) ownAll(string) error { return nil }
func (a *account) reaches(string) bool { return true }

func lock(context.Context, string) (func(), error) { return func() {}, nil }

var (
	fastStop  = os.Interrupt
	crashStop = os.Kill
)

func ownedByUs(string) error { return nil }
