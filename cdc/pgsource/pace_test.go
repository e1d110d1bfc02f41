//go:build linux || darwin

package pgsource

import (
	"net"
	"testing"
	"time"
)

// TestAMessageAfterABurstIsTakenAtOnce lets much come, then nothing for a while, then a little: that may not wait until there is much
// again.
func TestAMessageAfterABurstIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent := make(chan struct{})
	last := make(chan time.Time, 1)
	taken := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		failed <- func() error {
			server, err := l.Accept()
			if err != nil {
				return err
			}
			defer server.Close()
			block := make([]byte, 64<<10)
			for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
				if _, err := server.Write(block); err != nil {
					return err
				}
			}
			<-silent
			last <- time.Now()
			_, err = server.Write([]byte{1})
			<-taken // an end would wake the reader too
			return err
		}()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	next := time.Now().Add(10 * time.Second)
	if err := conn.SetReadDeadline(next); err != nil {
		t.Fatal(err)
	}
	p := newPace(conn)
	told := false
	type piece struct {
		last byte
		gear gear
	}
	read := make(chan piece)
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, gulp)
		for {
			if err := p.wait(conn, next); err != nil {
				ended <- err
				return
			}
			n, err := conn.Read(buf)
			if err != nil {
				ended <- err
				return
			}
			p.took(n, time.Now())
			read <- piece{buf[n-1], p.gear}
		}
	}()
	before := quiet
	for {
		select {
		case err := <-ended:
			t.Fatal(err)
		case now := <-read:
			if now.last == 1 {
				close(taken)
				if late := time.Since(<-last); late > time.Second {
					t.Fatalf("it was taken after %v", late)
				}
				if before != busy {
					t.Fatal("the burst was not taken for one")
				}
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
				return
			}
			before = now.gear
		case <-time.After(300 * time.Millisecond):
			if told {
				continue
			}
			told = true
			close(silent)
		}
	}
}
