# Linnet. `make demo` and `make test` do everything on a fresh Debian or Ubuntu that has Swift, git and make.

SCRATCH ?= .build
LINNET  := $(SCRATCH)/release/linnet
PREFIX  ?= /usr/local

.PHONY: help demo test build release check fmt seeds scale acceptance network mutants fuzz bench install dependencies clean bench-consensus bench-network interop asan tsan equivocator

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

demo: release ## start a testnet of four nodes, run a real job on it, stop
	@scripts/demo $(LINNET)

test: dependencies ## format, purity, unit tests, simulator seeds, acceptance tests
	@scripts/test

dependencies:
	@scripts/dependencies

build: dependencies ## debug build
	swift build --scratch-path $(SCRATCH)

release: dependencies ## the binary that ships, at .build/release/linnet
	@scripts/build-release

check: dependencies ## format and purity only: seconds
	@scripts/check

fmt: ## lay out every Swift file
	swift format -i -r -p Package.swift Sources Tests Benchmarks

seeds: release ## the fixed simulator seeds
	@scripts/seeds $(LINNET)

equivocator: release ## the daemon that contradicts itself, for the acceptance tests
	@scripts/build-equivocator

scale: dependencies ## the membership of 10,000 nodes, and of 100 for a day: minutes, 8 GB of memory
	@scripts/scale

acceptance: release equivocator ## acceptance tests with real processes and hosts
	@scripts/acceptance

network: release equivocator ## the acceptance tests of the network alone, with splits and losses of minutes
	@LINNET_NETWORK_LONG=1 scripts/acceptance 'AcceptanceTests.*Net'

mutants: dependencies ## plant faults in a copy of the core; the seeds must find each
	@/usr/bin/python3 scripts/mutants.py

interop: dependencies ## a gigabyte each way through 100 streams, against HashiCorp's Yamux
	@scripts/interop

fuzz: dependencies ## libFuzzer over every decoder, FUZZ_RUNS inputs in all (default one million)
	@scripts/fuzz

bench: release ## idle cost and latencies of a four-node testnet
	@Benchmarks/testnet-bench $(LINNET)

bench-consensus: release ## consensus against what it could be at best: BENCH="--quick delay" for a part of it
	@scripts/bench-build
	@Benchmarks/consensus-bench $(LINNET) $(BENCH)

bench-network: release ## the network layer against its limits, and against serf: BENCH="links datagrams serf flood"
	@scripts/bench-build network
	@Benchmarks/network-bench $(or $(BENCH),links datagrams serf flood)

asan: dependencies ## the pure targets' and the transport's tests under AddressSanitizer
	@scripts/sanitize address

tsan: dependencies ## the same under ThreadSanitizer
	@scripts/sanitize thread

install: release ## the binary into PREFIX/bin
	install -D -m 0755 $(LINNET) $(DESTDIR)$(PREFIX)/bin/linnet
	install -D -m 0644 node.conf.example $(DESTDIR)$(PREFIX)/share/doc/linnet/node.conf.example

clean: ## remove what was built
	rm -rf .build .build-*
