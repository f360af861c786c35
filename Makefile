# Needs python3 (3.11 or newer, with venv), make and git. `make help` lists what there is.
SHELL := /bin/sh
BIN := .venv/bin
STAMP := .venv/.ready
SOURCES := src tests apps benchmarks torture scripts
APPS := floorplan gen3d fashion studio headshot
# The library that studio and headshot draw with is no package to serve, but its tests run as the apps' do.
TESTED := $(APPS) generator
GENERATOR := apps/generator/pyproject.toml $(shell find apps/generator/generator -name '*.py' -o -name SHA256SUMS)

# One more than there are cores mostly are: half of its time a test waits.
PROCESSES ?= 3
SECONDS ?= 60
OBJECTS ?= rows
DATABASE ?= sqlite

.DEFAULT_GOAL := help
.PHONY: help setup demo test environments test-apps $(TESTED:%=test-%) apps test-all torture check format bench validate-corpus prove-corpus prove-races constraints clean distclean

help:
	@echo 'make setup                   .venv with the pinned dependencies'
	@echo 'make demo [APP=floorplan] [INPUT=plan.png]   a server, an app, its trial and its main job; APP: $(APPS)'
	@echo 'make check                   ruff, mypy, import-linter'
	@echo 'make test                    check, then the tests that are not slow'
	@echo 'make apps                    every app: its tests, and its story on a real server'
	@echo 'make test-all                check, then all the tests'
	@echo 'make torture [SECONDS=60] [SEED=...] [OBJECTS=rows|s3] [DATABASE=sqlite|postgres]   kills; judged from outside'
	@echo 'make bench [ARGS=...]        measure, side by side with Celery and Redis'
	@echo 'make validate-corpus         300 good and 300 damaged outputs: precision and recall of the validator'
	@echo 'make prove-corpus [ARGS=--check]   broken and healthy packages: what check and trial caught, missed, invented'
	@echo 'make prove-races [ARGS="--times 20"]   planted races and correct handlers: how many the drill finds and accuses'
	@echo 'make format                  let ruff rewrite what it can'
	@echo 'make constraints             pin the newest versions in constraints.txt'
	@echo 'make clean | distclean       caches | caches and .venv'

setup: $(STAMP)
	@:

$(STAMP): pyproject.toml constraints.txt scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup

demo: setup $(addsuffix /.venv/.ready,$(addprefix apps/,$(filter-out floorplan,$(APP))))
	@$(BIN)/seatrial demo $(APP) $(if $(INPUT),--input "$(INPUT)")

check: setup
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/ruff format --check $(wildcard $(SOURCES))
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	@$(MAKE) --no-print-directory --jobs 2 check environments
	@$(MAKE) --no-print-directory test-apps
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile -m 'not slow and not bench' $(ARGS)

test-all: check test-apps
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile -m 'not bench' $(ARGS)

# One after another, since they share a base; setting them up mostly waits, so it goes on beside `check`.
environments: setup
	@for app in $(TESTED); do $(MAKE) --no-print-directory "apps/$$app/.venv/.ready" || exit 1; done

# Each package is tested in an environment of its own, as it is served.
test-apps: environments
	@$(MAKE) --no-print-directory --jobs $(PROCESSES) --output-sync $(TESTED:%=test-%)

$(TESTED:%=test-%): test-%:
	cd apps/$* && OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q tests -p no:cacheprovider

# Every story of the apps on a real server; `make test` has those that are not slow.
apps: test-apps
	$(BIN)/python -m pytest tests/apps $(ARGS)

apps/%/.venv/.ready: scripts/setup-app $(STAMP)
	@scripts/setup-app $*

# An environment is made anew when what it is made of changes.
apps/floorplan/.venv/.ready: apps/floorplan/requirements.txt
apps/gen3d/.venv/.ready apps/fashion/.venv/.ready: apps/%/.venv/.ready: apps/%/code/requirements.txt apps/torch.txt
DRAWING := apps/generator/.venv/.ready apps/studio/.venv/.ready apps/headshot/.venv/.ready
$(DRAWING): apps/%/.venv/.ready: apps/%/requirements.txt apps/torch.txt $(GENERATOR)

torture: setup
	@$(BIN)/python -m torture --seconds $(SECONDS) --objects $(OBJECTS) --database $(DATABASE) $(if $(SEED),--seed $(SEED))

bench: setup .venv/.bench-ready
	@scripts/install-system-package redis-server
	$(BIN)/python -m benchmarks.run $(ARGS)

.venv/.bench-ready: $(STAMP)
	@echo 'bench: installing the peers'
	@$(BIN)/python -m pip install -q --no-input --disable-pip-version-check -c constraints.txt \
		--no-build-isolation -e '.[bench]'
	@touch $@

validate-corpus: setup .venv/.corpus-ready
	$(BIN)/python -m benchmarks.outputs $(ARGS)

.venv/.corpus-ready: $(STAMP)
	@echo 'validate-corpus: installing real photographs'
	@$(BIN)/python -m pip install -q --no-input --disable-pip-version-check -c constraints.txt \
		--no-build-isolation -e '.[corpus]'
	@touch $@

prove-corpus: setup
	@$(BIN)/python -m benchmarks.corpus $(ARGS)

prove-races: setup
	@$(BIN)/python -m benchmarks.races $(ARGS)

format: setup
	$(BIN)/ruff check --fix $(wildcard $(SOURCES))
	$(BIN)/ruff format $(wildcard $(SOURCES))

# Plain name==version lines: no addresses, no hashes.
constraints: setup
	$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --upgrade --quiet \
		--no-header --no-annotate --no-emit-index-url --output-file constraints.txt

clean:
	rm -rf build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(wildcard $(SOURCES)) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
