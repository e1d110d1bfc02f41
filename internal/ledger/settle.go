package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"nubridge/cdc"
	"nubridge/mapper"
)

// Released settles nothing: the lease is given back and the touches stay open.
const Released Disposition = "released"

// Doubt says what a settlement does to the part's doubt.
type Doubt string

// What happens to the doubt. A mark that someone else made during the lease always stays.
const (
	// ClearDoubt when NuORDER's answer tells what it holds now.
	ClearDoubt Doubt = "clear"
	// KeepDoubt when it may or may not have done what was asked.
	KeepDoubt Doubt = "keep"
	// RestoreDoubt when nothing was asked of it: as it was before the lease.
	RestoreDoubt Doubt = "restore"
)

// Cause is why a key is parked, for the OMS administrator. It holds no personal data. // I11
type Cause struct {
	Code  string `json:"code"`
	Field string `json:"field"`
	Rule  string `json:"rule"`
	Value string `json:"value"`
	// Text says in a sentence what is wrong and what to do.
	Text       string             `json:"text"`
	Violations []mapper.Violation `json:"violations,omitempty"`
}

// Absorbed is the cause of a touch of a parked key that changes nothing: what was said of the key stays.
var absorbed = Cause{Code: "absorbed", Text: "a later change, as wrong as the one before"}

// Absorb gives the cause that leaves the parked row as it is and only counts.
func Absorb() *Cause { c := absorbed; return &c }

// Settlement is the end of one key's turn.
type Settlement struct {
	// Object is as owned, and with Store as it shall be known. A zero Token touches no object.
	Object      Object
	Disposition Disposition
	Doubt       Doubt
	// Store writes identity, hashes and position; Bodies also the bodies of the named parts.
	Store  bool
	Bodies []string
	// Action is create, update, archive or empty, for the guards.
	Action string
	// WaitFor are the parents that are not known, when Disposition is Waiting.
	WaitFor []mapper.Ref
	// Cause and Hash (of the rejected body) are set when Disposition is Parked.
	Cause *Cause
	Hash  []byte
	// Touches counts the touches settled, per index into Settling.Partitions.
	Touches map[int]int64
	// Request is the sequence number of the request that is answered, zero if none.
	Request int64
	Calls   int
	// Trace is the traceparent of the call.
	Trace string
}

// Progress is what a settlement moves in one partition of the group.
type Progress struct {
	Partition cdc.Partition
	// Token fences the partition, see Assume.
	Token int64
	// Next is the offset below which everything is settled with this statement; Last is the position before it.
	Next int64
	Last cdc.Position
	// Filtered counts records that route nowhere, Superseded touches that a later read covers, Repeats touches that were counted
	// before.
	Filtered, Superseded, Repeats int64
	// Above are the touches settled now whose offset is not below Next.
	Above []SettledTouch
}

// SettledTouch names a touch within its partition; a record that routes nowhere has an empty key.
type SettledTouch struct {
	Offset int64
	Key    mapper.Key
}

// Settling is one statement's worth of settlements of one loop.
type Settling struct {
	Environment string
	Flow        mapper.Flow
	// Instance names the loop and Seq rises with each settlement of it, so that a repeat after a lost answer is known.
	Instance    string
	Seq         int64
	Settlements []Settlement
	Partitions  []Progress
	// ParentRank is the rank of service that requested parents inherit.
	ParentRank int
}

// Outcome tells what Settle did.
type Outcome struct {
	// Stale are indexes into Settlements whose token is older than the ledger's: their lease went to someone else.
	// Nothing at all was settled then.
	Stale []int
	// Lost are indexes into Partitions that another instance has assumed; their touches were not counted.
	Lost []int
}

// fewKeys is how many keys are settled sooner than their settlement is planned, which takes some milliseconds.
const fewKeys = 40

// Settle ends leases and writes identity, hashes, positions, dispositions, checkpoints and the counts of I1 in one
// statement. // I1, I10. It refuses the whole batch if one token is old. Repeating a batch whose answer was lost is safe.
// Each key may appear once in a batch.
func (s *Store) Settle(ctx context.Context, batch *Settling) (Outcome, error) {
	args, err := s.settleArgs(batch)
	if err != nil {
		return Outcome{}, err
	}
	var (
		ok, before  bool
		stale, lost []int64
		woken       int64
	)
	plan := planAnew
	if len(batch.Settlements) <= fewKeys {
		plan = planOnce
	}
	if err := s.inTurn(ctx, batch.Environment, plan, settleSQL, args, &ok, &before, &stale, &lost, &woken); err != nil {
		return Outcome{}, fmt.Errorf("settle %d keys: %w", len(batch.Settlements), err)
	}
	switch {
	case before:
		return Outcome{}, nil
	case len(stale) > 0:
		return Outcome{Stale: indexes(stale)}, nil
	case !ok:
		return Outcome{}, fmt.Errorf("settle %d keys: instance %q has not joined the flow", len(batch.Settlements), batch.Instance)
	default:
		return Outcome{Lost: indexes(lost)}, nil
	}
}

func indexes(ordinals []int64) []int {
	out := make([]int, len(ordinals))
	for i, o := range ordinals {
		out[i] = int(o) - 1
	}
	return out
}

// columns collects what one statement carries, as arrays.
type columns struct {
	key, disposition, doubt, remoteID, remoteKey, storedKey, identity, trace, action, cause []string
	token, doubtSeq, epoch, commit, index, calls, request                                   []int64
	store, known                                                                            []bool
	hash                                                                                    [][]byte

	partOrd  []int64
	partName []string
	partHash [][]byte
	partAt   []time.Time

	bodyOrd  []int64
	bodyPart []string
	body     [][]byte

	waitOrd                       []int64
	waitParent, waitFlow, waitKey []string

	topic                                                                   []string
	partition                                                               []int32
	pToken, next, pEpoch, pCommit, pIndex, pFiltered, pSuperseded, pRepeats []int64
	touchOrd, touchPart, touchN, abovePart, aboveOffset                     []int64
	aboveKey                                                                []string
}

