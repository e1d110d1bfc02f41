//go:build linux || darwin

package pgsource

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pace lets data gather in the socket while changes come quickly. The server sends message by message; a reader that waits on the
// socket is woken by each, which costs the server as much as the sending, and us more than the change does. While much comes, we
// therefore look at the socket only when enough is there or a little time has passed; when little comes, every message is taken at
// once.
type pace struct {
	raw   syscall.RawConn
	gear  gear
	since time.Time
	bytes int
}

// gear is how much comes.
type gear int

const (
	quiet  gear = iota
	steady      // small commits, many a second
	busy        // a backlog
)

// How the pace is chosen: from steadyRate and busyRate bytes a second on, the reader waits for gather bytes, at most for a time.
const (
	steadyRate = 256 << 10
	steadyTime = 2500 * time.Microsecond
	busyRate   = 2 << 20
	busyTime   = time.Millisecond
	gather     = 96 << 10
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
	rate := int64(p.bytes) * int64(time.Second) / int64(passed)
	switch {
	case passed >= 10*rateWindow:
		p.shift(quiet)
	case rate > busyRate:
		p.shift(busy)
	case rate > steadyRate:
		p.shift(steady)
	default:
		p.shift(quiet)
	}
	p.since, p.bytes = now, 0
}

// shift changes the gear. The socket tells of less than gather bytes only in quiet.
func (p *pace) shift(to gear) {
	if (to == quiet) != (p.gear == quiet) {
		least := 1
		if to != quiet {
			least = gather
		}
		_ = p.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, least) })
	}
	p.gear = to
}

// wait blocks until enough has gathered or the time is over; when the pace is quiet it returns at once.
func (p *pace) wait(conn net.Conn, next time.Time) error {
	if p == nil || p.gear == quiet {
		return nil
	}
	patience := busyTime
	if p.gear == steady {
		patience = steadyTime
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
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
	nothing := false
	_ = p.raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), fionread)
		nothing = err == nil && n == 0
	})
	if nothing {
		p.shift(quiet) // a read would wait for gather bytes, though a single message comes
	}
	return conn.SetReadDeadline(next)
}
