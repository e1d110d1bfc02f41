package pgsource

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"nubridge/cdc"
)

// traceOf gives the W3C trace context of the transaction: what the application wrote, else that of a span of our own, which lasts
// from the commit until it is read here.
func (a *assembler) traceOf(tx *transaction) {
	if a.tracer == nil {
		return
	}
	ctx, span := a.tracer.Start(a.ctx, "source transaction", trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithTimestamp(time.UnixMicro(tx.commitTime)))
	defer span.End()
	sc := trace.SpanContextFromContext(ctx)
	if sc.IsValid() && sc.IsSampled() {
		tx.trace = "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
	}
}

// onMessage takes a logical message: a trace for the rows that follow, a watermark of a snapshot, or an event of the feed.
func (a *assembler) onMessage(m logicalMessage) error {
	switch {
	case m.prefix == prefixTrace:
		if m.transactional && a.tx.open && validTraceparent(m.content) {
			a.tx.trace = string(m.content)
		}
		return nil
	case strings.HasPrefix(m.prefix, prefixSnapshot):
		return a.snapshots.mark(a, m)
	case strings.HasPrefix(m.prefix, prefixOwn):
		return nil
	}
	return a.publishMessage(m)
}

// validTraceparent tells whether text is a traceparent of version 00.
func validTraceparent(text []byte) bool {
	if len(text) != 55 || string(text[:3]) != "00-" || text[35] != '-' || text[52] != '-' {
		return false
	}
	for i, c := range text {
		if i == 2 || i == 35 || i == 52 {
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// publishMessage puts a logical message into the feed, in Debezium's form.
func (a *assembler) publishMessage(m logicalMessage) error {
	if !m.transactional && !a.tx.open {
		// It stands between two transactions, so that its own place in the log is its position. Its time is that of the commit before,
		// of which a session that begins with it knows nothing.
		before := a.tx.commitTime
		at := before
		if at == 0 {
			at = a.now / 1e3
		}
		a.lastCommit = m.lsn
		a.tx = transaction{open: true, commit: m.lsn, commitTime: at}
		a.describe()
		a.tx.txid = append(a.tx.txid[:0], `null,"lsn":`...)
		err := a.addMessage(m)
		a.tx.open, a.tx.commitTime = false, before
		return err
	}
	return a.addMessage(m)
}

func (a *assembler) addMessage(m logicalMessage) error {
	if _, err := a.open(topicName(a.prefix, "message", "")[:len(a.prefix)+len(".message")], cdc.OpMessage); err != nil {
		return err
	}
	b := a.cur
	s := span{key: len(b.arena)}
	dst := append(b.arena, `{"prefix":`...)
	dst = appendString(dst, []byte(m.prefix))
	dst = append(dst, '}')
	s.value = len(dst)
	dst = append(dst, `{"op":"m","ts_ms":`...)
	dst = strconv.AppendInt(dst, a.now/1e6, 10)
	dst = a.appendSource(dst, []byte(`,"schema":"","table":"","txId":`), m.lsn)
	dst = append(dst, `,"transaction":null,"message":{"prefix":`...)
	dst = appendString(dst, []byte(m.prefix))
	dst = append(dst, `,"content":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, m.content)
	dst = append(dst, `"}}`...)
	b.arena = dst
	s.end = len(dst)
	b.spans = append(b.spans, s)
	return nil
}
