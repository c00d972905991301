# make demo    StatsD, Graphite and a file server that pushes to them, running
# make test    everything that CI runs; installs what it needs first
# make check   the same without installing anything and without the servers
# make bench   BenchmarkTick: a whole tick, through a real socket
# make fuzz    each fuzz target for FUZZTIME
# make soak    SOAK long against a StatsD that is killed and restarted

SHELL    := bash
GO       ?= go
TOOL      = $(GO) tool -modfile=$(CURDIR)/tools/go.mod
MODULES   = . tests examples/live
OLDEST   := go1.21.13
FUZZTIME ?= 10s
SOAK     ?= 1h

.PHONY: test check demo bench fuzz soak deps lint unit oldest cross modules e2e vuln

test: deps check e2e

check: lint unit oldest cross modules vuln

demo:
	examples/graphite/up

bench:
	$(GO) test -run='^$$' -bench=. -count=5 . ./collector

# What the tests need beside Go: StatsD, Graphite and a browser.
deps:
	examples/graphite/up --install
	command -v chromium >/dev/null || { apt-get update && apt-get install -y --no-install-recommends chromium; }

lint:
	test -z "$$(gofmt -s -l $$(git ls-files '*.go'))"
	$(GO) mod tidy -diff
	set -e; for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(TOOL) staticcheck ./...); done

unit:
	$(GO) test -race ./...
	$(GO) test ./... # what -race would disturb: counts of allocations
	$(GO) test -tags runtimemetrics_noflags .

# The oldest Go that go.mod names, where the toolchain can be had.
oldest:
	@if GOTOOLCHAIN=$(OLDEST) $(GO) version >/dev/null 2>&1; then \
		echo "GOTOOLCHAIN=$(OLDEST) $(GO) test . ./collector/..."; GOTOOLCHAIN=$(OLDEST) $(GO) test . ./collector/...; \
	else echo "SKIPPED: $(OLDEST) cannot be had here"; fi

cross:
	set -e; for target in {linux,darwin,windows}/{amd64,arm64,386} freebsd/amd64; do \
		[ $$target = darwin/386 ] && continue; \
		echo "vet $$target"; CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) vet ./...; done

modules:
	set -e; for m in $(filter-out .,$(MODULES)); do (cd $$m && $(GO) test -race ./...); done

e2e:
	RUNTIMEMETRICS_E2E=required $(GO) test -race -count=1 -v -run . ./examples/graphite
	cd examples/live && RUNTIMEMETRICS_E2E=required $(GO) test -race -count=1 ./...

vuln:
	@$(TOOL) govulncheck ./... || { [ $$? = 1 ] && echo "SKIPPED: the vulnerability database cannot be had here"; }

fuzz:
	set -e; for f in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' *_test.go); do \
		$(GO) test -run='^$$' -fuzz="^$$f$$" -fuzztime=$(FUZZTIME) .; done

soak:
	cd tests && SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 0 ./soak
