package lifecycle

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of the program; a forced stop by a second signal exits with 128 and the signal's number.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2 // usage or configuration
	ExitUnreachable = 3 // a dependency is unreachable
)

// Signals gives a context that ends with the first interrupt or termination; the second one ends the process at once. stop
// takes the handler away and waits for it.
func Signals(parent context.Context, notes io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2) // two are all that count
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-quit:
			return
		case <-signals:
		}
		fmt.Fprintln(notes, "stopping in order; a second signal stops at once")
		cancel()
		select {
		case <-quit:
		case s := <-signals:
			code := 1
			if n, ok := s.(syscall.Signal); ok {
				code = 128 + int(n)
			}
			os.Exit(code)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(quit)
		<-done
		cancel()
	}
}
