package sink

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// lane delivers its keys one after the other. After the stop it gives back what it has not begun.
func (l *Loop) lane(stop, work context.Context, keys <-chan *turn) {
	for t := range keys {
		if stop.Err() != nil {
			l.release([]*turn{t}, ledger.RestoreDoubt, l.Now())
			continue
		}
		l.deliver(work, t)
	}
}

// deliver makes one call, or as many as the Remote needs for one object, while the lease lasts.
func (l *Loop) deliver(ctx context.Context, t *turn) {
	now := l.Now()
	l.flight.adapt(now.Sub(t.owned), l.config)
	standing, until := l.gate.standing(now)
	switch {
	case standing.State != Running:
		if until.IsZero() {
			until = now.Add(l.config.Look)
		}
		l.release([]*turn{t}, ledger.RestoreDoubt, until)
		return
	case t.deadline.Sub(now) < l.config.CallTime:
		// It waited too long in its lane: own and read it again rather than send something old. // decision 4
		l.release([]*turn{t}, ledger.RestoreDoubt, now)
		return
	}
	if until := l.board.changing(t, now); !until.IsZero() {
		// A burst that showed only now has changed it again: what was read is old already.
		l.release([]*turn{t}, ledger.RestoreDoubt, until)
		return
	}
	action := actionOf(t)
	if l.shadowed(t.key) {
		l.shadow(ctx, t, action)
		return
	}
	if verdict, why := l.guards.begin(t, action, l.config.Guards); verdict != mayGo {
		if verdict == mustPause {
			l.pauseFlow(ctx, why)
		}
		l.release([]*turn{t}, ledger.RestoreDoubt, now.Add(l.config.Look))
		return
	}
	ctx, cancel := context.WithDeadline(ctx, t.deadline.Add(-l.config.CallTime/10))
	defer cancel()
	ctx, span := l.span(ctx, t)
	defer span.End()
	l.at(PointOwned)
	delivery, err := l.Remote.Deliver(ctx, Work{
		Environment: l.config.Environment, Body: t.body, Object: t.object, Parents: t.parents, Deadline: t.deadline, Rank: t.rank,
		Urgent: t.urgent, Yield: t.yield,
	})
	l.at(PointAnswered)
	if err != nil {
		span.SetStatus(codes.Error, fault.CodeOf(err))
		l.refused(t, delivery, err)
		return
	}
	span.SetAttributes(attribute.String("nubridge.disposition", string(delivery.Disposition)), attribute.Int("nubridge.calls", delivery.Calls))
	l.delivered(t, &delivery, action)
}

// actionOf names what a delivery will do, for the guards.
func actionOf(t *turn) string {
	switch {
	case t.body.Filtered:
		return "archive"
	case t.object.Known:
		return "update"
	default:
		return "create"
	}
}

// span continues the trace of the newest change.
func (l *Loop) span(ctx context.Context, t *turn) (context.Context, trace.Span) {
	if t.trace != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": t.trace})
	}
	ctx, span := l.Tracer.Start(ctx, "deliver "+string(l.config.Flow), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("nubridge.environment", l.config.Environment), attribute.String("nubridge.flow", string(l.config.Flow)),
		attribute.Int("nubridge.touches", len(t.touches)), attribute.Int("nubridge.attempt", t.attempts+1)), trace.WithLinks(links(t.others)...))
	if t.unlinked > 0 {
		span.SetAttributes(attribute.Int("nubridge.unlinked", t.unlinked))
	}
	if span.SpanContext().IsValid() {
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		t.trace = carrier["traceparent"]
	}
	return ctx, span
}

// links lead to the older changes that one delivery carries too.
func links(traces []string) []trace.Link {
	list := make([]trace.Link, 0, len(traces))
	for _, t := range traces {
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": t})
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			list = append(list, trace.Link{SpanContext: sc})
		}
	}
	return list
}

