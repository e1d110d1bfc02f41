package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/mapper/documents"
	"nubridge/sink/nuorder"
)

// verifyBatch is how many documents are compared at once.
const verifyBatch = 500

// verifier compares the documents of one flow with NuORDER, batch by batch: whatever their number, it holds one batch. // I6
type verifier struct {
	*environment
	flow   mapper.Flow
	side   side
	stock  *nuorder.Stock // of the inventory flow
	apply  bool
	lost   bool
	report *documentsReport
	bar    *bar
	total  int
}

func newVerifier(e *environment, flow mapper.Flow, c verifyDocumentsCmd, progress *bar) *verifier {
	v := &verifier{environment: e, flow: flow, apply: c.Apply, lost: c.Lost, bar: progress}
	v.report = &documentsReport{Flow: string(flow), Applied: c.Apply, Differences: []differenceAt{}}
	switch flow {
	case mapper.Products:
		v.side = sideOf[nuorder.Product]{nuorder.NewProducts(e.client, e.bridge.store)}
	case mapper.Customers:
		v.side = sideOf[nuorder.Company]{nuorder.NewCustomers(e.client)}
	default:
		v.stock = nuorder.NewStock(e.client, e.bridge.store)
	}
	return v
}

// candidate is a document on its way through the comparison.
type candidate struct {
	key    mapper.Key
	stored *storedObject // as it was listed
	body   mapper.Body
	object ledger.Object
	// product is that of a stock.
	product ledger.Object

	seen    nuorder.Seen
	missing bool
	err     error
}

func (v *verifier) run(ctx context.Context) error {
	ctx = nuorder.WithRank(ctx, nuorder.RankBulk)
	if v.stock != nil {
		return v.walkStock(ctx)
	}
	names, err := v.bridge.store.NewDirectory(ctx)
	if err != nil {
		return err
	}
	defer names.Close()
	if err := v.fill(ctx, names); err != nil {
		return err
	}
	listed, err := v.walkList(ctx, names)
	if err != nil {
		return err
	}
	return v.walkRest(ctx, names, listed)
}

