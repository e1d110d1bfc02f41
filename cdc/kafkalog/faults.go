package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/internal/fault"
)

// Codes of the faults that this package makes.
const (
	codeUnreachable  = "kafka_unreachable"
	codeAuth         = "kafka_auth"
	codeTooOld       = "kafka_too_old"
	codeForbidden    = "kafka_forbidden"
	codeRequest      = "kafka_request"
	codeTopic        = "topic_missing"
	codeTopicBad     = "topic_refused"
	codeOutOfRange   = "offset_out_of_range"
	codeLost         = "partition_lost"
	codeGeneration   = "generation_ended"
	codeFormat       = "record_format"
	codeTooLarge     = "record_too_large"
	codeSequence     = "sequence_broken"
	codeHole         = "sequence_hole"
	codeSession      = "session_timeout"
	codeTopicChanged = "topic_changed"
	codeFenced       = "producer_fenced"
	codeClosed       = "publisher_closed"
	codeGroupActive  = "group_active"
)

// wrap gives an error of kafka-go or of the network its kind: what a broker calls final is a halt, all else may pass.
func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", operation, err)
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return fmt.Errorf("%s: %w", operation, err)
	}
	wrapped := &fault.Error{Kind: fault.Retry, Code: codeRequest, Err: fmt.Errorf("%s: %w", operation, err)}
	code, ok := errors.AsType[kafka.Error](err)
	if !ok {
		return wrapped
	}
	switch code {
	case kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.TransactionalIDAuthorizationFailed:
		wrapped.Kind, wrapped.Code = fault.Halt, codeForbidden
		wrapped.Hint = "grant the bridge's Kafka user the rights listed in the operations manual"
	case kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState:
		wrapped.Kind, wrapped.Code = fault.Halt, codeAuth
		wrapped.Hint = "check the SASL mechanism, user and password"
	case kafka.InvalidSessionTimeout:
		wrapped.Kind, wrapped.Code = fault.Halt, codeSession
		wrapped.Hint = "choose a session timeout between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"
	case kafka.InvalidTopic, kafka.PolicyViolation, kafka.InvalidReplicationFactor, kafka.InvalidPartitionNumber,
		kafka.InvalidConfiguration:
		wrapped.Kind, wrapped.Code = fault.Halt, codeTopicBad
	}
	return wrapped
}

// backoff is a growing pause with jitter: it starts at 50 ms and ends at 5 s.
type backoff struct{ attempt int }

func (b *backoff) reset() { b.attempt = 0 }

func (b *backoff) next() time.Duration {
	ceiling := min(50*time.Millisecond<<min(b.attempt, 10), 5*time.Second)
	b.attempt++
	return ceiling/2 + rand.N(ceiling/2+1)
}

// wait pauses, and returns early with the context's error.
func (b *backoff) wait(ctx context.Context) error {
	timer := time.NewTimer(b.next())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
