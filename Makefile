# make setup | run | test | bench, each by itself on a machine with Python 3.10 or later and make.

MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test bench

setup: .venv/ready

# PIP_CONSTRAINT pins the build tools of packages that come as source, too.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[board,dask,files,models,parquet,plots,test]'
	touch $@

# Evaluates the bundled models: accuracy, cost and speed, one record each, then the tables and pictures.
run: setup
	$(BIN)/cvbench run
	$(BIN)/cvbench leaderboard

# The compiled suite checks every index; the second one runs the same kernels as plain Python.
test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	NUMBA_BOUNDSCHECK=1 $(BIN)/pytest -n auto
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -n auto

# Compares with other packages; about an hour. `make bench SIZES=50k` or `ROWS=boxes,pq` do some of it. A run that was stopped
# goes on; what has been measured stays until sources or packages change. A complete one writes leaderboards/speed.* and the README.
# Where pip cannot install all of the packages, those that are there take part.
bench: setup
	-PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/pytest -v tests/bench $(if $(SIZES),--sizes=$(SIZES)) $(if $(ROWS),--rows=$(ROWS)) $(if $(PROCESSES),--processes=$(PROCESSES))
