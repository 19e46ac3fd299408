# Cloister: see README.md and CONTRIBUTING.md.
SHELL := /bin/bash
GO ?= go
LINT_VERSION := v2.15.0
# Machines without a version of a tool get exactly this one.
LINT := $(shell $(GO) env GOPATH)/bin/golangci-lint
FUZZTIME ?= 60s

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/cloister, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$$(git describe --always --dirty 2>/dev/null || echo devel)" -o bin/cloister ./cmd/cloister

.PHONY: dist
dist: ## dist/: the binaries of all systems with SBOMs and checksums, the same bytes everywhere
	@scripts/dist.sh

.PHONY: image
image: ## dist/: an OCI archive of linux/amd64 and linux/arm64, from scratch, without Docker
	@scripts/image.sh

.PHONY: dist-check
dist-check: ## build twice and compare; run linux/arm64 under QEMU and windows/amd64 under Wine; vet darwin
	@scripts/dist-check.sh

.PHONY: setup
setup: ## install what is missing: packages, the engine, base models, the aws CLI and boto3
	@scripts/setup.sh >/dev/null

.PHONY: demo
demo: ## the main job on real data with the stock clients (KEEP=1 leaves the server running; VPC=1 a small job in a VPC)
	@clients=$$(scripts/setup.sh) && demo/$(if $(VPC),vpc,demo).sh "$$clients"

.PHONY: test
test: ## every test but test-long, test-vm and bench-*
	@scripts/test.sh

.PHONY: lint
lint: $(LINT) ## the linters of Go (those of Python run in make test)
	$(LINT) run ./...
	$(LINT) fmt --diff ./...

$(LINT):
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: fmt
fmt: $(LINT) ## format the Go code
	$(LINT) fmt ./...

.PHONY: race
race: ## the race detector over runner, store, api, s3 and collect
	$(GO) test -race ./internal/runner ./internal/store ./internal/api ./internal/s3 ./internal/collect

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (60s)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: test-long
test-long: ## fuzzing for minutes, 100 kill rounds, the demo
	@scripts/fuzz.sh $(FUZZTIME)
	CLOISTER_KILL_ROUNDS=100 $(GO) test -count=1 -run Kill -timeout 60m ./internal/server
	$(MAKE) demo

.PHONY: vuln
vuln: ## known vulnerabilities of what is linked (needs the network)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...

# Benchmarks print figures against their bounds and exit 1 when one is missed; BENCHFLAGS=-report-only only prints.
BENCHFLAGS ?=

.PHONY: bench-start
bench-start: build ## start to ready, first and later, and idle memory
	$(GO) run ./bench/start $(BENCHFLAGS)

.PHONY: bench-overhead
bench-overhead: build ## what a job costs beside its engine, and the engine in its sandbox against bare
	$(GO) run ./bench/overhead $(BENCHFLAGS)

.PHONY: test-vm
test-vm: ## the tests of sandboxes and networks with cgroup v2, on Debian's kernel in a virtual machine
	@scripts/test-vm.sh

.PHONY: bench-s3
bench-s3: build ## PUT with SSE-KMS over TLS: server CPU per GB and memory, against versitygw
	$(GO) run ./bench/s3 -versitygw "$$(bench/versitygw.sh)" $(BENCHFLAGS)

.PHONY: bench-api
bench-api: build ## Get, List, Describe and KMS calls with 10,000 jobs in the store, against moto
	$(GO) run ./bench/api -moto "$$(bench/moto.sh)" $(BENCHFLAGS)

.PHONY: bench-train
bench-train: ## training against stock TRL, tokens per CPU-second
	$(GO) run ./bench/judge -command bench/train.sh -at-least 'ours / TRL, median of .*: ([0-9.]+)=1.2' $(BENCHFLAGS)

.PHONY: bench-seal
bench-seal: ## sealing and opening, memory to memory, against raw AES-GCM and minio/sio
	$(GO) run ./bench/judge -command "$(GO) test ./internal/envelope -run '^\$$' -bench Ratios -benchtime 7x" $(BENCHFLAGS) \
		-at-least '^BenchmarkRatios/(?:seal|open)_(?:artifact|object)\S+ .* ([0-9.]+) x_raw_gcm=0.8' \
		-at-least '^BenchmarkRatios/(?:seal|open)_(?:artifact|object)\S+ .* ([0-9.]+) x_sio=1.2'

.PHONY: bench-audit
bench-audit: build ## an audit of a fake AWS: time, memory, calls; the rules and the reports alone (about 10 minutes)
	@$(GO) build -o bin/fakeaws ./bench/fakeaws; failed=; \
	$(GO) run ./bench/audit $(BENCHFLAGS) || failed=1; \
	$(GO) run ./bench/judge -command "$(GO) test ./internal/posture -run '^\$$' -bench Evaluate -benchtime 5x" $(BENCHFLAGS) \
		-at-most '^BenchmarkEvaluate\S*\s.*\s([0-9.]+) ns/op=200e6' || failed=1; \
	$(GO) run ./bench/judge -command "$(GO) test ./internal/report -run '^\$$' -bench Reports -benchtime 1x" $(BENCHFLAGS) \
		-at-most '^BenchmarkReports/\S+\s.*\s([0-9.]+) ns/op=5e9' -at-most '^BenchmarkReports/\S+ .* ([0-9.]+) peak-MiB=128' || failed=1; \
	test -z "$$failed"

.PHONY: bench-vpc
bench-vpc: build ## jobs in a VPC: attaching, traffic, rules, flow logging, the S3 endpoint, and a whole job (about 5 minutes)
	@$(GO) build -o bin/vpcbench ./bench/vpc; failed=; \
	$(GO) run ./bench/judge -command "$(GO) test ./internal/netns -run '^\$$' -bench . -benchtime 1x" $(BENCHFLAGS) \
		-at-most '^BenchmarkAttach\S*\s.*\s([0-9.]+) attach-p50-ms=15' -at-most '^BenchmarkAttach\S*\s.*\s([0-9.]+) attach-p99-ms=100' \
		-at-most '^BenchmarkAttach\S*\s.*\s([0-9.]+) detach-p99-ms=200' -at-most '^BenchmarkHundredAtOnce\S*\s.*\s([0-9.]+) attach-100-s=5' \
		-at-least '^BenchmarkThroughput\S*\s.*\s(?P<spread>[0-9.]+) baseline/baseline\s+([0-9.]+) vpc/loopback=0.6' \
		-at-least '^BenchmarkRules/throughput\S*\s.*\s([0-9.]+) 1000-rules/1\s+(?P<spread>[0-9.]+) baseline/baseline=0.85' \
		-at-most '^BenchmarkFlowCounting\S*\s.*\s(-?[0-9.]+) counting-ns/packet=1000' || failed=1; \
	bin/vpcbench $(BENCHFLAGS) || failed=1; \
	test -z "$$failed"

.PHONY: bench-peers
bench-peers: build ## the audit against Prowler, which is installed once (2.3 GB); not part of bench
	@$(GO) build -o bin/fakeaws ./bench/fakeaws
	$(GO) run ./bench/peers -prowler "$$(bench/prowler.sh)" $(BENCHFLAGS)

.PHONY: bench
bench: ## every benchmark, one after another (about 30 minutes)
	@failed=; for name in start overhead s3 api seal train audit vpc; do echo "== bench-$$name"; $(MAKE) --no-print-directory bench-$$name || failed="$$failed $$name"; done; \
	test -z "$$failed" || { echo "missed or failed:$$failed" >&2; exit 1; }
