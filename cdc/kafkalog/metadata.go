package kafkalog

import (
	"context"
	"encoding/hex"
	"errors"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// topicMeta is what the cluster says about one topic now.
type topicMeta struct {
	name string
	// id changes when a topic is deleted and made again.
	id    string
	err   error
	parts []partitionMeta
}

// partitionMeta is what the cluster says about one partition now.
type partitionMeta struct {
	id, leader int32
	err        error
	replicas   int
}

// metadata asks the cluster itself, past kafka-go's cache; nil names ask for all topics, an empty list for none. Answers of
// single topics are in their err.
func (c *Client) metadata(ctx context.Context, names []string) (map[string]topicMeta, error) {
	m := &call{
		key: protocol.Metadata, low: 12, high: 12, flexible: true,
		encode: func(_ int16, dst []byte) []byte {
			if names == nil {
				dst = append(dst, 0)
			} else {
				dst = appendUvarint(dst, len(names)+1)
				for _, name := range names {
					dst = append(dst, make([]byte, 16)...)
					dst = appendCompactString(dst, name)
					dst = append(dst, 0)
				}
			}
			return append(dst, 0, 0, 0) // no automatic creation, no authorized operations, no tags
		},
	}
	if err := c.exchange(ctx, m, 0); err != nil {
		return nil, err
	}
	return decodeMetadata(m.answer)
}

// decodeMetadata reads a Metadata answer of version 12.
func decodeMetadata(answer []byte) (map[string]topicMeta, error) {
	r := &reader{buf: answer}
	r.int32() // throttle
	for range r.compactCount(11) {
		r.int32()
		r.compactString()
		r.int32()
		r.compactString()
		r.tags()
	}
	r.compactString() // cluster
	r.int32()         // controller
	topics := map[string]topicMeta{}
	for range r.compactCount(26) {
		t := topicMeta{err: codeError(r.int16()), name: r.compactString()}
		t.id = hex.EncodeToString(r.take(16))
		r.int8() // internal
		for range r.compactCount(18) {
			p := partitionMeta{err: codeError(r.int16()), id: r.int32(), leader: r.int32()}
			r.int32() // leader epoch
			p.replicas = skipInts(r)
			skipInts(r)
			skipInts(r)
			r.tags()
			t.parts = append(t.parts, p)
		}
		r.int32() // authorized operations
		r.tags()
		topics[t.name] = t
	}
	if r.bad {
		return nil, errors.New("the broker's metadata answer is cut or malformed")
	}
	return topics, nil
}

func skipInts(r *reader) int {
	n := r.compactCount(4)
	r.take(4 * n)
	return n
}

// codeError turns a broker's code into kafka-go's error; zero is none.
func codeError(code int16) error {
	if code == 0 {
		return nil
	}
	return kafka.Error(code)
}
