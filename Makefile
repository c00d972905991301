# make demo    StatsD, Graphite and a file server that pushes to them, running
# make test    everything that CI runs; installs what it needs first
# make check   the same without installing anything: what is missing is skipped
# make bench   a tick beside those of other libraries, in a loop and as in production
# make pauses  GC pauses by Go release, into studies/gc-pauses: six to eight minutes
# make fleet   fleets of up to 10,000 processes on one StatsD, into studies/fleet
# make alert   Prometheus and Alertmanager, a service that leaks, and its alert
# make idle    what is linked in, and what it does in an idle service
# make fuzz    each fuzz target for FUZZTIME
# make v2kernel  the tests on a kernel with cgroup v2 only, in qemu: one to four minutes
# make soak    SOAK long against servers and resolvers that fail at random
# make ports   the library on every port that Go builds without cgo
# make platforms  the library's tests under qemu, gVisor, musl, …, and with other Go
# make windows  the same under wine; make wasm  under node and wazero
# make live    the page with the curves

SHELL    := bash
GO       ?= go
comma    := ,
space    := $(subst ,, )
TOOL      = $(GO) tool -modfile=$(CURDIR)/tools/go.mod
# Beside the one that runs everything, all from the one that go.mod names on.
RELEASES := go1.21.13 go1.22.12 go1.23.12 go1.24.13 go1.25.14 go1.26.11 go1.27.4
FUZZTIME ?= 1m
SOAK     ?= 1h
PORTS    ?= $(shell $(GO) tool dist list)

# Modules of their own keep the library's go.mod bare.
MODULES  := . tests examples/live examples/containers examples/prometheus examples/profiles studies studies/gc-pauses/service studies/leaks
INTEROP  := tests/interop tests/interop/otel tests/interop/telegraf tests/realprograms tests/frameworks examples/elastic examples/containers

# Where examples/graphite/up installs StatsD.
export STATSD_JS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/runtimemetrics-statsd-0.9.0/node_modules/statsd/stats.js

# Where examples/containers/install unpacks Docker.
export DOCKER_HOME ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/runtimemetrics-docker

# The packages that are linked into other people's services, all of this module
# but these.
PACKAGES  = $(shell $(GO) list ./... | grep -vE '/(examples|dashboards|internal/(tools|hostcheck|cgocalls))(/|$$)')

.PHONY: v2kernel platforms windows wasm test check demo live alert bench pauses fleet idle fuzz soak deps lint unit cover releases leaks cross ports modules interop vuln

# Not to be skipped, once deps has installed what it takes.
test: export RUNTIMEMETRICS_E2E = required
test: deps check
	$(MAKE) fuzz FUZZTIME=3s
	$(MAKE) soak SOAK=1m

check: lint unit cover releases platforms leaks cross modules interop vuln

demo:
	examples/graphite/up

alert:
	examples/prometheus/up --leak

live:
	$(GO) -C examples/live run .

bench:
	studies/bench/run
	studies/bench/run cold

pauses:
	studies/gc-pauses/run

fleet:
	examples/graphite/up --install
	studies/fleet/run

idle:
	studies/bench/idle

# What the tests need beside Go: StatsD, Graphite, a browser and the like.
deps:
	examples/graphite/up --install
	tests/interop/install
	tests/platforms/run --install
	examples/cluster/up --install
	examples/containers/install
	examples/prometheus/up --install
	studies/gc-pauses/run --install
	examples/internal/install chromium=chromium /usr/sbin/iptables=iptables ab=apache2-utils

lint:
	@echo gofmt -s; test -z "$$(gofmt -s -l $$(git ls-files '*.go') | tee /dev/stderr)"
	$(GO) mod tidy -diff
	$(TOOL) actionlint -shellcheck= -pyflakes=
	$(GO) run ./internal/tools/gendoc -check
	$(GO) -C dashboards run . -check
	set -e; for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(TOOL) staticcheck ./...); done

unit:
	$(GO) test -race ./...
	@# What -race would disturb: counts of allocations.
	$(GO) test $(PACKAGES)
	$(GO) test -tags runtimemetrics_noflags .

# How much of them tests run, and why the rest is not: at least 90 %.
cover:
	@profile=$$(mktemp) && trap 'rm -f "$$profile"' EXIT && \
		$(GO) test -count=1 -coverprofile="$$profile" -coverpkg=$(subst $(space),$(comma),$(PACKAGES)) $(PACKAGES) && \
		$(GO) run ./internal/tools/coverage "$$profile"

