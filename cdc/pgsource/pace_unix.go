//go:build linux || darwin

package pgsource

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pace lets data gather in the socket while the stream is busy. The server sends message by message; a reader that waits
// on the socket is woken by each, which costs the server as much as the sending. While much comes, we therefore look at the
// socket only when enough is there or a millisecond has passed; when little comes, every message is taken at once.
type pace struct {
	raw   syscall.RawConn
	busy  bool
	since time.Time
	bytes int
}

// How the pace is chosen: from busyRate bytes a second on, the reader waits for gather bytes, at most gatherTime.
const (
	busyRate   = 2 << 20
	gather     = 96 << 10
	gatherTime = time.Millisecond
	rateWindow = 4 * time.Millisecond
)

// newPace gives nil where the connection has no socket that can be asked.
func newPace(conn net.Conn) *pace {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return &pace{raw: raw}
}

// took counts what was read and decides on the pace.
func (p *pace) took(n int, now time.Time) {
	if p == nil {
		return
	}
	p.bytes += n
	passed := now.Sub(p.since)
	if passed < rateWindow {
		return
	}
	busy := passed < 10*rateWindow && int64(p.bytes)*int64(time.Second) > busyRate*int64(passed)
	if busy != p.busy {
		p.busy = busy
		least := 1
		if busy {
			least = gather
		}
		_ = p.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, least) })
	}
	p.since, p.bytes = now, 0
}

// wait blocks until enough has gathered or the time is over; when the pace is quiet it returns at once.
func (p *pace) wait(conn net.Conn, next time.Time) error {
	if p == nil || !p.busy {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(gatherTime)); err != nil {
		return err
	}
	waited := false
	_ = p.raw.Read(func(fd uintptr) bool {
		if waited {
			return true
		}
		waited = true
		n, err := unix.IoctlGetInt(int(fd), fionread)
		return err != nil || n >= gather
	})
	return conn.SetReadDeadline(next)
}
