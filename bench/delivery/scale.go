package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

// cell is one measure of scale.
type cell struct{ environments, instances int }

func cells() []cell {
	return []cell{{1, 1}, {1, 2}, {1, 3}, {2, 1}, {3, 1}, {5, 1}, {3, 3}, {5, 3}}
}

// scale loads so many empty portals at once by so many instances, each portal allowing half the rate of the other parts, from
// the records that Kafka holds.
func (w *world) scale(ctx context.Context, _ *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	for _, c := range cells() {
		if err := w.cell(ctx, c); err != nil {
			return fmt.Errorf("%d environments, %d instances: %w", c.environments, c.instances, err)
		}
	}
	return nil
}

func (w *world) cell(ctx context.Context, c cell) (err error) {
	life, stop := context.WithCancel(ctx)
	defer stop()
	rate := w.s.rate / 2
	portals, servers := map[string]string{}, make([]*nuorder.Server, 0, c.environments)
	for i := range c.environments {
		s, url, err := w.portal(life, nuorder.Limits{Rate: rate, Burst: max(int(rate/4), 1), Concurrency: 5, RetryAfter: 1})
		if err != nil {
			return err
		}
		portals[fmt.Sprintf("scale%dx%dn%d", c.environments, c.instances, i+1)] = url
		servers = append(servers, s)
	}
	if err := w.again(ctx, setup{rate: rate, concurrency: 5, portals: portals}, c.instances); err != nil {
		return err
	}
	begin, before := time.Now(), w.load()
	want := uint64(w.products)
	ideal := float64(2*w.products) / rate
	if err := w.until(ctx, "the load", time.Duration(5*ideal)*time.Second+time.Minute, func() (bool, error) {
		for _, s := range servers {
			if k := s.Counts().WritesByKind; k["product"] < want || k["inventory"] < want {
				return false, nil
			}
		}
		return true, nil
	}); err != nil {
		return err
	}
	took, used := time.Since(begin).Seconds(), w.spent(before)
	var calls, refused uint64
	for _, s := range servers {
		n := s.Counts()
		calls, refused = calls+n.Calls, refused+n.Throttled
	}
	var cpu time.Duration
	var most, sum int64
	for _, b := range w.bridges {
		u := b.look()
		cpu, sum = cpu+u.cpu, sum+u.rss
		most = max(most, b.status("VmHWM:"))
	}
	docs := float64(2 * w.products * int64(c.environments))
	w.say("  %d environments, %d instances: %.1f s, %.2f of the ideal; %.0f calls/s of %.0f, %d more than documents, %d refused; %.2f ms CPU of the bridges per document; %d MiB in all, %d MiB the largest; %s",
		c.environments, c.instances, took, took/ideal, float64(calls)/took, rate*float64(c.environments), int64(calls)-int64(docs), refused,
		float64(cpu.Microseconds())/1000/docs, sum>>10, most>>10, used)
	return w.stopAll()
}

// portal starts one more NuORDER sandbox, with the credentials of the world's.
func (w *world) portal(ctx context.Context, l nuorder.Limits) (*nuorder.Server, string, error) {
	s, err := nuorder.New(nuorder.Config{Portals: []nuorder.Portal{w.Portal}, Limits: &l, JournalBody: -1, JournalSize: 100})
	if err != nil {
		return nil, "", err
	}
	address := make(chan string, 1)
	failed := make(chan error, 1)
	w.tasks.Go(func() {
		failed <- s.Run(ctx, "127.0.0.1:0", func(a net.Addr) { address <- a.String() })
	})
	select {
	case a := <-address:
		return s, "http://" + a, nil
	case err := <-failed:
		return nil, "", fmt.Errorf("start a portal: %w", err)
	}
}

// takeover kills and stops instances while rows change, and tells how long the changes of that time took at most. The first to go
// is the one that polls orders, the second the oldest.
func (w *world) takeover(ctx context.Context, _ *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.unlimited(); err != nil {
		return err
	}
	if err := w.again(ctx, setup{rate: 1000, concurrency: 6, orders: true, poll: true}, 3); err != nil {
		return err
	}
	for round, how := range []string{"killed", "killed", "stopped in order", "stopped in order"} {
		if err := w.leave(ctx, round, how); err != nil {
			return err
		}
	}
	return nil
}

// poller gives the process that polls orders, and its fencing number.
func (w *world) poller(ctx context.Context) (pid int, fence int64, err error) {
	var owner string
	err = w.store.Pool().QueryRow(ctx, "select owner, fence from order_pollers where environment = $1", environment).Scan(&owner, &fence)
	if err != nil {
		return 0, 0, err
	}
	parts := strings.Split(owner, "/") // host, process, and what tells its lives apart
	if len(parts) < 2 {
		return 0, 0, fmt.Errorf("the poller %q names no process", owner)
	}
	pid, err = strconv.Atoi(parts[1])
	return pid, fence, err
}

func (w *world) leave(ctx context.Context, round int, how string) error {
	if err := w.until(ctx, "the poller", time.Minute, func() (bool, error) {
		_, _, err := w.poller(ctx)
		return err == nil, nil
	}); err != nil {
		return err
	}
	pid, fence, err := w.poller(ctx)
	if err != nil {
		return err
	}
	at := 0
	for i, b := range w.bridges {
		if b.cmd.Process.Pid == pid {
			at = i
		}
	}
	goes := w.bridges[at]
	w.bridges = append(w.bridges[:at:at], w.bridges[at+1:]...)
	w.ended = append(w.ended, goes)
	began := time.Now()
	gone := make(chan error, 1)
	var polled time.Duration
	w.tasks.Go(func() {
		gone <- func() error {
			if err := pause(ctx, 3*time.Second); err != nil {
				return err
			}
			began = time.Now()
			if how == "killed" {
				goes.kill()
			} else if err := goes.stop(); err != nil {
				return err
			}
			return w.until(ctx, "another poller", time.Minute, func() (bool, error) {
				_, now, err := w.poller(ctx)
				polled = time.Since(began)
				return now > fence, err
			})
		}()
	})
	const pace, seconds = 20, 20
	base := (round + 1) * 100_003 // no product gets the mark that it has
	took, err := w.paced(ctx, pace, seconds*pace, func(ctx context.Context, n int) error {
		_, err := w.Pool.Exec(ctx, "update oms.style_colors set image_url = $1 where style_color_id = (select min(style_color_id) + $2 from oms.style_colors)",
			marker(n), int64(base+n)%w.products)
		return err
	})
	if err := <-gone; err != nil {
		return err
	}
	if err != nil {
		return err
	}
	w.say("  one of three %s: the longest that a change took was %.1f s, another one polled orders after %.1f s", how, percentile(took, 1)/1000, polled.Seconds())
	_, err = w.launch(configFile)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
