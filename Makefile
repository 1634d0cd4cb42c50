# `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is 3.11 or newer makes the environment.
PYTHONS := $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14
WORKERS ?= 4
SECONDS ?= 60
SEED ?= 1

.PHONY: help run test cov check bench bench-broker faults faults-external fuzz stack-test format clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.installed ## Install into .venv and start the server (ARGS="--http 127.0.0.1:0" adds flags)
	@exec $(BIN)/pabal serve $(ARGS)

test: $(VENV)/.installed-test cov ## Run all tests; those of pabal/ first, which is held to full branch coverage
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(or $(ARGS),--ignore=tests/pabal)

cov: $(VENV)/.installed-test ## Every branch of pabal/ is taken by its own tests
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run --source=pabal -m pytest -qq -n $(WORKERS) --dist worksteal tests/pabal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='pabal/*' --fail-under=100

check: $(VENV)/.installed-dev ## Lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-test ## Measure speed (ARGS="groups --postgres"; see docs/performance.md)
	$(BIN)/python bench/run.py $(or $(ARGS),direct)

bench-broker: $(VENV)/.installed ## Measure the broker beside mosquitto (see docs/broker-performance.md)
	$(BIN)/python bench/broker.py $(ARGS)

faults: $(VENV)/.installed-test ## Break the server and check the guarantee (SECONDS=60 SEED=1; see docs/guarantees.md)
	$(BIN)/python tests/faults/laboratory.py --seconds $(SECONDS) --seed $(SEED) $(ARGS)

faults-external: $(VENV)/.installed-test ## Kill mosquitto and the bridge behind it under load (SECONDS=60 SEED=1)
	$(BIN)/python tests/faults/external.py --seconds $(SECONDS) --seed $(SEED) $(ARGS)

fuzz: $(VENV)/.installed-test ## Throw broken packets at the MQTT parser (SECONDS=60 SEED=1)
	$(BIN)/python tests/support/packet_fuzz.py --seconds $(SECONDS) --seed $(SEED) $(ARGS)

stack-test: $(VENV)/.installed-test ## Bring docker/ up for real, break it and check the guarantee (ARGS=--quick; see docker/README.md)
	$(BIN)/python tests/stack/laboratory.py $(ARGS)

format: $(VENV)/.installed-dev ## Put the sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and what the tools left behind (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$python -m venv $(VENV)"; \
	    "$$python" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "error: $$python cannot make a virtual environment" >&2; \
	    echo "hint: on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	done; \
	echo "error: no Python 3.11 or newer was found" >&2; \
	echo "hint: install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1

# A stamp for each set of dependencies, so that nothing is installed again until pyproject.toml changes.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test
