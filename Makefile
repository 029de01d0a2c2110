# Everything a developer needs; CI runs `make check`, the one gate.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo run test check format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## create .venv with all that is needed

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

demo: $(READY) ## create the documentation's endpoint and embed two sentences, printed
	@$(BIN)/python -m esinfer.demo

run: $(READY) ## run esinfer mock on port 9200
	@exec $(BIN)/esinfer mock

test: $(READY) ## run all tests
	$(BIN)/python -m pytest --quiet

check: $(READY) ## format, lint, types, tests: the one gate
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet --cov --cov-report=term:skip-covered --cov-fail-under=95

format: $(READY) ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure against bare aiohttp; writes build/bench.md
	@mkdir -p build
	$(BIN)/python -m tests.bench --output build/bench.md

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage
