.DEFAULT_GOAL := help
# Without bytecode each of a thousand commands that tests start compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo demo-intelia enterable check test docs screens contract bench soak soak-fuzz soak-kills soak-data soak-workers soak-long lock wheels fuzz clean

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NATIVE := $(VENV)/.native
ENV := $(READY) $(NATIVE)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
DEMO ?= demo
BENCH ?=
SEED ?= 1
WORKERS ?= auto
FUZZ_S ?= 3600
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS)
FIXED := -p randomly --randomly-seed=$(SEED) --hypothesis-seed=$(SEED) --durations=10 --durations-min=10

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: enterable $(ENV) ## sample data, their migration with its proof, questions in SQL; all in demo/
	@$(BIN)/python examples/devora/demo.py '$(DEMO)'

demo-intelia: enterable $(ENV) ## two servers of PostgreSQL under one API, and its answers; all in demo-intelia/
	@$(BIN)/python examples/intelia/demo.py demo-intelia

# As root, PostgreSQL runs as nobody: what it cannot reach is told before anything is downloaded.
enterable:
	@$(PYTHON) -c 'import os, pwd, sys; os.setgroups([]); os.setuid(pwd.getpwnam("nobody").pw_uid); \
	  sys.exit(0 if os.access(os.getcwd(), os.X_OK) else 13)' 2>/dev/null; [ $$? != 13 ] || { \
	  echo 'As root, PostgreSQL runs as user nobody, who cannot enter $(CURDIR).' >&2; \
	  echo 'Move the clone to a folder that everybody can enter, such as /opt, or be an ordinary user.' >&2; exit 1; }

check: $(ENV) ## format, lint, types, imports, references; prints budgets and the way of one document
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/references.py --check
	$(BIN)/python tools/budgets.py
	$(BIN)/python tools/way.py

test: check ## check, then all tests but the soak, on the embedded PostgreSQL (SEED=1 WORKERS=auto)
	$(PYTEST) $(FIXED)

docs: $(ENV) ## the site, in site/index.html; the references are made from the code first
	$(BIN)/python tools/references.py
	$(BIN)/python tools/mermaid.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

screens: $(ENV) ## the pictures of the command line in docs/images, from the demo
	$(BIN)/python tools/screens.py

contract: $(ENV) ## the tests that depend on the server, on Debian's PostgreSQL 15
	ASSISE_TEST_SERVER=/usr/lib/postgresql/15/bin $(PYTEST) $(FIXED) -m 'contract and not soak'

bench: $(ENV) ## load, verify and infer against bare COPY and a script by hand, estimates, access rules, the cache, the applications, into benchmarks/results.md (BENCH='--runs 1')
	$(BIN)/python benchmarks/load.py $(BENCH)
	$(BIN)/python benchmarks/estimate.py
	$(BIN)/python benchmarks/live.py
	$(BIN)/python benchmarks/access.py
	$(BIN)/python benchmarks/cache.py --check
	$(BIN)/python benchmarks/applications.py --check

SOAK := $(BIN)/python tools/soak.py

soak: $(ENV) ## the long tests, in pieces that append to soak.log; the same call goes on
	$(SOAK)

soak-fuzz soak-kills soak-data soak-workers soak-long: $(ENV) # the laws, random kills, what takes over ten seconds, several workers, millions of documents
	$(SOAK) $@

lock: pyproject.toml ## requirements.lock from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --all-extras --group dev --group docs --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet $(UPGRADE) --output-file requirements.lock
	@! grep -n '://' requirements.lock

fuzz: ## any bytes to the readers of the crate, for FUZZ_S=3600 seconds; needs a nightly Rust and cargo-fuzz
	mkdir -p build/corpus
	cd native && cargo +nightly fuzz run --target-dir '$(abspath build/fuzz)' read '$(abspath build/corpus)' fuzz/seeds -- -max_total_time=$(FUZZ_S) -max_len=4096

clean: ## remove the environment, the demo, caches and built files
	[ ! -d '$(DEMO)' ] || [ ! -x $(BIN)/assise ] || $(BIN)/assise pg stop -f '$(DEMO)'
	[ ! -d demo-intelia ] || [ ! -x $(BIN)/assise ] || { $(BIN)/assise pg stop -f demo-intelia --on auth; $(BIN)/assise pg stop -f demo-intelia; }
	rm -rf $(VENV) '$(DEMO)' demo-intelia dist build site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests tools examples -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo '$(PYTHON) is not Python 3.11 or later. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo '$(PYTHON) cannot make environments. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Making $(VENV) from requirements.lock: some 120 MB to download, a minute or two'
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

# Without the crate everything works, and documents go through Python. An older one must not stay.
# What was not built is tried again: the file is made only by a build.
$(NATIVE): $(READY) $(wildcard native/src/*.rs) native/Cargo.toml native/pyproject.toml
	@if ! command -v cargo >/dev/null; then \
	  $(PIP) uninstall --yes assise-native 2>/dev/null; rm -f $@; \
	  echo 'No cargo: assise-native is not built, documents go through Python (Rust 1.83 or later: https://rustup.rs)'; \
	elif VIRTUAL_ENV='$(abspath $(VENV))' CARGO_TARGET_DIR='$(abspath build/native)' \
	  $(BIN)/maturin develop --quiet --release -m native/Cargo.toml >$(VENV)/native.log 2>&1; then touch $@; else \
	  $(PIP) uninstall --yes assise-native 2>/dev/null; rm -f $@; \
	  echo 'assise-native could not be built, as $(VENV)/native.log says: documents go through Python'; fi

wheels: $(ENV) ## a wheel of assise-native in dist/, for this machine or WHEEL='--target x86_64-unknown-linux-musl'
	CARGO_TARGET_DIR='$(abspath build/native)' $(BIN)/maturin build --release --out dist -m native/Cargo.toml $(WHEEL)