// delivered turns the answer into a settlement.
func (l *Loop) delivered(t *turn, d *Delivery, action string) {
	l.flight.succeeded(l.Now())
	s := l.settlement(t, d.Disposition, ledger.ClearDoubt)
	s.Calls = d.Calls
	switch d.Disposition {
	case ledger.Waiting:
		s.WaitFor = d.WaitFor
		if s.Doubt = ledger.RestoreDoubt; d.Calls > 0 {
			s.Doubt = ledger.KeepDoubt
		}
		if d.Told {
			keep(&s, t, d)
		}
	case ledger.Delivered, ledger.Unchanged, ledger.Filtered:
		if s.Doubt = ledger.ClearDoubt; d.Disposition == ledger.Filtered && d.Calls == 0 {
			// Another flow's affair: nothing was learned of the part that both deliver.
			s.Doubt = ledger.RestoreDoubt
		}
		keep(&s, t, d)
		s.Object.Position = t.position
		if d.Disposition == ledger.Delivered {
			s.Action = action
		}
	default:
		l.halt(fault.New(fault.Halt, "unknown_disposition", "a delivery ended as %s, which is no end", d.Disposition))
		l.release([]*turn{t}, ledger.KeepDoubt, l.Now())
		return
	}
	l.done <- outcome{turn: t, settlement: s, asked: d.Calls > 0, late: d.Late}
}

// keep has the ledger store what the Remote learned of the object.
func keep(s *ledger.Settlement, t *turn, d *Delivery) {
	s.Store, s.Object = true, merge(t.object, d.Object)
	for name, part := range s.Object.Parts {
		if len(part.Body) > 0 && part.At.After(t.object.Parts[name].At) {
			s.Bodies = append(s.Bodies, name)
		}
	}
}

// merge takes what the Remote learned; lease and name stay those of the owned object.
func merge(owned, told ledger.Object) ledger.Object {
	out := owned
	out.Known, out.RemoteID, out.RemoteKey, out.StoredKey = told.Known || told.RemoteID != "", told.RemoteID, told.RemoteKey, told.StoredKey
	out.Identity, out.Parts = told.Identity, told.Parts
	return out
}

// refused deals with an error by its kind, one of the four.
func (l *Loop) refused(t *turn, d Delivery, err error) {
	now := l.Now()
	e, _ := errors.AsType[*fault.Error](err)
	doubt := ledger.RestoreDoubt
	if e == nil || e.Ambiguous || e.Kind == fault.Unknown || d.Wrote {
		// The last call may be a clear refusal, and those before it have written a part, or all of it. // decision 5
		doubt = ledger.KeepDoubt
	}
	out := outcome{turn: t, asked: d.Calls > 0 || doubt == ledger.KeepDoubt, late: d.Late}
	out.settlement = l.settlement(t, ledger.Released, doubt)
	out.settlement.Calls = d.Calls
	switch fault.KindOf(err) {
	case fault.Throttle:
		after := max(e.After, 100*time.Millisecond)
		l.gate.throttle(e.Code, err.Error(), now, now.Add(after))
		out.again = now.Add(after)
	case fault.Reject:
		out.settlement.Disposition = ledger.Parked
		out.settlement.Hash = t.hash[:]
		out.settlement.Cause = &ledger.Cause{Code: e.Code, Field: e.Field, Rule: e.Rule, Text: e.Error()}
	case fault.Halt:
		l.halt(err)
		out.again = now
	default:
		if l.flight.alone(t.attempts, now) {
			out.settlement.Disposition = ledger.Parked
			out.settlement.Cause = &ledger.Cause{Code: ledger.CodeKeepsFailing, Rule: fault.CodeOf(err), Text: err.Error() + "; it is tried again every few minutes"}
			break
		}
		out.failed = true
		out.again = now.Add(l.backoff(t.attempts + 1))
		if e != nil && e.After > 0 {
			out.again = now.Add(e.After)
		}
		if t.attempts < 1 || t.attempts%20 == 0 {
			l.Logger.Warn("delivery failed and is tried again", "code", fault.CodeOf(err), "attempt", t.attempts+1, "error", err)
		}
	}
	l.done <- out
}
