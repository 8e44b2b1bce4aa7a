# Everything you can do with a clone. `make help` lists it; each target first makes what it needs.
#
# Nothing is written outside the clone but Debian packages, cargo's own folders, and a cache in
# ${XDG_CACHE_HOME:-~/.cache}/polder (libtorch, the Python clients of the tests).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/polder
TARGET := $(or $(CARGO_TARGET_DIR),target)
POLDER := $(TARGET)/release/polder

# build.rs writes this path into the binary, which then runs with no variable set.
export LIBTORCH := $(CACHE)/libtorch-2.13.0
# libtorch's threads wait without spinning: on busy cores that is 0.2 s instead of 26 s for one chip.
export OMP_WAIT_POLICY := PASSIVE
# The clients that the tests talk with: pystac-client, rio-cogeo, awscli, and the checkers of `make check`.
export POLDER_TEST_PYTHON := $(CACHE)/python-1/bin/python

# ONCE=1 stops the demo when it is done; PHOTOS=DIR takes your own photos. Each becomes a flag of `polder demo`.
DEMO_FLAGS = $(if $(filter 1 yes true,$(ONCE)),--once) $(if $(PHOTOS),--photos '$(PHOTOS)') \
	$(if $(PROJECT),--project '$(PROJECT)') $(if $(FLIGHT),--flight '$(FLIGHT)') \
	$(if $(SEED),--seed '$(SEED)') $(if $(GPS),--gps '$(GPS)')

.PHONY: help
help: ## list what you can do
	@echo 'polder: from drone photos of a dike to an orthophoto, detections and a STAC catalog'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make demo takes ONCE=1 (stop when done), PHOTOS=DIR PROJECT=NAME FLIGHT=NAME (your own photos),'
	@echo '  SEED=N and GPS=standard|rtk (the synthetic flight).'
	@echo '  make bench takes RUNS=N (3) and POLDER_TEST_DATA=DIR (a folder of real photos).'
	@echo '  CARGO_TARGET_DIR=DIR keeps what is built in DIR.'

.PHONY: setup
setup: ## install what polder is built and run with (Debian packages, libtorch); safe to repeat
	@scripts/setup.sh

# Clients of the tests and checkers; not needed to build or run polder.
.PHONY: clients
clients: setup
	@scripts/setup.sh python

.PHONY: build
build: setup ## build the release binary with all features
	@echo 'build: $(POLDER), all features' >&2
	cargo build --release --locked --all-features
	@scripts/whole.sh "$${CARGO_TARGET_DIR:-target}/release"

.PHONY: demo
demo: build ## fly a synthetic flight (or take PHOTOS=DIR) through the whole river, and serve the result
	$(POLDER) demo $(DEMO_FLAGS)

.PHONY: test
test: clients ## run every test, against a throw-away PostGIS server
	@echo 'test: building and running all tests (dev profile, feature torch)' >&2
	@start=$$SECONDS; cargo test --locked --features torch --no-run; built=$$SECONDS; \
	tests/with-postgres.sh cargo test --locked --features torch; \
	echo "test: built in $$((built - start)) s, ran in $$((SECONDS - built)) s" >&2

.PHONY: check
check: clients ## formatting, lints, licences, manifests, shell scripts
	cargo fmt --check
	cargo clippy --locked --all-targets --features torch -- -D warnings
	cargo check --locked --no-default-features
	scripts/licences.sh
	$(POLDER_TEST_PYTHON) tests/manifests/check.py --self-test
	$(POLDER_TEST_PYTHON) tests/manifests/check.py
	$(dir $(POLDER_TEST_PYTHON))shellcheck --severity=warning .ci/run scripts/*.sh tests/*.sh

.PHONY: bench
bench: build ## time the stages and their memory on the demo flight, and on POLDER_TEST_DATA if given
	@POLDER='$(POLDER)' RUNS='$(RUNS)' POLDER_TEST_DATA='$(POLDER_TEST_DATA)' scripts/bench.py

.PHONY: bench-stac
bench-stac: build ## measure the STAC API beside stac-fastapi-pgstac and rustac, into docs/benchmarks.md
	@scripts/bench_stac/main.py --polder '$(POLDER)' --docs docs/benchmarks.md \
		$(if $(ITEMS),--items $(ITEMS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(REUSE),--reuse '$(REUSE)')

.PHONY: bench-stitch
bench-stitch: build ## stitch simulated flights (SEEDS=301,302; CASES=rough,thin; LINEAR=50,100,200,400) and real photos beside COLMAP, judged by the truth
	@scripts/bench_stitch/main.py --polder '$(POLDER)' --docs docs/benchmarks.md $(if $(SEEDS),--seeds '$(SEEDS)') \
		$(if $(CASES),--cases '$(CASES)') $(if $(LINEAR),--linear '$(LINEAR)') \
		$(if $(RUNS),--rounds '$(RUNS)') $(if $(POLDER_TEST_DATA),--real '$(POLDER_TEST_DATA)')

.PHONY: soak
soak: build ## read and write for ten minutes while the API and PostgreSQL are killed; every answer is checked
	@scripts/bench_stac/soak.py --polder '$(POLDER)' $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: fmt
fmt: ## format the source
	cargo fmt
