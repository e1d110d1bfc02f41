package kafkalog

import (
	"context"
	"errors"
	"log/slog"

	"nubridge/cdc"
)

// Running is a publisher whose Run is under way.
type Running struct {
	cdc.Publisher
	// Last is what each partition held when the publisher took over.
	Last map[cdc.Partition]Last
	// Topics are the topics as they were found, for the next process to compare with (PublisherConfig.Known).
	Topics []TopicInfo
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
	return finish(ctx, client, topics, start(ctx, publisher, publisher.Run, last))
}

// finish adds what the topics are now.
func finish(ctx context.Context, client *Client, topics []string, r *Running) (*Running, error) {
	infos, err := client.DescribeTopics(ctx, append([]string{}, topics...))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.Topics = infos
	return r, nil
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
	return finish(ctx, client, topics, start(ctx, publisher, publisher.Run, last))
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

// Stats gives the counts so far; a plain publisher keeps none.
func (r *Running) Stats() PublisherStats {
	if p, ok := r.Publisher.(*Publisher); ok {
		return p.Stats()
	}
	return PublisherStats{}
}

// Close stops the publisher, waits until it has called back for every batch, and returns why it ended, if not by Close.
func (r *Running) Close() error {
	r.cancel()
	<-r.done
	return r.err
}
