# `make demo` and `make test` do all the set-up themselves; nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-long lint clean

demo: $(STAMP)
	$(BIN)/modelbuild -C examples/digits build

# Compiled once, also where PYTHONDONTWRITEBYTECODE is set: the tests start the command hundreds of times, and
# pytest rewrites each test's assertions.
test test-long: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP)
	$(BIN)/python -m compileall -q -j 0 modelbuild tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

test-long: $(STAMP)
	$(BIN)/python -m compileall -q -j 0 modelbuild tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,train]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
