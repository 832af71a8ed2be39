# These need Python 3.11 or later and make, and install all else into .venv:
#   make demo          a fit of a simulated recording, with pictures in demo_output
#   make test          the quick tests; test-slow the others, test-all both
#   make lint          style and types
#   make coverage      the lines that the quick tests run
#   make test-minimum  the quick tests with the oldest versions that pyproject.toml allows
#   make docs          the pages, into docs/_build/html
#   make benchmark     the tables of the documentation, from the recordings
#   make bench         speed and memory, into speed.json; make bench QUICK=--quick is a look of minutes
PYTHON ?= python3
BIN := .venv/bin
CONSTRAINTS := requirements/constraints.txt
# Installed first and pinned, so that no other package chooses a build of torch. The build tool is
# pinned as well, and builds without isolation. Stamps keep later runs from installing again.
TORCH := $(shell grep '^torch==' $(CONSTRAINTS))
# Threads that wait without spinning: on shared cores a spinning fit can be many times slower.
export OMP_WAIT_POLICY ?= PASSIVE
INSTALL := -m pip install --quiet --disable-pip-version-check
PIP := $(BIN)/python $(INSTALL)
OLD := .venv-minimum/bin
# Two processes, each of which computes on one core.
PYTEST := -m pytest --numprocesses 2 --dist worksteal

.PHONY: demo test test-slow test-all test-minimum coverage lint docs benchmark bench clean

demo: .venv/demo.stamp
	$(BIN)/neuromask demo --out demo_output --overwrite

test test-slow test-all test-minimum coverage: export OMP_NUM_THREADS = 1

test: .venv/test.stamp
	$(BIN)/python $(PYTEST) -m 'not slow'

test-slow: .venv/test.stamp
	$(BIN)/python $(PYTEST) -m slow

test-all: .venv/test.stamp
	$(BIN)/python $(PYTEST)

# Old versions warn of newer ones.
test-minimum: .venv-minimum/stamp
	$(OLD)/python $(PYTEST) -m 'not slow' -W ignore::DeprecationWarning -W ignore::FutureWarning

coverage: .venv/test.stamp
	$(BIN)/python $(PYTEST) -m 'not slow' --cov --cov-report term-missing:skip-covered

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs.stamp
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

benchmark: .venv/test.stamp
	$(BIN)/python tests/benchmarks/recordings.py
	$(BIN)/python tests/benchmarks/decoding.py folds 1 2 4 5 12 13 14 15
	$(BIN)/python tests/benchmarks/decoding.py few 1 2 4 5 12 13 14 15 --picture docs/images/few_labels.png
	$(BIN)/python tests/benchmarks/decoding.py cost 12
	$(BIN)/python tests/benchmarks/decoding.py simulated 0 1

bench: .venv/test.stamp
	$(BIN)/python tests/benchmarks/speed/run.py --out speed.json $(QUICK)

.venv/torch.stamp: $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "neuromask needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(PIP) '$(TORCH)'
	$(PIP) -c $(CONSTRAINTS) hatchling editables
	touch $@

.venv/demo.stamp: .venv/torch.stamp pyproject.toml
	$(PIP) -c $(CONSTRAINTS) --no-build-isolation -e '.[plots]'
	touch $@

# ibl-bwb-eval pins old versions of much that its metrics do not need, hence --no-deps.
.venv/test.stamp: .venv/torch.stamp pyproject.toml
	$(PIP) -c $(CONSTRAINTS) --no-build-isolation -e '.[test]'
	$(PIP) -c $(CONSTRAINTS) --no-deps ibl-bwb-eval torchmetrics lightning-utilities
	touch $@

.venv/docs.stamp: .venv/torch.stamp pyproject.toml
	$(PIP) -c $(CONSTRAINTS) --no-build-isolation -e '.[docs]'
	touch $@

.venv-minimum/stamp: requirements/minimum.txt pyproject.toml
	$(PYTHON) -m venv .venv-minimum
	$(OLD)/python $(INSTALL) '$(TORCH)'
	$(OLD)/python $(INSTALL) -r requirements/minimum.txt hatchling editables
	$(OLD)/python $(INSTALL) -c requirements/minimum.txt --no-build-isolation -e '.[plots,nwb]'
	touch $@

clean:
	rm -rf .venv .venv-minimum demo_output docs/_build docs/generated
