# The verbs people type. Each sets up what it needs and skips what is there.
PYTHON ?= python3.11
VENV ?= .venv
# torch has locks of its own: one for the CPU build, taken wherever pip finds that build, and one for the build of the
# package index, which brings CUDA's libraries. To choose:
#   make setup TORCH=index
#   make setup TORCH_OPTIONS="--index-url <an index with the build>"
TORCH ?= cpu
TORCH_OPTIONS ?=
TORCH_CPU = $(UV) $(TORCH_OPTIONS) -r requirements/torch-cpu.lock || $(PIP_LOCK) $(TORCH_OPTIONS) -r requirements/torch-cpu.lock
# The second command installs what this build needs beside the lock: CUDA's libraries, if it has CUDA.
TORCH_INDEX = { $(PIP_LOCK) $(TORCH_OPTIONS) -r requirements/torch.lock && $(PIP) torch==2.13.0; }
BIN := $(VENV)/bin
# Where Python is told to keep no bytecode, as images for CI often do, every process would compile anew all that it imports,
# which is half the time of a stage. pip compiles by itself.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
# uv installs a lock in a tenth of pip's time, but does not read pip's configuration: it is told of the folder with wheels,
# and where it finds no index, pip does it.
UV := UV_FIND_LINKS="$${PIP_FIND_LINKS:-$$($(BIN)/python -m pip config get global.find-links 2>/dev/null)}" \
      $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps $(COMPILE)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
PIP_LOCK := $(PIP) --require-hashes --no-deps
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1

TESTS ?= tests/unit tests/gates

.DEFAULT_GOAL := help
.PHONY: help setup demo repro test thorough unit judge staging promote archive monitor nightly check fmt mlflow serve image bench

help: ## list these verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 10

setup: $(VENV)/.ready ## install everything, pinned and hashed

$(VENV)/.ready: requirements/uv.lock requirements/dev.lock requirements/torch-cpu.lock requirements/torch.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_LOCK) -r requirements/uv.lock
	$(UV) -r requirements/dev.lock || $(PIP_LOCK) -r requirements/dev.lock
	$(if $(filter cpu,$(TORCH)),$(TORCH_CPU) ||) $(TORCH_INDEX)
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

demo: setup ## the whole story once: pipeline, gates, card, registry, server (SOURCE=smd: real data)
	wattline demo $(if $(SOURCE),--source $(SOURCE))

repro: setup ## run what changed of the pipeline
	dvc repro

test: check ## checks and tests
	tests/run

thorough: check ## the same with the nightly tests and branch coverage
	tests/run --nightly

unit: setup ## the quick tests, with reports for CI (TESTS: other folders)
	mkdir -p reports/ci
	python -m pytest --junitxml=reports/ci/junit.xml -o junit_family=xunit1 --cov --cov-fail-under=0 --cov-report=term \
	    --cov-report=xml:reports/ci/coverage.xml $(TESTS)

check: setup ## lint, types, layers, scripts
	ruff check . && ruff format --check .
	mypy src
	MYPYPATH=src:examples mypy -p tabular
	PYTHONPATH=examples lint-imports
	shellcheck $$(git ls-files '*.sh' tests/run .ci/run)
	python .ci/scan_secrets.py
	python .ci/clear_notebooks.py

fmt: setup ## format and fix
	ruff check --fix . ; ruff format .
	python .ci/clear_notebooks.py --write

mlflow: setup ## open the MLflow UI
	wattline ui

serve: setup ## serve the champion
	wattline serve

judge: setup ## what CI does of a model: the champion, the pipeline, reports of it
	wattline champion
	code=0; wattline ci repro --outputs || code=$$?; wattline ci reports --code $$code; exit $$code

staging: setup ## register what was accepted, build its image once, deploy it to staging, test it there
	wattline ci repro --outputs ingest prepare
	wattline register
	wattline ci image --dotenv reports/ci/image.env
	. ./reports/ci/image.env && wattline deploy staging "$$WATTLINE_IMAGE"
	wattline acceptance staging

promote: setup ## test staging once more, and make its image production's
	wattline ci image --dotenv reports/ci/image.env
	wattline acceptance staging
	. ./reports/ci/image.env && wattline ci promote "$$WATTLINE_IMAGE"

archive: setup ## one signed archive of the champion, in build/
	wattline champion
	mkdir -p build
	wattline export "$$(python -c 'import json; print(json.load(open("champion/champion.json"))["version"])')" --to build

monitor: setup ## look at production
	wattline champion
	wattline ci repro --outputs prepare
	wattline monitor

nightly: setup ## make the champion again, bit for bit
	wattline ci nightly

image: setup ## build the image of the server with the champion in it
	docker/build.sh

bench: setup ## measure against peers and limits
	for benchmark in benchmarks/*.py; do python $$benchmark || exit 1; done