# Each Go release, where its toolchain can be had.
releases:
	@for release in $(RELEASES); do \
		if GOTOOLCHAIN=$$release $(GO) version >/dev/null 2>&1; then \
			echo "$$release test $(PACKAGES)"; \
			GOTOOLCHAIN=$$release $(GO) test $(PACKAGES) || exit 1; \
		else echo "SKIPPED: $$release cannot be had here"; fi; done

# What one machine can run beside its own platform, a row of docs/platforms.md each.
platforms:
	tests/platforms/run

# The releases that find leaked goroutines: a minute of load without any, and
# with -race; before Go 1.27 an experiment.
leaks:
	@for release in go1.27.4 "go1.26.11 GOEXPERIMENT=goroutineleakprofile"; do \
		if env GOTOOLCHAIN=$$release $(GO) version >/dev/null 2>&1; then \
			echo "$$release test -race ./leaks"; \
			env GOTOOLCHAIN=$$release RUNTIMEMETRICS_LEAKS_HEALTHY=1m $(GO) test -race -count=1 ./leaks && \
			env GOTOOLCHAIN=$$release $(GO) -C tests test -count=1 ./leaks || exit 1; \
		else echo "SKIPPED: $$release cannot be had here"; fi; done

# $(call for_each_port,PORTS,COMMANDS), where Go builds without cgo.
define for_each_port
@set -e; empty=$$(mktemp -d); trap 'rm -r "$$empty"' EXIT; echo 'package main; func main() {}' >"$$empty/main.go"; \
	for port in $(1); do \
		export CGO_ENABLED=0 GOOS=$${port%/*} GOARCH=$${port#*/}; \
		if why=$$($(GO) build -o /dev/null "$$empty/main.go" 2>&1); then echo "$@ $$port"; $(2); \
		else echo "SKIPPED: $$why"; fi; done
endef

# One port of each system: a 32-bit one, as it happens, where there is one.
cross:
	$(call for_each_port,$$(printf '%s\n' $(PORTS) | sort -ut/ -k1$(comma)1),$(GO) vet $(PACKAGES))

# All of them, and a program linked for each. Each needs a standard library of its
# own, which takes half a minute of processor time.
ports:
	$(call for_each_port,$(PORTS),$(GO) build $(PACKAGES); $(GO) build -o /dev/null ./examples/fileserver)

# What a test builds while it runs is not in its cache's key, hence -count=1.
modules:
	set -e; for m in $(filter-out . $(INTEROP),$(MODULES)); do (cd $$m && $(GO) test -race -count=1 -timeout 30m ./...); done

# Other people's servers, programs and frameworks, which take long to build; more so
# with -race.
interop:
	set -eo pipefail; for m in $(INTEROP); do (cd $$m && $(GO) vet ./... && $(GO) test -count=1 -timeout=30m -v ./... | grep -v '^=== '); done

vuln:
	@$(TOOL) govulncheck ./... || { [ $$? = 1 ] && echo "SKIPPED: the vulnerability database cannot be had here"; }

# Go before 1.27 may take the end of the time for a failure (golang/go#75804): that is
# tried again, unless an input was found.
fuzz:
	@set -e -o pipefail; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; git grep '^func Fuzz' -- '*_test.go' | sed -E 's|^(.*/)?[^/]*:func (Fuzz[A-Za-z]*).*|./\1 \2|' | while read -r dir target; do \
		echo "$$dir $$target"; \
		for attempt in 1 2 3; do \
			if (cd $$dir && $(GO) test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x .) 2>&1 </dev/null | tee "$$log"; then break; fi; \
			grep -qx ' *context deadline exceeded' "$$log" && ! grep -q 'Failing input' "$$log" && [ $$attempt -lt 3 ] || exit 1; \
		done; done

soak:
	cd tests && SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 0 ./soak

# Their own targets, since they take what is large and run nothing but the tests.
windows:
	tests/platforms/run --install windows
	tests/platforms/run windows windows-newest

wasm:
	tests/platforms/run js wasip1

# Its own target: it is the one that takes a kernel and minutes.
v2kernel:
	tests/v2kernel/run
