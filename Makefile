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

.PHONY: help build test check lint fmt demo
