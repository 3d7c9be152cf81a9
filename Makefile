# Two commands do everything: `make rehearse STACK=dev` and `make test`. Python 3.11 or newer is the only prerequisite.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STACK ?= dev
PYTHON ?= python3
UV_VERSION := 0.13.9  # renovate: datasource=pypi depName=uv

# uv from PATH where there is one, else brought into .uv by pip.
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := $(UV) run --locked

# A file is one process's, so that what it sets up is set up once; rehearsals take longest and come first.
ON_ALL_CORES := --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is $$($(PYTHON) -V 2>&1), and 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .uv || { echo "error: $(PYTHON) cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@.uv/bin/python -m pip install --quiet uv==$(firstword $(UV_VERSION))

.PHONY: setup
setup: $(UV) ## Install what the lock file pins, into .venv
	@$(UV) sync --locked --quiet --python $(PYTHON)

.PHONY: rehearse
rehearse: setup ## Bring up STACK (dev, qa, uat, staging, live) on real parts, with no account
	@$(RUN) rehearse up --stack $(STACK)

.PHONY: down
down: setup ## Take the rehearsal of STACK down again
	@$(RUN) rehearse down --stack $(STACK)

.PHONY: check
check: setup ## Format, lint, types and layers
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) basedpyright
	$(RUN) lint-imports

.PHONY: test
test: check ## Everything CI runs: the checks, then every test
	@$(RUN) rehearse tools
	$(RUN) pytest $(ON_ALL_CORES) tests/rehearsal tests/monitoring tests/rules tests/delivery tests/unit

.PHONY: unit
unit: setup ## Only the tests that need no tool: seconds
	$(RUN) pytest tests/unit

.PHONY: canaries
canaries: setup ## The long tests: whole rollouts with every fault, killed and resumed, and recoveries
	$(RUN) pytest -m long tests/rehearsal

.PHONY: bench
bench: setup ## Measure previews, scaling, memory, the control plane's start and canaries taken back
	@$(RUN) python -m tests.bench

.PHONY: generate
generate: setup ## Write what is made from the code: the schemas, and the tables of environments and settings
	@$(RUN) python -m reference.generate

.PHONY: site
site: setup ## Build the site of docs/ into dist/site
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict

.PHONY: fix
fix: setup ## Format and mend what the linter can
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
