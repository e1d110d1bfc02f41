package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

func scenarios() []scenario {
	all := []scenario{
		{name: "kills", smoke: true, play: kills},
		{name: "instances", play: instances},
	}
	all = append(all, portalScenarios()...)
	all = append(all, outageScenarios()...)
	all = append(all, offsetScenarios()...)
	return append(all, dataScenarios()...)
}

// patience is how long a world may take to come to rest.
const patience = 90 * time.Second

// load starts one instance and waits for the first load.
func (w *world) load(ctx context.Context) (*bridge, error) {
	b, err := w.start()
	if err != nil {
		return nil, err
	}
	w.equal(ctx, "first load", patience)
	return b, nil
}

// kills ends the bridge by SIGKILL at random moments of the first load and of live changes, and starts it anew at once.
func kills(ctx context.Context, w *world) error {
	times := 30
	if w.run.smoke {
		times = 4
	}
	b, err := w.start()
	if err != nil {
		return err
	}
	for i := range times {
		// The first ones hit the start, the snapshot and the first load; the later ones live changes.
		length := time.Duration(w.dice.IntN(4000)) * time.Millisecond
		if i >= 3 {
			length += 4 * time.Second // a group takes the session of its dead member to come together
		}
		w.desk.during(ctx, length, 20)
		b.kill()
		if i%4 == 3 {
			w.desk.during(ctx, 300*time.Millisecond, 20) // nobody is there
		}
		if b, err = w.start(); err != nil {
			return err
		}
	}
	w.run.faults += times
	w.run.asExpected += times
	w.equal(ctx, fmt.Sprintf("%d kills", times), patience)
	took, err := b.stop(30 * time.Second)
	w.run.expect(err == nil, "SIGTERM: ends in order after %.1f s: %v", took.Seconds(), err)
	return nil
}

// instances share one configuration; one is killed, one is frozen beyond its lease and comes back, one is stopped.
func instances(ctx context.Context, w *world) error {
	var all []*bridge
	for range 3 {
		b, err := w.start()
		if err != nil {
			return err
		}
		all = append(all, b)
		pause(ctx, 500*time.Millisecond)
	}
	w.desk.during(ctx, 10*time.Second, 20)
	w.equal(ctx, "three instances", patience)
	counts := w.NuORDER.Counts()
	w.run.expect(float64(counts.Throttled) <= 0.01*float64(counts.Calls)+1, "three instances: %d of %d calls were refused with 429", counts.Throttled, counts.Calls)
	for i := range 2 {
		frozen := all[i]
		frozen.signal(syscall.SIGSTOP)
		w.desk.during(ctx, w.settings.lease+6*time.Second, 20)
		frozen.signal(syscall.SIGCONT)
		w.desk.during(ctx, 5*time.Second, 20)
		w.equal(ctx, fmt.Sprintf("instance %d frozen beyond its lease and resumed", i+1), patience)
	}
	all[0].kill()
	w.desk.during(ctx, 8*time.Second, 20)
	w.equal(ctx, "one of three killed", patience)
	took, err := all[1].stop(30 * time.Second)
	w.run.expect(err == nil, "SIGTERM under load: ends in order after %.1f s: %v", took.Seconds(), err)
	w.desk.during(ctx, 4*time.Second, 20)
	w.equal(ctx, "one of three left", patience)
	return nil
}

func (w *world) fault(f nuorder.Fault) string {
	f.Seed = w.run.seed
	id, err := w.NuORDER.AddFault(f)
	if err != nil {
		panic(err) // a fault that this program wrote wrongly
	}
	return id
}
