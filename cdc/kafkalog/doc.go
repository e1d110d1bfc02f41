// Package kafkalog is everything that speaks to Kafka: topics, the publisher, consumer groups, offsets, headers. It is the
// only package that imports kafka-go.
//
// Publishing. Publisher is idempotent and pipelined: record batches are encoded here (encode.go) with a producer id, an
// epoch and one sequence per partition, up to five requests are in flight on one connection per broker, and a repeat is the
// same bytes, so a lost answer makes neither a duplicate nor a hole. kafka-go opens, authenticates and routes the
// connections; its Writer, which has no producer id and goes on after a failed batch, is not used.
// PlainPublisher is the fallback without a producer id.
//
// Reading. Group is a member of a consumer group. It takes its generations from kafka-go's ConsumerGroup and fetches each
// assigned partition itself; kafka-go's Reader, which hands out stale messages after a rebalance and jumps over expired
// offsets, is not used. The record batches are decoded here (decode.go), because kafka-go hides the last offset of a batch
// that compaction has emptied, and a reader that does not know it stands still before such a batch for ever.
package kafkalog