// batches hands over the keys of all documents.
func (v *verifier) batches(ctx context.Context, take func([]mapper.Key) error) error {
	batch := make([]mapper.Key, 0, verifyBatch)
	for key, err := range documents.Keys(ctx, v.bridge.oms, v.mapping.Load(), v.flow) {
		if err != nil {
			return fmt.Errorf("list the documents: %w", err)
		}
		if batch = append(batch, key); len(batch) == verifyBatch {
			if err := take(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return take(batch)
}

// fill notes the names that the mapping gives to all documents, by which they are found in NuORDER's list.
func (v *verifier) fill(ctx context.Context, names *ledger.Directory) error {
	err := v.batches(ctx, func(keys []mapper.Key) error {
		bodies, err := v.bodies(ctx, v.flow, keys)
		if err != nil {
			return err
		}
		named := make([]ledger.Named, len(keys))
		for i, b := range bodies {
			named[i] = ledger.Named{Key: b.Key, Name: b.RemoteKey, Unwanted: b.Filtered}
		}
		return names.Add(ctx, named)
	})
	if err != nil {
		return err
	}
	v.total, err = names.Index(ctx)
	v.report.Documents = v.total
	return err
}

// walkList compares what NuORDER lists. It tells false for a portal that does not list its objects.
func (v *verifier) walkList(ctx context.Context, names *ledger.Directory) (bool, error) {
	since, err := v.bridge.store.Clock(ctx)
	if err != nil {
		return false, err
	}
	err = v.side.each(ctx, func(page []storedObject) error {
		list, err := v.ours(ctx, names, page)
		if err == nil {
			err = v.compare(ctx, since, list)
		}
		if err == nil {
			since, err = v.bridge.store.Clock(ctx) // before the next page is read
		}
		return err
	})
	if errors.Is(err, nuorder.ErrNotListed) {
		v.log.Warn("the portal does not list its objects, so each is read by itself", "flow", string(v.flow), "error", err)
		return false, nil
	}
	return err == nil, err
}

// ours finds the documents of listed objects.
func (v *verifier) ours(ctx context.Context, names *ledger.Directory, page []storedObject) ([]candidate, error) {
	wanted := make([]string, 0, len(page))
	for i := range page {
		if page[i].name != "" {
			wanted = append(wanted, page[i].name)
		}
	}
	found, err := names.Find(ctx, wanted)
	if err != nil {
		return nil, err
	}
	list, twice := make([]candidate, 0, len(page)), map[mapper.Key]bool{}
	for i := range page {
		key, ours := found[page[i].name]
		if !ours || twice[key] {
			v.report.Foreign++
			continue
		}
		twice[key] = true
		list = append(list, candidate{key: key, stored: &page[i]})
	}
	return list, nil
}

// walkRest asks for the documents that were not listed, one by one. What is not selected and not listed is not there.
func (v *verifier) walkRest(ctx context.Context, names *ledger.Directory, listed bool) error {
	for after := mapper.Key(""); ; {
		since, err := v.bridge.store.Clock(ctx)
		if err != nil {
			return err
		}
		rest, err := names.Rest(ctx, after, !listed, verifyBatch)
		if err != nil {
			return err
		}
		list := make([]candidate, len(rest))
		for i := range rest {
			list[i].key = rest[i].Key
		}
		if err := v.compare(ctx, since, list); err != nil {
			return err
		}
		if len(rest) < verifyBatch {
			break
		}
		after = rest[len(rest)-1].Key
	}
	r := v.report
	r.Filtered = v.total - (r.InStep + r.Differ + r.Missing + r.Invalid + r.Parent + r.Moving + r.Unread) // those passed over too
	v.bar.show(v.total, v.total)
	return nil
}

// walkStock asks for the stock of each document's product: NuORDER has no list of stock.
func (v *verifier) walkStock(ctx context.Context) error {
	return v.batches(ctx, func(keys []mapper.Key) error {
		since, err := v.bridge.store.Clock(ctx)
		if err != nil {
			return err
		}
		list := make([]candidate, len(keys))
		for i, k := range keys {
			list[i].key = k
		}
		v.total += len(keys)
		v.report.Documents = v.total
		return v.compare(ctx, since, list)
	})
}

// compare takes a batch through: it reads documents and ledger, then NuORDER where that was not done, and records what came of it.
func (v *verifier) compare(ctx context.Context, since time.Time, list []candidate) error {
	if len(list) == 0 {
		return nil
	}
	at := v.position(ctx)
	keys := make([]mapper.Key, len(list))
	for i := range list {
		keys[i] = list[i].key
	}
	bodies, err := v.bodies(ctx, v.flow, keys)
	if err != nil {
		return err
	}
	store, kind := v.bridge.store, v.flow.Kind()
	objects, err := store.ByKey(ctx, v.name, kind, keys)
	if err != nil {
		return err
	}
	var products map[mapper.Key]ledger.Object
	if v.stock != nil {
		if products, err = store.ByKey(ctx, v.name, mapper.Product, keys); err != nil {
			return err
		}
	}
	var stored []*storedObject
	for i := range list {
		c := &list[i]
		c.body, c.product = bodies[i], products[c.key]
		if o, there := objects[c.key]; there {
			c.object = o
		}
		c.object.ObjectID = ledger.ObjectID{Environment: v.name, Kind: kind, Key: c.key}
		if c.stored != nil {
			stored = append(stored, c.stored)
		}
	}
	if len(stored) > 0 {
		v.side.observe(stored)
	}
	if err := v.look(ctx, list); err != nil {
		return err
	}
	return v.record(ctx, since, list, at)
}

// look compares the candidates, as many at once as the portal takes.
func (v *verifier) look(ctx context.Context, list []candidate) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	slots := make(chan struct{}, max(v.cfg.NuORDER.Concurrency, 1))
	var readers sync.WaitGroup
	for i := range list {
		c := &list[i]
		if !v.readable(c) {
			continue
		}
		slots <- struct{}{}
		readers.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				c.err = ctx.Err()
				return
			}
			if c.err = v.lookAt(ctx, c); c.err != nil && fault.KindOf(c.err) != fault.Reject {
				stop() // the portal is away: the others would wait as long
			}
		})
	}
	readers.Wait()
	for i := range list {
		if err := list[i].err; err != nil && fault.KindOf(err) != fault.Reject && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return ctx.Err()
}

// readable tells whether NuORDER is to be asked about a document.
func (v *verifier) readable(c *candidate) bool {
	switch {
	case len(c.body.Violations) > 0, c.object.InDoubt:
		return false
	case v.stock != nil && (c.product.RemoteID == "" || c.body.Filtered && !c.product.Known):
		return false
	}
	return !v.lost || c.stored != nil || !v.known(c)
}

