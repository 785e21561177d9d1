# All that is needed is GNU make and Python 3.11, 3.12 or 3.13.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# `make PYTHON=… setup` names another interpreter.
supported = $(shell $(1) -c 'import sys; print("$(1)" * ((3, 11) <= sys.version_info < (3, 14)))' 2>/dev/null)
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13,$(call supported,$(name))))
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# Processes that run tests; those of one file stay together, and the longest files come first.
WORKERS := 2
PYTEST := $(RUN) -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
DEMO := out/demo
# The built-in sample's test split, and a decoder small enough to learn it in a minute.
HELD_OUT := out/sample/images/scene-009??.jpg
SMALL := --units=256 --embedding=128 --hidden=256 --dropout=0.3 --feature_dropout=0.2 \
	--batch_images=16 --learning_rate=0.002 --averaging=0.98 --warmup_steps=50 --epochs=12

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

.PHONY: setup
setup: $(INSTALLED) ## Install everything into .venv, in the versions of constraints.txt

# Modules are compiled when they are first imported: most never are, and all take two minutes.
$(INSTALLED): constraints.txt setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 found: install one, or name it with make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON); the first time takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

.PHONY: demo
demo: setup ## Preprocess the built-in sample, train, caption held-out pictures, show them
	$(RUN) -m pipeline.preprocess --runner=DirectRunner --output=$(DEMO)/dataset
	$(RUN) -m trainer.task --dataset=$(DEMO)/dataset --output=$(DEMO)/captioner $(SMALL)
	$(RUN) -m pipeline.caption --runner=DirectRunner --images='$(HELD_OUT)' \
		--captioner=$(DEMO)/captioner --output=$(DEMO)/captions
	$(RUN) -m pipeline.evaluate --captions=$(DEMO)/captions \
		--references=out/sample/captions.token.txt --keys=out/sample/test.txt \
		--output=$(DEMO)/report
	@echo "The captions beside their pictures: $(abspath $(DEMO))/report/report.html"

.PHONY: lint
lint: setup ## Check style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

.PHONY: test
test: lint ## Check style and types, then run all tests but those of other engines
	$(PYTEST) --ignore=tests/runners

.PHONY: test-faults
test-faults: setup ## Run the tests of faults whole: 25 kills of each job, 20 mixes of good and bad
	BEAMCAP_FAULTS=whole $(PYTEST) tests/faults

.PHONY: test-runners
test-runners: setup ## Run the jobs on Prism and Flink (needs Go and Java)
	$(RUN) -m pytest --numprocesses=$(WORKERS) --dist=load tests/runners

.PHONY: engines
engines: ## Build and fetch what test-runners needs, which it does itself otherwise
	$(PYTHON) -m tests.runners.engines prism > /dev/null
	$(PYTHON) -m tests.runners.engines flink > /dev/null

.PHONY: lock
lock: setup ## Renew constraints.txt with the newest versions that fit together
	$(RUN) .ci/lock.py
	@echo "Now run: make test"

.PHONY: clean
clean: ## Remove what the commands and tools left behind, but neither .venv nor .cache
	rm -rf out build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
