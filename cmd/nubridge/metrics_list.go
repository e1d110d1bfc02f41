package main

import "go.opentelemetry.io/otel/metric"

// listed are the metrics that the collector reads.
type listed struct {
	build, config, readable, look, partState, partStands metric.Float64Observable

	// Of capture.
	sessions, changes, received, confirmed, serverEnd, heard, acked                                      metric.Float64Observable
	spilledRows, spilledBytes, slotPresent, slotActive, slotStatus, behind, retained, safe, runway, rate metric.Float64Observable
	epoch, snapshotRead, snapshotLeft                                                                    metric.Float64Observable

	// Of the portal's client.
	inFlight, queued, limit, effective, paused, budget, skew, breaker, opened metric.Float64Observable

	// Of the flows in this process.
	state, freshness, touches, keys, flying, delayed, hidden, partitions, stalls metric.Float64Observable

	// Of the flows in the ledger and in Kafka.
	read, held, missing, calls, lag, requested, waiting, waitingOldest, parked, parkedOldest, settled metric.Float64Observable
}

func newListed(g *gauges) *listed {
	l := &listed{
		build:    g.gauge("nubridge_build_info", "always 1 [version, go_version]"),
		config:   g.gauge("nubridge_config_info", "always 1; the hash is of the configuration without its secrets [hash]"),
		readable: g.gauge("nubridge_readable", "1 if the last look at the ledger, at Kafka or at the source succeeded; while it is 0 the metrics read from there are absent [part]"),
		look:     g.gauge("nubridge_look_seconds", "how long the last look at ledger, Kafka and source took"),
		partState: g.gauge("nubridge_part_state",
			"1 for the present state of a part of this process: starting, working, standing_by (another instance does it), failing (tried again soon), halted (a person must mend something) [part, state]"),
		partStands: g.gauge("nubridge_part_stands_seconds", "how long a part has failed or been halted, by the code of its cause; absent while it works [part, code]"),
	}
	l.capture(g)
	l.remote(g)
	l.flows(g)
	return l
}

func (l *listed) capture(g *gauges) {
	l.sessions = g.counter("nubridge_capture_sessions_total", "sessions of capture since the start; each after the first follows a failure [capture]")
	l.changes = g.counter("nubridge_capture_changes_total", "row messages that the session has read [capture]")
	l.received = g.gauge("nubridge_capture_received_bytes", "position in the WAL up to which this instance has read [capture]")
	l.confirmed = g.gauge("nubridge_capture_confirmed_bytes", "position in the WAL that this instance has confirmed [capture]")
	l.serverEnd = g.gauge("nubridge_capture_server_end_bytes", "position in the WAL at which the server was when it last spoke [capture]")
	l.heard = g.gauge("nubridge_capture_last_message_seconds", "time since the server was last heard on the replication connection [capture]")
	l.spilledRows = g.gauge("nubridge_capture_spilled_rows", "row messages of large transactions that still run; they wait in the spill folder for the commit [capture]")
	l.spilledBytes = g.gauge("nubridge_capture_spilled_bytes", "size of the same in the spill folder [capture]")
	l.acked = g.gauge("nubridge_capture_acknowledged_age_seconds", "time since Kafka last acknowledged a batch of this instance [capture]")
	l.slotPresent = g.gauge("nubridge_slot_present", "1 if the replication slot exists [slot]")
	l.slotActive = g.gauge("nubridge_slot_active", "1 if somebody reads the slot [slot]")
	l.slotStatus = g.gauge("nubridge_slot_wal_status", "1 for the slot's present status: reserved, extended, unreserved, lost [slot, status]")
	l.behind = g.gauge("nubridge_slot_behind_bytes", "WAL after the slot's confirmed position [slot]")
	l.retained = g.gauge("nubridge_slot_retained_bytes", "WAL that the server keeps for the slot [slot]")
	l.safe = g.gauge("nubridge_slot_safe_wal_bytes", "WAL that may still be written before the slot is lost; absent where nothing bounds it [slot]")
	l.runway = g.gauge("nubridge_slot_runway_seconds", "time until the slot is lost at the server's mean rate if nobody reads it; absent where nothing bounds it [slot]")
	l.rate = g.gauge("nubridge_slot_wal_bytes_per_second", "the server's mean rate of WAL since its statistics began [slot]")
	l.epoch = g.gauge("nubridge_capture_epoch", "the first part of every position; it rises when somebody accepts a gap [capture]")
	l.snapshotRead = g.gauge("nubridge_snapshot_rows", "rows that an unfinished snapshot has read [table]")
	l.snapshotLeft = g.gauge("nubridge_snapshot_rows_left", "rows that an unfinished snapshot still has to read, by the server's estimate [table]")
}