// known tells that the ledger knows this very body as delivered.
func (v *verifier) known(c *candidate) bool {
	part, sent := c.object.Parts[ledger.PartOf(v.flow)]
	return sent && c.object.Known && !c.object.InDoubt && part.Hash == ledger.HashOf(c.body.JSON)
}

// lookAt compares one document. A difference in a list, which may be older, is confirmed by a read of the object itself.
func (v *verifier) lookAt(ctx context.Context, c *candidate) error {
	if v.stock != nil {
		return nuorder.Patiently(ctx, func() (err error) {
			c.seen, err = v.stock.Compare(ctx, c.body, c.object, c.product)
			return err
		})
	}
	if c.stored != nil {
		var err error
		if c.seen, err = v.side.compare(ctx, c.body, c.object, c.stored); err == nil && c.seen.Differs == "" {
			return nil
		}
	}
	wanted := c.object
	if id := c.seen.Object.RemoteID; id != "" {
		wanted.RemoteID = id // by which it is found whatever its name is
	}
	var stored *storedObject
	err := nuorder.Patiently(ctx, func() (err error) {
		stored, err = v.side.find(ctx, wanted, c.body.RemoteKey)
		return err
	})
	if err != nil {
		return err
	}
	if c.missing = stored == nil; c.missing {
		return nil
	}
	if c.stored == nil {
		v.side.observe([]*storedObject{stored})
	}
	c.seen, err = v.side.compare(ctx, c.body, c.object, stored)
	return err
}

// record counts a batch, and with --apply writes what was found.
func (v *verifier) record(ctx context.Context, since time.Time, list []candidate, at cdc.Position) error {
	r := v.report
	var found []ledger.Compared
	var counted []*int // where each of them was counted
	var absent []mapper.Key
	for i := range list {
		c := &list[i]
		switch {
		case len(c.body.Violations) > 0:
			r.Invalid++
		case c.object.InDoubt:
			r.Moving++
		case c.err != nil:
			r.Unread++
			r.note(c.key, "", "cannot be compared: "+c.err.Error())
		case !v.readable(c) && v.known(c):
			r.InStep++
		case !v.readable(c) && c.body.Filtered, c.missing && c.body.Filtered:
			r.Filtered++
		case !v.readable(c):
			r.Parent++
		case c.missing:
			r.Missing++
			r.Calls++
			r.note(c.key, "", "")
			if c.object.Known {
				found, counted = append(found, ledger.Compared{Object: withoutParts(c.object), Differs: true}), append(counted, &r.Missing)
			} else {
				absent = append(absent, c.key)
			}
		case c.seen.Differs != "":
			r.Differ++
			r.Calls++
			r.note(c.key, c.seen.Differs, "")
			found, counted = append(found, ledger.Compared{Object: c.seen.Object, Differs: true}), append(counted, &r.Differ)
		default:
			r.InStep++
			if !v.known(c) || c.object.RemoteID != c.seen.Object.RemoteID {
				r.New++
				c.seen.Object.Position = at
				found, counted = append(found, ledger.Compared{Object: c.seen.Object}), append(counted, &r.InStep)
			}
		}
	}
	v.bar.show(r.InStep+r.Differ+r.Missing+r.Filtered+r.Invalid+r.Parent+r.Moving+r.Unread, v.total)
	if !v.apply {
		return nil
	}
	if err := v.bridge.store.Request(ctx, v.name, v.flow, absent, ledger.ReasonVerify, ledger.RankBulk); err != nil {
		return err
	}
	recorded, err := v.bridge.store.Rebuild(ctx, v.name, v.flow, since, found)
	if err != nil {
		return err
	}
	for i := range found { // what someone has delivered meanwhile is left to them
		if recorded[found[i].Object.Key] {
			continue
		}
		r.Moving++
		if *counted[i]--; found[i].Differs {
			r.Calls--
		} else {
			r.New--
		}
	}
	return nil
}

// withoutParts leaves the parts that the ledger has.
func withoutParts(o ledger.Object) ledger.Object {
	o.Parts = nil
	return o
}

// position is how far capture was before the documents were read; what it had acknowledged by then they contain. On a replica, which
// may lag, that cannot be told.
func (v *verifier) position(ctx context.Context) cdc.Position {
	if v.bridge.cfg.OMS.ReplicaURL.IsSet() {
		return cdc.Position{}
	}
	s, err := v.bridge.epoch.captures.LoadCapture(ctx, v.bridge.cfg.Capture.Name)
	if err != nil || s == nil {
		return cdc.Position{}
	}
	return s.Last
}
