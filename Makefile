# Every target says what it does: make help.
.DEFAULT_GOAL := help
SHELL := bash

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "%-20s %s\n", $$1, $$2}'

build: ## the binary, ./nubridge
	go build -trimpath -o nubridge ./cmd/nubridge

test: ## all tests
	go test ./...

check: ## what CI does
	.ci/run

lint: ## golangci-lint as pinned in tools/
	cd tools && go build -o ../.bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	.bin/golangci-lint run ./...

fmt: ## gofumpt and goimports
	cd tools && go build -o ../.bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	.bin/golangci-lint fmt ./...

demo: ## a scripted day between a local OMS and a local NuORDER
	go run ./cmd/nubridge demo --once

orders-torture: ## kill the bridge at every point of an order's way: COUNT=10000 SEED=0
	go build -o .bin/orders-torture ./bench/orders-torture
	.bin/orders-torture -count $(or $(COUNT),10000) -seed $(or $(SEED),0)

orders-torture-unbounded: ## the same with an OMS that is later than the settle window: every double must be found
	go build -o .bin/orders-torture ./bench/orders-torture
	.bin/orders-torture -unbounded -settle 300ms -count $(or $(COUNT),2000) -seed $(or $(SEED),0)

bench-mapping: ## translate, read and route beside hand-written, bare and naive
	go run ./bench/mapping

bench-capture: ## capture beside Debezium, a plain loop and the server: ROWS=1000000, ARGS="-scenario drain -target floor,nubridge"
	go build -o .bin/bench-capture ./bench/capture
	.bin/bench-capture -rows $(or $(ROWS),1000000) $(ARGS)

test-pg: ## the capture's tests on PostgreSQL 14 to 18 as the lab fetches them: MAJORS="14 18"
	set -e; for m in $(or $(MAJORS),14 15 16 17 18); do \
		bench/lab/postgres.sh install $$m; echo "PostgreSQL $$m"; \
		NUBRIDGE_POSTGRES_BIN=$$(bench/lab/postgres.sh bin $$m) NUBRIDGE_TEST_POSTGRES=$$m CI=true go test -count=1 ./cdc/...; \
	done

test-conformance: ## the feed beside Debezium's, event by event: ARGS="-v -postgres 16 -workload later"
	go run ./bench/conformance $(ARGS)

test-kafka: ## the traps of Kafka on three real brokers of the lab, which it starts and stops: KAFKA_PORT=9092
	set -e; trap 'bench/lab/kafka.sh stop' EXIT; p=$(or $(KAFKA_PORT),9092); bench/lab/kafka.sh start3 $$p; \
		NUBRIDGE_KAFKA=127.0.0.1:$$p,127.0.0.1:$$((p+1)),127.0.0.1:$$((p+2)) go test -tags lab -count=1 -timeout 20m ./cdc/kafkalog

trial-kills: build ## the program killed at random under load and faults, on the lab: ARGS="-scenario small -kills 50 -faults cut,immediate"
	go run ./bench/kills -program ./nubridge $(ARGS)

lab-start: ## a real broker on port 9092 and PostgreSQL on 5400 plus its major: MAJOR=17
	bench/lab/kafka.sh start
	bench/lab/postgres.sh start $(or $(MAJOR),17)

lab-stop: ## end whatever the lab runs
	bench/lab/debezium.sh stop
	bench/lab/postgres.sh stop
	bench/lab/kafka.sh stop

lab-status: ## what the lab runs
	@bench/lab/kafka.sh status; bench/lab/postgres.sh status; bench/lab/debezium.sh status

.PHONY: trial-kills bench-capture test-conformance test-pg test-kafka lab-start lab-stop lab-status bench-mapping orders-torture orders-torture-unbounded help build test check lint fmt demo

bench-delivery: build ## load, freshness, pressure and calls of the delivery: ARGS="-products 2000"
	go run ./bench/delivery -program ./nubridge $(ARGS)

chaos-smoke: ## the whole program under kills, outages and a hostile portal, in a small world
	go run ./bench/chaos -smoke

bench-scale: build ## 1 to 5 environments by 1 to 3 instances, and how long a take-over lasts
	go run ./bench/delivery -program ./nubridge -only scale,takeover -products 400 -rate 100 $(ARGS)

bench-ledger: build ## own and settle on a ledger of five million objects
	go run ./bench/delivery -program ./nubridge -only ledger -products 400 $(ARGS)

.PHONY: bench-delivery bench-scale bench-ledger chaos-smoke
