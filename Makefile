# Every word a developer or CI types. `make` alone says what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
FUZZ_SECONDS ?= 600

.PHONY: help setup demo test check fmt bench detectors soak fuzz golden live lock clean

help:
	@echo "make demo    the whole way in a few minutes: exchange, collector, analyzer, replay, scores"
	@echo "make test    lint, types, tests, coverage"
	@echo "make live    collector and analyzer on real Binance (config/development.yaml)"
	@echo "make setup   install into $(VENV)      make check   lint and types only"
	@echo "make fmt     format the code           make bench   speed as ratios against references"
	@echo "make soak    fault tests (an hour)   make golden  rewrite the golden files"
	@echo "make fuzz    inputs that break a reader, ten minutes each (needs atheris)"
	@echo "make detectors  what is found of what was planted (minutes)"
	@echo "make lock    resolve dependencies anew into requirements.lock"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; name one with make PYTHON=…") if sys.version_info < (3, 11) else None'
	@if command -v uv >/dev/null 2>&1; then \
	    uv venv --quiet --allow-existing --seed --python "$$(command -v $(PYTHON))" $(VENV) && \
	    uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; \
	else \
	    $(PYTHON) -m venv $(VENV) && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

setup: $(READY)
	@echo "installed into $(VENV)"

demo: $(READY)
	@$(BIN)/python demo.py

check: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "formatting differs: run make fmt"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

test: check
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not soak" --cov --cov-report=term:skip-covered --cov-fail-under=90

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

live: $(READY)
	@$(BIN)/python agent_data_collector.py --config config/development.yaml & collector=$$!; \
	$(BIN)/python agent_analyzer.py --config config/development.yaml & analyzer=$$!; \
	trap 'kill -INT $$analyzer $$collector 2>/dev/null' INT TERM; \
	wait $$analyzer; wait $$collector; wait $$analyzer $$collector

lock:
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --extra dev --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build *.egg-info
