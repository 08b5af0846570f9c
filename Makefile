# Everything a newcomer or CI runs. `make` alone lists the targets.
# Needs nothing but make and Python 3.11 or newer (with venv); the rest goes into .venv.

VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8080
CONFIG ?= config.yaml
# Gateways that tests start, and each of pytest's processes, would compile all sources anew: a third of a start.
unexport PYTHONDONTWRITEBYTECODE
# pytest-xdist workers: one more than cores, since one of them mostly waits for a server, a browser or a clock.
JOBS   ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
ARGS   ?=
# `make floors`: an environment of its own, and what tests need beside the gateway, as new as can be had.
FLOORS := .venv-floors
FLOOR_TOOLS := 'pytest>=9' 'pytest-aiohttp>=1.1' 'pytest-timeout>=2.4' 'pytest-xdist>=3.8' 'hypothesis>=6.130' 'babel>=2.17' 'aiosmtpd>=1.4.6' 'mmdb-writer>=0.2.5'

# `make lock`: one file for all systems and versions of Python.
LOCKER := .venv-lock
LOCK   := $(LOCKER)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' pyproject.toml
IMAGE_EXTRAS := postgres redis ldap otel acme scim

# The first interpreter that is new enough and can make a venv.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

# What people read is compiled: `make messages` collects it, this rule follows edited catalogues.
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard gateway/i18n/locales/*/LC_MESSAGES/messages.po))

.DEFAULT_GOAL := help
.PHONY: help run serve test retest fuzz faults floors recipes lint format messages e2e bench scale hops lock wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed $(CATALOGUES) ## start the demo at http://localhost:8080 (PORT=... for another port)
	@exec $(BIN)/auth-gateway demo --port $(PORT)

serve: $(VENV)/.installed $(CATALOGUES) ## start the gateway with ./config.yaml (CONFIG=... for another file)
	@exec $(BIN)/auth-gateway serve --config $(CONFIG)

test: $(VENV)/.installed-dev $(CATALOGUES) ## run the tests (ARGS="-k name" for some of them)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -q $(ARGS)

retest: ## run what just failed once more, one test at a time on a quiet machine; many failures are no accident
	$(BIN)/python -c 'import json, sys; sys.exit(len(json.load(open(".pytest_cache/v/cache/lastfailed"))) > 3)'
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none -q $(ARGS)

faults: $(VENV)/.installed-dev $(CATALOGUES) ## break what the gateway stands on, also the tests that take minutes
	$(BIN)/python -m pytest -q --run-long tests/faults $(ARGS)

floors: ## install the lowest versions that pyproject.toml allows, and run the unit tests on them
	test -x $(FLOORS)/bin/python || $(PYTHON) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(FLOORS) $(FLOORS)/bin/uv pip install --quiet --resolution lowest-direct -e '.[postgres,redis,ldap,acme,otel,envoy,scim]' $(FLOOR_TOOLS)
	$(FLOORS)/bin/python -m gateway.i18n.compile
	$(FLOORS)/bin/python -m pytest -q -p no:cacheprovider -n $(JOBS) tests/unit tests/contract $(ARGS)

fuzz: $(VENV)/.installed-dev ## many made-up connections and answers of apps (EXAMPLES=20000)
	FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest -q --timeout 3600 tests/unit/server/test_connection_model.py tests/unit/proxy/test_upstream_fuzz.py $(ARGS)

recipes: $(VENV)/.installed-dev $(CATALOGUES) ## install apps of docs/recipes.md into .recipes and use them behind the gateway (ARGS="mlflow pgadmin")
	$(BIN)/python -m tests.recipes $(ARGS)

lint: $(VENV)/.installed-dev ## ruff, its formatter and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.installed-dev ## collect what people read into gateway/i18n/locales (docs/translating.md)
	$(BIN)/python -m gateway.i18n.extract
	$(BIN)/python -m gateway.i18n.compile

e2e: $(VENV)/.installed-dev $(CATALOGUES) ## browser tests alone (needs Chromium)
	$(BIN)/python -m pytest -q tests/e2e $(ARGS)

bench: $(VENV)/.installed-dev $(CATALOGUES) ## measure beside nginx, HAProxy, Caddy, oauth2-proxy (ARGS=--quick)
	$(BIN)/python -m bench.bench $(ARGS)

scale: $(VENV)/.installed-dev $(CATALOGUES) ## big tables: how long does a request wait beside big work (ARGS="--users 10000 --databases sqlite")
	$(BIN)/python -m bench.scale.run $(ARGS)

hops: $(VENV)/.installed-dev $(CATALOGUES) ## count the files that a request enters (ARGS=-v lists them)
	@$(BIN)/python -m tests.hops $(ARGS)

lock: ## write down the newest versions that pyproject.toml allows, with their hashes: for the image, and for tests
	test -x $(LOCKER)/bin/uv || { $(PYTHON) -m venv $(LOCKER) && $(LOCKER)/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	$(LOCK) $(addprefix --extra ,$(IMAGE_EXTRAS)) --output-file deploy/requirements.lock
	$(LOCK) --all-extras --output-file .ci/requirements.lock

wheel: $(VENV)/.installed-dev ## build dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what was installed and built (not var/: it holds keys and users)
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer with venv (Debian/Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo 'Installing into $(VENV), once; it may take a minute or two.'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# Tests run with the versions that were tested last. Where one of them can't be had, with what pyproject.toml allows.
$(VENV)/.installed-dev: pyproject.toml .ci/requirements.lock | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/requirements.lock || \
		echo 'make: not all versions of .ci/requirements.lock can be installed here; taking what pyproject.toml allows' >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

# Where Babel is missing (a clone that only runs the gateway), the installation compiles.
$(CATALOGUES): %.mo: %.po | $(VENV)/.installed
	@$(BIN)/python -m gateway.i18n.compile 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