func (s *Store) settleArgs(b *Settling) ([]any, error) {
	var c columns
	for i := range b.Settlements {
		if err := s.addSettlement(&c, int64(i+1), &b.Settlements[i]); err != nil {
			return nil, err
		}
	}
	for i := range b.Partitions {
		c.addProgress(int64(i+1), &b.Partitions[i])
	}
	kind := b.Flow.Kind()
	return []any{
		b.Environment, string(b.Flow), string(kind), PartOf(b.Flow), b.Instance, b.Seq, s.channel(), b.ParentRank,
		c.key, c.token, c.disposition, c.doubt, c.doubtSeq, c.store, c.known,
		c.remoteID, c.remoteKey, c.storedKey, c.identity, c.epoch, c.commit, c.index, c.calls, c.trace, c.request, c.action, c.cause, c.hash,
		c.partOrd, c.partName, c.partHash, c.partAt, c.bodyOrd, c.bodyPart, c.body,
		c.waitOrd, c.waitParent, c.waitFlow, c.waitKey,
		c.topic, c.partition, c.pToken, c.next, c.pEpoch, c.pCommit, c.pIndex, c.pFiltered, c.pRepeats,
		c.touchOrd, c.touchPart, c.touchN, c.abovePart, c.aboveOffset, c.aboveKey, c.pSuperseded,
	}, nil
}

func (s *Store) addSettlement(c *columns, ord int64, m *Settlement) error {
	o := &m.Object
	identity, cause := "{}", ""
	if m.Store && len(o.Identity) > 0 {
		text, err := json.Marshal(o.Identity)
		if err != nil {
			return fmt.Errorf("write the identity of an object: %w", err)
		}
		identity = string(text)
	}
	if m.Disposition == Parked {
		if m.Cause == nil {
			m.Cause = Absorb()
		}
		text, err := json.Marshal(m.Cause)
		if err != nil {
			return fmt.Errorf("write the cause of a parked key: %w", err)
		}
		cause = string(text)
	}
	c.key, c.token = append(c.key, string(o.Key)), append(c.token, o.Token)
	c.disposition, c.doubt = append(c.disposition, string(m.Disposition)), append(c.doubt, string(m.Doubt))
	c.doubtSeq, c.store, c.known = append(c.doubtSeq, o.doubtSeq), append(c.store, m.Store), append(c.known, o.Known)
	c.remoteID, c.remoteKey = append(c.remoteID, o.RemoteID), append(c.remoteKey, o.RemoteKey)
	c.storedKey, c.identity = append(c.storedKey, o.StoredKey), append(c.identity, identity)
	c.epoch, c.commit = append(c.epoch, int64(o.Position.Epoch)), append(c.commit, int64(o.Position.Commit))
	c.index, c.calls = append(c.index, int64(o.Position.Index)), append(c.calls, int64(m.Calls))
	c.trace, c.request = append(c.trace, m.Trace), append(c.request, m.Request)
	c.action, c.cause = append(c.action, m.Action), append(c.cause, cause)
	c.hash = append(c.hash, append([]byte{}, m.Hash...))
	if m.Store {
		for name, part := range o.Parts {
			c.partOrd, c.partName = append(c.partOrd, ord), append(c.partName, name)
			c.partHash, c.partAt = append(c.partHash, append([]byte{}, part.Hash[:]...)), append(c.partAt, part.At)
		}
		for _, name := range m.Bodies {
			c.bodyOrd, c.bodyPart = append(c.bodyOrd, ord), append(c.bodyPart, name)
			c.body = append(c.body, s.compress(o.Parts[name].Body))
		}
	}
	for _, ref := range m.WaitFor {
		c.waitOrd, c.waitParent = append(c.waitOrd, ord), append(c.waitParent, parentName(ref))
		c.waitFlow, c.waitKey = append(c.waitFlow, string(ref.Flow)), append(c.waitKey, string(ref.Key))
	}
	for part, n := range m.Touches {
		c.touchOrd, c.touchPart, c.touchN = append(c.touchOrd, ord), append(c.touchPart, int64(part+1)), append(c.touchN, n)
	}
	return nil
}

func (c *columns) addProgress(ord int64, p *Progress) {
	c.topic, c.partition = append(c.topic, p.Partition.Topic), append(c.partition, int32(p.Partition.ID))
	c.pToken, c.next = append(c.pToken, p.Token), append(c.next, p.Next)
	c.pEpoch, c.pCommit = append(c.pEpoch, int64(p.Last.Epoch)), append(c.pCommit, int64(p.Last.Commit))
	c.pIndex, c.pFiltered = append(c.pIndex, int64(p.Last.Index)), append(c.pFiltered, p.Filtered)
	c.pSuperseded, c.pRepeats = append(c.pSuperseded, p.Superseded), append(c.pRepeats, p.Repeats)
	for _, t := range p.Above {
		c.abovePart, c.aboveOffset = append(c.abovePart, ord), append(c.aboveOffset, t.Offset)
		c.aboveKey = append(c.aboveKey, string(t.Key))
	}
}

// parentName is how a waiting row names a parent: by kind, for flows that share a kind share the object. An order that is on its way
// into the OMS is named by NuORDER's _id and is no object of a flow that could be asked for it.
func parentName(ref mapper.Ref) string {
	if ref.Flow == mapper.OrdersIn {
		return string(mapper.OrdersIn) + ":" + string(ref.Key)
	}
	return string(ref.Flow.Kind()) + ":" + string(ref.Key)
}
