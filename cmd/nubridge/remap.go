package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// remapEvery is how often it is looked whether the present day changes what documents look like.
const remapEvery = time.Minute

// remapReason is the reason of requests for documents whose rows did not change.
const remapReason = "mapping changed"

// remapper sees to it that a changed mapping reaches documents whose rows do not change: after a reload, after a start with another
// folder than before, after a change of the portal's schema or warehouses, and at midnight where documents depend on the day.
type remapper struct {
	*environment
	// followed are the fingerprints that this process has seen to: two instances with different folders must not chase each other.
	followed map[mapper.Flow][]byte
}

func (r *remapper) run(ctx context.Context) error {
	r.followed = map[mapper.Flow][]byte{}
	for {
		for _, f := range r.flows {
			if err := r.follow(ctx, f.name); err != nil && ctx.Err() == nil {
				r.log.Warn("a changed mapping is not followed yet", "flow", string(f.name), "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.remapped:
		case <-time.After(remapEvery):
		}
	}
}

// follow asks a flow for the documents that its mapping makes otherwise than they were last sent, and for the parked ones that it
// allows since then.
func (r *remapper) follow(ctx context.Context, flow mapper.Flow) error {
	mapping := r.mapping.Load()
	documents, warehouses := mapping.Sum(flow), mapping.WarehousesSum(flow)
	sum := slices.Concat(documents, warehouses)
	if documents == nil || bytes.Equal(sum, r.followed[flow]) {
		return nil
	}
	last, err := r.bridge.store.MappingSum(ctx, r.name, flow)
	if err != nil {
		return err
	}
	switch whatChanged(last, documents, warehouses) {
	case changedNothing:
	case changedDocuments:
		n, err := r.request(ctx, flow, mapping, remapReason)
		if err != nil {
			return err
		}
		r.log.Info("the mapping has changed: documents that it makes otherwise are sent", "flow", string(flow), "documents", n)
	case changedWarehouses:
		n, err := r.bridge.store.RetryParked(ctx, r.name, ledger.ParkedFilter{Flow: flow})
		if err != nil {
			return err
		}
		r.log.Info("the portal's warehouses have changed: parked documents are tried again", "flow", string(flow), "documents", n)
	}
	if !bytes.Equal(last, sum) { // I10: what was asked for is stored before it is noted as done
		if err := r.bridge.store.KeepMappingSum(ctx, r.name, flow, sum); err != nil {
			return err
		}
	}
	r.followed[flow] = sum
	return nil
}

// mappingChange is what a change of the mapping asks for.
type mappingChange int

const (
	changedNothing mappingChange = iota
	changedDocuments
	changedWarehouses
)

// whatChanged compares the fingerprints of documents and of warehouses with those last seen to, which are kept one behind the other.
// Warehouses that become known change nothing: as long as they were not, no document was held back because of one.
func whatChanged(last, documents, warehouses []byte) mappingChange {
	before, same := bytes.CutPrefix(last, documents)
	switch {
	case last == nil:
		return changedNothing
	case !same:
		return changedDocuments
	case len(before) == 0 || bytes.Equal(before, warehouses):
		return changedNothing
	}
	return changedWarehouses
}

// request goes over all documents, those of the OMS and those that NuORDER has of us, batch by batch. It leaves the databases half of
// the time for what changes meanwhile. // I6
func (r *remapper) request(ctx context.Context, flow mapper.Flow, mapping *mapper.Mapping, reason string) (int, error) {
	batch, n := make([]mapper.Key, 0, remapBatch), 0
	var took time.Duration
	flush := func() error {
		if took > 0 && !pauseFor(ctx, took) {
			return ctx.Err()
		}
		began := time.Now()
		defer func() { took = time.Since(began) }()
		altered, err := r.altered(ctx, flow, batch)
		batch = batch[:0]
		n += len(altered)
		if err != nil || len(altered) == 0 {
			return err
		}
		return r.bridge.store.Request(ctx, r.name, flow, altered, reason, ledger.RankBulk)
	}
	met := newKeySet(remapMet)
	for key, err := range documents.Keys(ctx, r.bridge.oms, mapping, flow) {
		if err != nil {
			return n, fmt.Errorf("list the documents: %w", err)
		}
		met.add(key)
		if batch = append(batch, key); len(batch) == remapBatch {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	if err := flush(); err != nil {
		return n, err
	}
	if flow.Kind() == mapper.Order {
		return n, nil // an order that NuORDER has and the OMS has not may be one that a buyer is still at
	}
	for after := mapper.Key(""); ; {
		keys, err := r.bridge.store.KnownKeys(ctx, r.name, flow.Kind(), after, remapBatch)
		if err != nil {
			return n, err
		}
		for _, key := range keys {
			if !met.has(key) {
				batch = append(batch, key)
			}
		}
		if len(batch) > 0 {
			if err := flush(); err != nil {
				return n, err
			}
		}
		if len(keys) < remapBatch {
			return n, nil
		}
		after = keys[len(keys)-1]
	}
}

const (
	remapBatch = 500
	// remapMet is how many keys are remembered, so that their documents are not read twice.
	remapMet = 500_000
)

// keySet remembers keys by their hashes, the first so many of them.
type keySet struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
	most   int
}

func newKeySet(most int) *keySet {
	return &keySet{seed: maphash.MakeSeed(), hashes: map[uint64]struct{}{}, most: most}
}

func (s *keySet) add(key mapper.Key) {
	if len(s.hashes) < s.most {
		s.hashes[maphash.String(s.seed, string(key))] = struct{}{}
	}
}

func (s *keySet) has(key mapper.Key) bool {
	_, ok := s.hashes[maphash.String(s.seed, string(key))]
	return ok
}

// altered picks the keys whose document is not what was last sent.
func (r *remapper) altered(ctx context.Context, flow mapper.Flow, keys []mapper.Key) ([]mapper.Key, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	bodies, err := r.bodies(ctx, flow, keys)
	if err != nil {
		return nil, err
	}
	objects, err := r.bridge.store.ByKey(ctx, r.name, flow.Kind(), keys)
	if err != nil {
		return nil, err
	}
	var out []mapper.Key
	for i, key := range keys {
		if differs(flow, &bodies[i], objects[key]) {
			out = append(out, key)
		}
	}
	return out, nil
}

// bodies translates documents as they stand now.
func (e *environment) bodies(ctx context.Context, flow mapper.Flow, keys []mapper.Key) ([]mapper.Body, error) {
	var open []mapper.OpenOrder
	if flow == mapper.Inventory && e.poller != nil {
		var err error
		if open, err = e.openOrders(ctx); err != nil {
			return nil, err
		}
	}
	return e.reader.Bodies(ctx, flow, keys, open)
}

// differs tells whether the flow has something to do about a body. What an order flow leaves to another one is not its business.
func differs(flow mapper.Flow, body *mapper.Body, o ledger.Object) bool {
	there := o.Known || o.InDoubt || o.RemoteID != ""
	part, sent := o.Parts[ledger.PartOf(flow)]
	switch {
	case !there && (body.Filtered || len(body.Violations) > 0 && flow.Kind() == mapper.Order):
		return false
	case len(body.Violations) == 0 && sent && !o.InDoubt && part.Hash == ledger.HashOf(body.JSON):
		return false
	case flow == mapper.OrderCreation:
		return !there
	case flow.Kind() == mapper.Order:
		return there
	}
	return true
}
