SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-elasticsearch elasticsearch baselines test soak check format docs lock clean

BIN := .venv/bin
READY := .venv/ready
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; assert (3, 11) <= sys.version_info < (3, 14)' 2>/dev/null && echo $$p && break; \
	done)

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## index, train and search the sample gallery; the first time it installs into .venv
	$(BIN)/python VisualSearch.py -yml application.yaml

demo-elasticsearch: $(READY) ## the same on an Elasticsearch of its own: every hit beside the embedded store's (Java, Maven)
	$(BIN)/python tools/demo_elasticsearch.py

elasticsearch: $(READY) ## start an Elasticsearch at port 9200 to try things out, until Ctrl-C (Java, Maven; ARGS=--help)
	$(BIN)/python tools/elasticsearch start --port 9200 $(ARGS)

baselines: $(READY) ## measure earlier systems and ours in one table: LFW=FOLDER CALTECH=FOLDER or one of them (ARGS=--help)
	$(BIN)/python tools/baselines.py $(if $(LFW),--lfw "$(LFW)") $(if $(CALTECH),--caltech "$(CALTECH)") $(ARGS)

test: check ## all checks and tests but the long ones
	$(BIN)/python -m pytest -q tests -m "not soak"

soak: $(READY) ## the tests that take longer
	$(BIN)/python -m pytest -q tests -m soak --timeout 7200

check: $(READY) ## format, lint, types, documentation, examples in docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/write_docs.py --check
	$(BIN)/python -m pytest -q src

format: $(READY) ## put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## write the generated pages of docs/ anew
	$(BIN)/python tools/write_docs.py

lock: $(READY) ## resolve requirements.txt anew from the ranges of pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --upgrade \
		--no-header --no-emit-index-url --no-annotate pyproject.toml --output-file .venv/requirements.txt
	{ sed '/^[^#]/,$$d' requirements.txt; cat .venv/requirements.txt; } > .venv/lock && mv .venv/lock requirements.txt

clean: ## remove what was made: environment, caches, models; the starter stays
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find models -mindepth 1 -maxdepth 1 ! -name starter -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Expected Python 3.11, 3.12 or 3.13 with its venv module; found none." \
		"Install one, or name it: make PYTHON=/path/to/python3.12 ..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
