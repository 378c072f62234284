# Two commands do everything: `make demo` runs the whole pipeline, `make test` passes the tests.
# Both set up their own environment in .venv first; nothing but Python >= 3.11 and make is needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
BENCH_ARGS ?=
TRIALS_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help demo test bench trials screenshots lint types audit format clean clean-runs

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## bots fight, workers ingest, a table shows that nothing was lost or doubled
	$(BIN)/superhero demo $(DEMO_ARGS)

test: $(VENV)/.installed-dev ## every test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(VENV)/.installed-dev .venv-peers/.installed ## everything side by side with its peers; BENCH_ARGS="--small"
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

trials: $(VENV)/.installed-dev ## the trials, brokers side by side, every fault once: docs/trials.md; TRIALS_ARGS="--keep"
	$(BIN)/python -m benchmarks.gallery $(TRIALS_ARGS)

screenshots: $(VENV)/.installed-dev ## take the pictures of the Arena in docs/arena anew
	$(BIN)/python tests/screenshots.py

lint: $(VENV)/.installed-dev ## style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev ## types, strict
	$(BIN)/mypy

audit: $(VENV)/.installed-dev ## known weaknesses of what is installed, where the advisory service answers
	.ci/audit $(BIN)/pip-audit

format: $(VENV)/.installed-dev ## put the style right
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and what tools cached
	rm -rf $(VENV) .venv-peers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

clean-runs: ## remove what demo, trials, chaos and benchmarks left in var/
	rm -rf var/demo var/trials var/chaos var/bench

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "superhero needs Python 3.11 or newer; $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

# Apart, for some peers want other versions of what we use.
.venv-peers/.installed: benchmarks/peers/requirements.txt | $(VENV)/bin/python
	@$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	@touch $@
