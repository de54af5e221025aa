# Everything this project can do from a shell. On a fresh machine Python >= 3.11 and make are enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DIAGNOSE := $(VENV)/.diagnose
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
VENDOR := src/freshledger/static/vendor
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
LOCK := $(BIN)/uv --quiet pip compile --universal --python-version 3.11 --fork-strategy fewest \
	--exclude-newer P7D --generate-hashes --no-annotate --no-header --no-emit-index-url \
	$(if $(upgrade),--upgrade)

.PHONY: help setup serve demo diagnose test torture bench bench-smoke check fix migration lock
.NOTPARALLEL:

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) $(VENDOR)/htmx.min.js  ## set everything up in .venv, development tools included

serve: $(RUNTIME) $(VENDOR)/htmx.min.js  ## serve on 127.0.0.1:8000 (args="--port 8080" for another)
	@$(BIN)/freshledger serve $(args)

demo: $(RUNTIME) $(VENDOR)/htmx.min.js  ## the same with a demo ledger, in a data folder of its own
	@$(BIN)/freshledger demo $(args)

diagnose: $(DIAGNOSE)  ## reproduce every known cause of a stale page, and tell them apart
	@$(BIN)/freshledger diagnose $(args)

test: setup  ## run the tests on all cores (args="tests/cli -k psql" for some)
	@$(BIN)/pytest -n auto $(args)

torture: setup  ## check all it shows while everything around it breaks (args="--seconds 60")
	@PYTHONPATH=tests $(BIN)/python -m proof.torture $(args)

bench: $(BENCH) $(VENDOR)/htmx.min.js  ## measure it beside its peers; needs wrk (args="--line 1b --json found.json")
	@$(BIN)/python -m benchmarks $(args)

bench-smoke: $(BENCH) $(VENDOR)/htmx.min.js  ## the same, small, in under a minute: only that all of it works
	@$(BIN)/python -m benchmarks --smoke $(args)

check: setup  ## everything CI checks: format, lint, types, floors, migrations, the benchmark, tests
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --no-cache --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/freshledger migration check
	@$(MAKE) --no-print-directory bench-smoke
	$(BIN)/pytest -n auto

fix: setup  ## format the code and mend what ruff can mend by itself
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

migration: setup  ## write a migration from the models' changes: make migration m="slug"
	@$(BIN)/freshledger migration new "$(m)"

lock: setup  ## lock the dependencies of pyproject.toml and package.json again (upgrade=1: newest)
	@$(LOCK) pyproject.toml --group build --output-file locks/runtime.txt
	@$(LOCK) pyproject.toml --extra diagnose --constraint locks/runtime.txt --output-file locks/diagnose.txt
	@$(LOCK) pyproject.toml --extra diagnose --group dev --constraint locks/diagnose.txt --output-file locks/dev.txt
	@$(LOCK) pyproject.toml --extra diagnose --group bench --constraint locks/dev.txt --output-file locks/bench.txt
	@$(LOCK) --group node --output-file locks/node.txt
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm install --package-lock-only
	@$(MAKE) --no-print-directory setup

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The editable install reads pyproject.toml only for names and entry points, so it follows both.
$(RUNTIME): locks/runtime.txt pyproject.toml | $(BIN)/python
	@echo "installing the libraries of $<"
	@$(PIP) --require-hashes --no-deps --requirement $<
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DIAGNOSE): locks/diagnose.txt $(RUNTIME)
	@echo "installing what the experiments need, $<"
	@$(PIP) --require-hashes --no-deps --requirement $<
	@touch $@

$(DEV): locks/dev.txt $(RUNTIME)
	@echo "installing the development tools of $<"
	@$(PIP) --require-hashes --no-deps --requirement $<
	@touch $@

$(BENCH): locks/bench.txt $(RUNTIME)
	@echo "installing the peers of the benchmark, $<"
	@$(PIP) --require-hashes --no-deps --requirement $<
	@touch $@

# Where there is no npm, PyPI's brings it. htmx comes last: it stands for the whole folder.
$(VENDOR)/htmx.min.js: package-lock.json package.json locks/node.txt Makefile | $(RUNTIME)
	@echo "installing the browser libraries of $<"
	@command -v npm >/dev/null || $(PIP) --require-hashes --no-deps --requirement locks/node.txt
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci --ignore-scripts --silent
	@mkdir -p $(VENDOR)
	@cp node_modules/htmx-ext-sse/dist/sse.min.js node_modules/idiomorph/dist/idiomorph-ext.min.js \
		node_modules/swagger-ui-dist/swagger-ui{.css,-bundle.js} $(VENDOR)
	@cp node_modules/htmx.org/dist/htmx.min.js $(VENDOR)
	@touch $@
