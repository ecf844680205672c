.DEFAULT_GOAL := help
.PHONY: help check test docs contract soak soak-fuzz soak-kills soak-data soak-long lock clean

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
SEED ?= 1
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS)
FIXED := -p randomly --randomly-seed=$(SEED) --hypothesis-seed=$(SEED) --durations=10 --durations-min=10

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: $(READY) ## format, lint, types, imports, references; prints budgets and the way of one document
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/references.py --check
	$(BIN)/python tools/budgets.py
	$(BIN)/python tools/way.py

test: check ## check, then the tests on the embedded PostgreSQL (SEED=1 WORKERS=auto)
	$(PYTEST) $(FIXED)

docs: $(READY) ## the site, in site/index.html; the references are made from the code first
	$(BIN)/python tools/references.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Two tests compare catalogs with those of an embedded server of their own, which is another version.
OWN_SERVER := an_immediate_stop_of_the_server or leaves_its_server_to_the_other

contract: $(READY) ## the tests of everything that reaches the server, on Debian's PostgreSQL 15
	ASSISE_TEST_SERVER=/usr/lib/postgresql/15/bin $(PYTEST) $(FIXED) -k "not ($(OWN_SERVER))" \
	  tests/transfer tests/rows/test_numeric.py tests/rows/test_assemble.py

SOAK := $(BIN)/python tools/soak.py

soak: $(READY) ## the long tests, in pieces that append to soak.log; the same call goes on
	$(SOAK)

soak-fuzz soak-kills soak-data soak-long: $(READY) # the laws, random kills, what takes over ten seconds, a million documents
	$(SOAK) $@

lock: pyproject.toml ## requirements.lock from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --all-extras --group dev --group docs --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet $(UPGRADE) --output-file requirements.lock
	@! grep -n '://' requirements.lock

clean: ## remove the environment, caches and built files
	rm -rf $(VENV) dist build site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo '$(PYTHON) is not Python 3.11 or later. Install it, or name it: make test PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo '$(PYTHON) cannot make environments. On Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PIP) install --require-hashes --only-binary :all: -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@
