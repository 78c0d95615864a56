# make search | make test | make lint | make clean; each installs what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install search gpu-check evidence test test-all lint docs format clean

help:
	@echo "make search    search split-attention networks on real images (2 to 3 minutes on 2 cores)"
	@echo "make test      run the tests           make test-all   the slow ones too"
	@echo "make gpu-check all tests and measurements for a GPU (40 minutes; DATA=folder with CIFAR-10; DRY=1 on the CPU)"
	@echo "make lint      ruff, mypy, layers      make docs       the documentation, into build/site"
	@echo "make evidence  what was measured on real images: the commands, and how long each takes"
	@echo "make clean     remove .venv and caches"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "$$($(PYTHON) --version) will not do: Python 3.11, 3.12 or 3.13 is needed, e.g. make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@echo "installing into $(VENV) (a minute or two, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps resnest==0.0.5
	@touch $@

search: install
	@$(BIN)/python run_search.py search quick

# a GPU machine has a torch of its own, with all that this needs: nothing is installed over it
GPU_PYTHON ?= $(if $(wildcard $(STAMP)),$(BIN)/python,$(PYTHON))
gpu-check:
	@$(GPU_PYTHON) -c 'import sys; assert sys.version_info >= (3, 11); import torch, numpy, PIL, pyarrow' 2>/dev/null || { echo "$(GPU_PYTHON) will not do: Python 3.11 or newer with torch, numpy, Pillow and pyarrow is needed, e.g. make gpu-check GPU_PYTHON=/path/to/python3" >&2; exit 2; }
	@$(GPU_PYTHON) -m benchmarks.gpu $(if $(DATA),--data $(DATA)) $(if $(DRY),--dry-run)

evidence: install
	@$(BIN)/python -m rich.markdown docs/evidence/reproduce.md

test: install
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

test-all: install
	@$(BIN)/python -m pytest -n $(WORKERS)

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "build/site/index.html"

$(VENV)/.docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) *.egg-info build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
