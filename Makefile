# make          lists the targets
# Everything runs with Go, git and make alone; what else tests need they find or start.

.DEFAULT_GOAL := help
.PHONY: help run demo build test quick chaos sources fuzz lint fmt bench

GO       ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## the binary, in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/hookline ./cmd/hookline

run: build ## a working hub with nothing configured, on 127.0.0.1:8080, data in ./data
	@test -n "$$HOOKLINE_ALLOW_NETWORKS" || echo "make run lets pushes reach this machine (HOOKLINE_ALLOW_NETWORKS=loopback); hookline serve alone does not."
	@HOOKLINE_ALLOW_NETWORKS=$${HOOKLINE_ALLOW_NETWORKS:-loopback} exec bin/hookline serve

demo: build ## a hub, a receiver and a simulated contact centre for a minute
	@sh scripts/demo.sh

test: ## everything, with the race detector, about 20 minutes on two cores
	@sh scripts/test.sh

quick: ## what needs no server and does not take long, without the race detector
	$(GO) test -short ./...

chaos: ## processes on PostgreSQL, and then RabbitMQ, while things break around them, fifteen minutes
	$(GO) test ./cmd/hookline -run '^TestChaos$$' -chaos -count=1 -v -timeout 30m
	$(GO) test ./hub/rabbit -run '^TestBrokerFaults$$' -chaos -count=1 -v -timeout 30m

sources: ## a hub that takes inputs of a source is killed 200 times on each store, ten minutes
	HOOKLINE_SOURCE_KILLS=200 $(GO) test -count=1 -timeout=60m -run TestSourceWhileKilled -v ./cmd/hookline

fuzz: ## every fuzz test for 20 s
	@sh scripts/fuzz.sh

lint: ## golangci-lint
	$(GO) run $(GOLANGCI) run ./...

fmt: ## gofumpt and goimports
	$(GO) run $(GOLANGCI) fmt ./...

bench: build ## speed, with hub, receiver and load as processes of their own on loopback
	@sh scripts/bench.sh
