# The verbs people type. Each sets up what it needs and skips what is there.
PYTHON ?= python3.11
VENV ?= .venv
# torch has a lock of its own, because its CPU and CUDA builds share a version. To choose a build:
#   make setup TORCH_OPTIONS="--index-url <index of the build>"
TORCH_OPTIONS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo repro test check fmt mlflow serve bench

help: ## list these verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 10

setup: $(VENV)/.ready ## install everything, pinned and hashed

$(VENV)/.ready: requirements/dev.lock requirements/torch.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --no-deps -r requirements/dev.lock
	$(PIP) install --require-hashes --no-deps $(TORCH_OPTIONS) -r requirements/torch.lock
	$(PIP) install torch==2.13.0 # what its build needs beside the locks: nothing for CPU, CUDA's libraries otherwise
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

demo: setup ## the whole story once: pipeline, gates, card, registry, server (SOURCE=smd: real data)
	wattline demo $(if $(SOURCE),--source $(SOURCE))

repro: setup ## run what changed of the pipeline
	dvc repro

test: check ## checks and tests
	tests/run

check: setup ## lint, types, layers, scripts
	ruff check . && ruff format --check .
	mypy src
	MYPYPATH=src:examples mypy -p tabular
	PYTHONPATH=examples lint-imports
	shellcheck $$(git ls-files '*.sh' tests/run .ci/run)

fmt: setup ## format and fix
	ruff check --fix . ; ruff format .

mlflow: setup ## open the MLflow UI
	wattline ui

serve: setup ## serve the champion
	wattline serve

bench: setup ## measure against peers and limits
	for benchmark in benchmarks/*.py; do python $$benchmark || exit 1; done
