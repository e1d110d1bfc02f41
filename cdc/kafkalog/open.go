package kafkalog

import (
	"context"
	"log/slog"

	"nubridge/cdc"
)

// Running is a publisher whose Run is under way.
type Running struct {
	cdc.Publisher
	// Last is what each partition held when the publisher took over.
	Last   map[cdc.Partition]Last
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Open makes a publisher, idempotent or plain, prepares it for the topics that exist, and runs it until Close. ctx bounds
// the preparation only.
func Open(ctx context.Context, client *Client, cfg PublisherConfig, topics []string, log *slog.Logger) (*Running, error) {
	if cfg.Plain {
		return openPlain(ctx, client, cfg, topics, log)
	}
	publisher, err := NewPublisher(client, cfg, log)
	if err != nil {
		return nil, err
	}
	last, err := publisher.Prepare(ctx, topics)
	if err != nil {
		return nil, err
	}
	return start(ctx, publisher, publisher.Run, last), nil
}

func openPlain(ctx context.Context, client *Client, cfg PublisherConfig, topics []string, log *slog.Logger) (*Running, error) {
	publisher, err := NewPlainPublisher(client, cfg, log)
	if err != nil {
		return nil, err
	}
	last, err := publisher.Prepare(ctx, topics)
	if err != nil {
		return nil, err
	}
	return start(ctx, publisher, publisher.Run, last), nil
}

func start(ctx context.Context, publisher cdc.Publisher, run func(context.Context) error, last map[cdc.Partition]Last) *Running {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{Publisher: publisher, Last: last, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = run(running)
	}()
	return r
}

// Close stops the publisher, waits until it has called back for every batch, and returns why it ended, if not by Close.
func (r *Running) Close() error {
	r.cancel()
	<-r.done
	return r.err
}
