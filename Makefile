# `make demo` and `make test` need Python 3.11 or later and make, and install all else into .venv.
PYTHON ?= python3
BIN := .venv/bin
CONSTRAINTS := requirements/constraints.txt
# Installed first and pinned, so that no other package chooses a build of torch.
TORCH := $(shell grep '^torch==' $(CONSTRAINTS))
# Threads that wait without spinning: on shared cores a spinning fit can be many times slower.
export OMP_WAIT_POLICY ?= PASSIVE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint docs benchmark clean

demo: .venv/demo.stamp
	$(BIN)/neuromask demo --out demo_output --overwrite

test: .venv/test.stamp
	$(BIN)/python -m pytest

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/docs.stamp
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

benchmark: .venv/test.stamp
	$(BIN)/python tests/benchmarks/recordings.py

.venv/torch.stamp: $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) '$(TORCH)'
	touch $@

.venv/demo.stamp: .venv/torch.stamp pyproject.toml
	$(PIP) -c $(CONSTRAINTS) -e '.[plots]'
	touch $@

.venv/test.stamp: .venv/torch.stamp pyproject.toml
	$(PIP) -c $(CONSTRAINTS) -e '.[test]'
	# The benchmark's scorer pins old versions of everything; its metrics run with these.
	$(PIP) -c $(CONSTRAINTS) --no-deps ibl-bwb-eval torchmetrics lightning-utilities
	touch $@

.venv/docs.stamp: .venv/torch.stamp pyproject.toml
	$(PIP) -c $(CONSTRAINTS) -e '.[docs]'
	touch $@

clean:
	rm -rf .venv demo_output docs/_build docs/generated
