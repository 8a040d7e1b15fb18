PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: help setup demo stream-demo emulators test faults lint check gcp-test bench bench-large bench-stream bench-sink accuracy docs lock clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready  ## The virtual environment with the command attribeam

$(VENV)/.ready: pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or 3.12 is needed: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# The lock names all; pip 23 would take google-auth[pyopenssl] in it for one without a version.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@# Twice quiet: setuptools warns of what -e is.
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## Example events, attributed: a table of calls and of calls by source
	$(BIN)/python -m pipelines.demo $(DEMO)

stream-demo: setup  ## The same events through a real Pub/Sub server, revisions shown as they come
	$(BIN)/python scripts/stream_demo.py $(DEMO)

emulators: setup  ## The servers that tests run against, built once with Go
	$(BIN)/python tests/emulators/servers.py

test: setup  ## All tests that can run here
	@# Many tests wait for servers and processes, so there are more workers than processors.
	$(BIN)/python -m pytest -n 6 --dist loadgroup

faults: setup  ## A stream killed, failing and badly fed 200 times, against a backfill
	PYTHONPATH=.:tests $(BIN)/python -m faults.run --faults 200 --seed 1

lint: setup  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/make_docs.py --check

check: lint test  ## What CI runs

gcp-test: setup  ## Sink and stream in a real project: PROJECT=… REGION=… IMAGE=… (docs/deploy.md)
	@$(BIN)/python scripts/gcp_test.py "$(PROJECT)" "$(REGION)" "$(IMAGE)"

bench: setup  ## 2 M pageviews against a bare DuckDB script and per-element Beam
	$(BIN)/python benchmarks/run.py

bench-large: setup  ## 10 M pageviews
	$(BIN)/python benchmarks/run.py --large

accuracy: setup  ## How right it is: simulated sites, measured into docs/accuracy.md
	$(BIN)/python scripts/make_accuracy.py

bench-stream: setup  ## The local stream as its state grows to a million sessions
	$(BIN)/python benchmarks/stream.py

bench-sink: setup  ## Rows a second and core of the client that go to BigQuery
	$(BIN)/python benchmarks/sink.py

docs: setup  ## Generated documents: column and configuration reference, BigQuery schemas
	$(BIN)/python scripts/make_docs.py

lock: setup  ## requirements.lock from pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --extra dev --strip-extras --allow-unsafe --no-emit-options --no-header --output-file requirements.lock pyproject.toml

clean:  ## Removes what was made, not bench-data
	rm -rf $(VENV) $(DEMO) build .pytest_cache .mypy_cache .ruff_cache *.egg-info
