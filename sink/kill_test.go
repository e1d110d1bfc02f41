package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// The child of the kill tests is this test program again, with one loop. Its log, source and remote are in the parent, behind
// a socket, so that nothing but the process under test is killed.

const (
	childURL   = "NUBRIDGE_CHILD_LEDGER"
	childWorld = "NUBRIDGE_CHILD_WORLD"
	childPoint = "NUBRIDGE_CHILD_POINT"
	childName  = "NUBRIDGE_CHILD_NAME"
	childFlow  = "NUBRIDGE_CHILD_FLOW"
)

// Server offers the world to children.
type Server struct {
	w     *world
	group atomic.Pointer[member]
}

// member is the child that has the partitions; what an earlier one asked for before it died is not for it.
type member struct {
	*group
	name string
}

// PollIn asks for what is new.
type PollIn struct{ Child string }

// Poll gives what is new, or nothing after a while.
func (s *Server) Poll(in PollIn, f *cdc.Fetch) error {
	m := s.group.Load()
	if m.name != in.Child {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	got, err := m.Poll(ctx)
	if err == nil {
		*f = got
	}
	return nil
}

// Commit stores offsets.
func (s *Server) Commit(next map[cdc.Partition]int64, _ *bool) error {
	return s.group.Load().Commit(context.Background(), next)
}

// Doc is a document on the wire.
type Doc struct {
	There, Filtered, Broken bool
	Version                 int
	Parents                 []mapper.Ref
}

// Read gives documents.
func (s *Server) Read(keys []mapper.Key, docs *[]Doc) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, k := range keys {
		d, ok := s.w.docs[k]
		*docs = append(*docs, Doc{ok, d.filtered, d.broken, d.version, d.parents})
	}
	return nil
}

// Answer is a delivery on the wire.
type Answer struct {
	Delivery Delivery
	Fault    *fault.Error
}

// Deliver is the remote.
func (s *Server) Deliver(w Work, a *Answer) error {
	d, err := s.w.Deliver(context.Background(), w)
	a.Delivery = d
	if e, ok := errors.AsType[*fault.Error](err); ok {
		a.Fault = &fault.Error{Kind: e.Kind, Code: e.Code, Ambiguous: e.Ambiguous}
	}
	return nil
}

// remoteWorld is the child's side.
type remoteWorld struct {
	*world
	conn *rpc.Client
}

func (r *remoteWorld) Poll(ctx context.Context) (f cdc.Fetch, err error) {
	for ctx.Err() == nil && err == nil && len(f.Assigned)+len(f.Records)+len(f.Revoked) == 0 {
		err = r.conn.Call("Server.Poll", PollIn{os.Getenv(childName)}, &f)
	}
	return f, err
}

func (r *remoteWorld) Commit(_ context.Context, next map[cdc.Partition]int64) error {
	var ok bool
	return r.conn.Call("Server.Commit", next, &ok)
}

// Again has nothing to do: whoever was started last holds all partitions, and nobody lags behind.
func (r *remoteWorld) Again(context.Context, cdc.Partition) error { return nil }

func (r *remoteWorld) Read(_ context.Context, _ mapper.Flow, wants []mapper.Want) ([]mapper.Read, error) {
	keys, out := make([]mapper.Key, len(wants)), make([]mapper.Read, len(wants))
	for i, w := range wants {
		keys[i], out[i].Key = w.Key, w.Key
	}
	var docs []Doc
	if err := r.conn.Call("Server.Read", keys, &docs); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, d := range docs {
		if d.There {
			out[i].Document = new(mapper.Document)
			r.made[out[i].Document] = doc{version: d.Version, filtered: d.Filtered, broken: d.Broken, parents: d.Parents}
		}
	}
	return out, nil
}

func (r *remoteWorld) Deliver(_ context.Context, w Work) (Delivery, error) {
	var a Answer
	if err := r.conn.Call("Server.Deliver", w, &a); err != nil {
		return Delivery{}, err
	}
	if os.Getenv(childPoint) == string(PointSent) && w.Body.Key != "" {
		die()
	}
	if a.Fault != nil {
		return a.Delivery, a.Fault
	}
	return a.Delivery, nil
}

func die() { _ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL); select {} }

