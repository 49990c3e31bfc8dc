# Every word a developer or CI types. `make` alone says what there is.
# The first Python that is new enough; another one: make PYTHON=/path/to/python
PYTHON := $(or $(PYTHON),$(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS := $(or $(WORKERS),$(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ "$$n" -gt 8 ] && n=8; echo "$$n"))
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# What `make test-all` runs, where from, and how it counts coverage. CI runs it in parts.
ALL ?= not soak
TESTS ?= tests
COVERAGE ?= --cov --cov-report=term:skip-covered --cov-fail-under=90
FUZZ_SECONDS ?= 600
CONFIG ?= config/development.yaml

.PHONY: help setup demo test test-all check fmt bench detectors soak fuzz golden live lock clean

help:
	@echo "make demo    the whole way in a few minutes: exchange, collector, analyzer, replay, scores"
	@echo "make test    lint, types, the quick tests (a few minutes)   make test-all  every test but those of soak, with coverage"
	@echo "make live    collector and analyzer on real Binance (config/development.yaml)"
	@echo "make setup   install into $(VENV)      make check   lint and types only"
	@echo "make fmt     format the code           make bench   speed as ratios against references"
	@echo "make soak    fault tests (an hour)     make golden  rewrite the golden files"
	@echo "make fuzz    inputs that break a reader, ten minutes each (needs atheris)"
	@echo "make detectors  what is found of what was planted (minutes)"
	@echo "make lock    resolve dependencies anew into requirements.lock (needs uv)"

# One way for every machine: the venv's own pip, whichever it is, and only what the lock names by its hash.
$(READY): requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed and none is on the PATH; install one, or name it: make PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; name one with make PYTHON=…") if sys.version_info < (3, 11) else None'
	@"$(PYTHON)" -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "installing into $(VENV), once; about a minute"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -x "/($(VENV)|tests)/" .  # as pip does for what it installs: faster starts
	@touch $(READY)

setup: $(READY)
	@echo "installed into $(VENV)"

demo: $(READY)
	@$(BIN)/python -m cli.demo

check: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "formatting differs: run make fmt"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

test: check
	@$(PYTEST) -m "not slow and not soak"

# Two workers more than cores: most of these tests wait for processes. A file's tests share what takes long.
test-all: check
	@$(PYTEST) -n $$(($(WORKERS) + 2)) --dist loadfile -m "$(ALL)" $(TESTS) $(COVERAGE)

fmt: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

detectors: $(READY)
	@$(BIN)/python -m bench.detectors

bench: $(READY)
	@$(BIN)/python -m bench

soak: $(READY)
	@$(BIN)/python -m pytest -q -m soak

fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

golden: $(READY)
	@GOLDEN=rewrite $(BIN)/python -m pytest -q tests/golden

# Ctrl+C reaches both daemons; one that ends by itself ends the other.
live: $(READY)
	@$(BIN)/python agent_data_collector.py --config "$(CONFIG)" & collector=$$!; \
	$(BIN)/python agent_analyzer.py --config "$(CONFIG)" & analyzer=$$!; \
	trap 'kill -INT $$analyzer $$collector 2>/dev/null' INT TERM; \
	while kill -0 $$collector 2>/dev/null && kill -0 $$analyzer 2>/dev/null; do sleep 0.5; done; \
	kill -INT $$analyzer $$collector 2>/dev/null; \
	wait $$collector; recorded=$$?; wait $$analyzer; analysed=$$?; \
	exit $$((recorded ? recorded : analysed))

lock:
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	    --no-emit-find-links --extra dev --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build *.egg-info