func (l *listed) remote(g *gauges) {
	l.inFlight = g.gauge("nubridge_remote_in_flight", "calls under way [environment]")
	l.queued = g.gauge("nubridge_remote_queued", "calls that wait for their turn [environment]")
	l.limit = g.gauge("nubridge_remote_concurrency_limit", "the adaptive limit of calls under way [environment]")
	l.effective = g.gauge("nubridge_remote_rate_effective", "calls per second that this instance may make now [environment]")
	l.paused = g.gauge("nubridge_remote_paused_seconds", "time until the client goes on; 0 if it is not told to wait [environment]")
	l.budget = g.gauge("nubridge_remote_retry_budget", "retries that are allowed at once [environment]")
	l.skew = g.gauge("nubridge_clock_skew_seconds", "how far the portal's clock is ahead of this machine's [environment]")
	l.breaker = g.gauge("nubridge_breaker_state", "0 closed, 1 half-open, 2 open [environment, class]")
	l.opened = g.counter("nubridge_breaker_opened_total", "how often the breaker opened [environment, class]")
}

func (l *listed) flows(g *gauges) {
	l.state = g.gauge("nubridge_flow_state", "1 for the flow's present state: running, throttled, paused, halted [environment, flow, state]")
	l.freshness = g.gauge("nubridge_flow_freshness_seconds", "age of the oldest change that this instance has read and not settled; 0 if there is none [environment, flow]")
	l.touches = g.gauge("nubridge_flow_pending_touches", "changes that this instance holds in memory [environment, flow]")
	l.keys = g.gauge("nubridge_flow_pending_keys", "keys that this instance has not settled [environment, flow]")
	l.flying = g.gauge("nubridge_flow_in_flight_keys", "keys that are owned and on their way [environment, flow]")
	l.delayed = g.gauge("nubridge_flow_delayed_keys", "keys that back off, or whose transaction is not yet visible [environment, flow]")
	l.hidden = g.gauge("nubridge_flow_not_visible_keys", "keys whose transaction no read is proven to see yet [environment, flow]")
	l.partitions = g.gauge("nubridge_flow_partitions", "partitions assigned to this instance [environment, flow]")
	l.stalls = g.counter("nubridge_watchdog_restarts_total", "fetchers that stood still before unread records and were started anew [environment, flow]")
	l.read = g.counter("nubridge_flow_touches_total", "touches of all instances by how they ended; read is all of them, repeat those met again after they were counted [environment, flow, disposition]")
	l.held = g.gauge("nubridge_flow_held_touches", "touches of the keys that wait or are parked now [environment, flow, disposition]")
	l.missing = g.gauge("nubridge_flow_missing_touches", "read - (delivered + unchanged + superseded + filtered + waiting + parked); not zero is a fault of the bridge [environment, flow]")
	l.calls = g.counter("nubridge_flow_calls_total", "calls of all instances that settled deliveries made [environment, flow]")
	l.lag = g.gauge("nubridge_flow_lag_records", "offsets that the consumer group has not committed; one in each partition may be a marker that nobody reads [environment, flow]")
	l.requested = g.gauge("nubridge_flow_requested_keys", "keys that were asked for and are not settled: releases, replays, retries [environment, flow]")
	l.waiting = g.gauge("nubridge_flow_waiting_keys", "keys that wait for a parent [environment, flow]")
	l.waitingOldest = g.gauge("nubridge_flow_waiting_oldest_seconds", "how long the oldest key has waited for its parent [environment, flow]")
	l.parked = g.gauge("nubridge_flow_parked_keys", "keys parked for a person, by code; beyond twenty codes the rest is other [environment, flow, code]")
	l.parkedOldest = g.gauge("nubridge_flow_parked_oldest_seconds", "how long the oldest key of the code has been parked [environment, flow, code]")
	l.settled = g.gauge("nubridge_flow_settled_age_seconds", "time since any instance settled anything of the flow [environment, flow]")
}