// child runs one loop until it is killed.
func child() int {
	ctx := context.Background()
	store, err := ledger.Open(ctx, os.Getenv(childURL), "nubridge")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	conn, err := rpc.Dial("tcp", os.Getenv(childWorld))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	w := &remoteWorld{world: &world{made: map[*mapper.Document]doc{}}, conn: conn}
	left := int64(1)
	switch Point(os.Getenv(childPoint)) {
	case PointOwned, PointAnswered:
		left = 3 // so that work is under way
	}
	config := killConfig(mapper.Flow(os.Getenv(childFlow)))
	config.Instance = os.Getenv(childName)
	var passed atomic.Int64
	config.At = func(p Point) {
		if string(p) == os.Getenv(childPoint) && passed.Add(1) == left {
			die()
		}
	}
	l, err := New(Deps{Log: w, Reader: w, Mapper: w.world, Remote: w, Ledger: store}, config)
	if err == nil {
		err = l.Run(ctx)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func killConfig(flow mapper.Flow) Config {
	return Config{
		Environment: testEnv, Flow: flow, Instance: "test", Lease: 400 * time.Millisecond, CallTime: 100 * time.Millisecond,
		BackoffBase: 5 * time.Millisecond, BackoffCap: 50 * time.Millisecond, Look: 20 * time.Millisecond, Lanes: 4, InFlight: 16, Batch: 8,
	}
}

// killed starts a child that dies by itself at a point, or is killed after some time, and tells whether it died so.
func (w *world) killed(s *Server, address string, point Point, after time.Duration, n int) {
	w.t.Helper()
	name := fmt.Sprint("child", n)
	s.group.Store(&member{w.group(mapper.Products), name})
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), childURL+"="+w.url, childWorld+"="+address, childPoint+"="+string(point),
		childName+"="+name, childFlow+"="+string(mapper.Products))
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if point == "" {
		after += 150 * time.Millisecond
	} else {
		after = 5 * time.Second
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if early := timer.Stop(); point != "" && !early {
		w.t.Fatalf("point %s was never passed", point)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		w.t.Fatalf("the child ended by itself: %v", err)
	}
}

// TestCountsAndOrderHoldOverKills kills the process at each named point and at random moments, under load. // I1, I3, I10
func TestCountsAndOrderHoldOverKills(t *testing.T) {
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	var dice sync.Mutex
	lost := rand.New(rand.NewPCG(seed, 3))
	w.answer = func(id ledger.ObjectID, b mapper.Body) (bool, error) {
		if id.Key == "k3" {
			return false, &fault.Error{Kind: fault.Reject, Code: "refused", Err: errLost.Err}
		}
		dice.Lock()
		defer dice.Unlock()
		if lost.IntN(10) == 0 {
			return true, errLost
		}
		return true, nil
	}
	server := &Server{w: w}
	rpcs := rpc.NewServer()
	if err := rpcs.RegisterName("Server", server); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			go rpcs.ServeConn(conn)
		}
	}()
	defer func() { _ = listener.Close(); <-accepted }()
	all := keys(25)
	broken := func(k mapper.Key, d doc) doc { d.broken = k == "k4"; return d }
	points := []Point{PointFetched, PointOwned, PointSent, PointAnswered, PointParking, PointReleasing, PointSettled, PointCommitted, PointAssigned, "", "", ""}
	random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	for i, point := range points {
		for range 10 {
			w.write(broken, 1+random.IntN(3), all[random.IntN(len(all))], all[3], all[4])
		}
		w.write(nil, 1, "nobody")
		w.killed(server, listener.Addr().String(), point, time.Duration(random.IntN(100))*time.Millisecond, i)
	}
	_, end := w.start(mapper.Products, nil)
	defer end()
	w.rests(mapper.Products)
	w.orderKept()
	for _, k := range all {
		w.mu.Lock()
		want := w.docs[k].version
		w.mu.Unlock()
		if got := w.last(mapper.Products, k); k != "k3" && k != "k4" && want > 0 && got != want {
			t.Errorf("%s is at version %d at the remote and %d at the source", k, got, want)
		}
	}
	if c := w.counts(mapper.Products); c.Parked == 0 {
		t.Errorf("got %+v, want parked keys", c)
	}
}
