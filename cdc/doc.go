// Package cdc is the vocabulary of change data capture: position, event, batch, change; the codec of the Debezium envelope;
// and the capture loop that moves batches from a source to a publisher and confirms what was acknowledged. It imports
// nothing of ours. The replication protocol is in pgsource, everything Kafka in kafkalog.
package cdc
