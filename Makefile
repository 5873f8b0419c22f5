# The commands for people. They need make, and Python 3.11 or newer with venv; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
ENVIRONMENT := sh scripts/environment.sh

.PHONY: help run bench quick test faults chaos check static-checks code-checks project-checks format lock licences sbom release clean

help:
	@echo "make run      start LeadMachine with demo data on http://127.0.0.1:8000/ (another port: PORT=8123 make run)"
	@echo "make quick    the tests of the modules that you have changed, within a minute; TESTS=tests/crm for others"
	@echo "make test     all tests, with one fault test of each group"
	@echo "make faults   all fault tests; what make test does at a small size is done in full"
	@echo "make chaos    the long fault runs (RUNS=10 times as much as in make faults; SEED=... repeats one; LONG=1: a release)"
	@echo "make check    format, lint, types, boundaries, migrations, settings, then make test and make faults: what CI runs"
	@echo "make bench    the benchmarks, each next to its baseline; BENCH=--quick for a look, BENCH='--only drain' for one"
	@echo "make format   put all code into its usual form"
	@echo "make lock     write the lock files again from pyproject.toml, and look for newer and vulnerable packages (needs uv;"
	@echo "              UPGRADE=1: with the newest ones)"
	@echo "make licences write docs/licences.md: the licences of the packages that are installed to run"
	@echo "make sbom     write sbom.json: a bill of materials (CycloneDX) of what is installed to run"
	@echo "make release  make check, then the files of a release in dist/: sources, bill of materials, checksums"
	@echo "make clean    remove .venv and caches; the data in var/ stays"

# --- the environment: a stamp is renewed only when its lock file changes, so that a second start takes seconds ---

$(BIN)/python:
	@$(ENVIRONMENT) create $(PYTHON)

.venv/.to-run: requirements.lock requirements-postgresql.lock | $(BIN)/python
	@echo "Installing what LeadMachine needs to run ..."
	@$(ENVIRONMENT) install requirements.lock
	@$(ENVIRONMENT) install requirements-postgresql.lock
	@touch $@

.venv/.to-develop: requirements-dev.lock | $(BIN)/python
	@echo "Installing what the tests and checks need ..."
	@$(ENVIRONMENT) install requirements-dev.lock
	@touch $@

# --- run: development and the sandbox, unless the environment or .env says otherwise (leadmachine/environment.py) ---

run: export LEADMACHINE_MAKE_RUN = 1
run: .venv/.to-run
	@$(BIN)/python manage.py demo --set-up
	@exec $(BIN)/gunicorn --config leadmachine/gunicorn.py leadmachine.wsgi

# --- tests and checks ---

# One worker more than processors, because tests wait for browsers, processes and clocks; each has a PostgreSQL and a
# Valkey of its own. Two more take a tenth more CPU for the same tests, which then miss time limits sooner.
# SIDE_BY_SIDE= runs one test at a time.
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 8))')
SIDE_BY_SIDE ?= --numprocesses $(WORKERS) --dist worksteal
PYTEST := $(BIN)/python -m pytest $(SIDE_BY_SIDE)
TESTS ?=
# Only the files that have such a marker: collecting all files takes longer than running these.
marked = $(or $(TESTS),$(shell grep -rlE 'mark\.($(1))\b' tests --include='test_*.py'))

quick: export SMALL_SIZE ?= 1
quick: .venv/.to-develop
	@$(PYTEST) -m "not browser and not processes and not faults and not sized" \
	  $(shell $(BIN)/python scripts/tests_of_changes.py $(TESTS))

# If the environment forbids bytecode files, each worker of each run would compile all tests again.
quick test faults: export PYTHONDONTWRITEBYTECODE :=

TESTED := not faults or representative
test: export SMALL_SIZE ?= 1
test: .venv/.to-develop
	@echo "All tests, and one fault test of each group:"
	@$(PYTEST) -m "$(TESTED)" $(TESTS)

FAULTS := faults
faults: .venv/.to-develop
	@echo "All fault tests, and in full what make test does at a small size:"
	@$(PYTEST) -m "$(FAULTS) or sized" $(call marked,faults|sized|thorough) $(if $(TESTS),,tests/browser)

RUNS ?= 10

chaos: .venv/.to-develop
	@$(BIN)/python -m tests.faults.chaos $(if $(LONG),--long,--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)")

# Nothing runs twice: make test leaves out the tests that make faults runs in full, and make faults those already run.
# Not in one run of pytest: among the fault tests, those of crm and capi took up to a tenth longer.
check: TESTED := (not faults or representative) and not sized
check: FAULTS := faults and not representative
check: static-checks test faults

# In two halves that take about equally long, side by side.
static-checks: .venv/.to-develop
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) \
	  code-checks project-checks

code-checks: .venv/.to-develop
	@echo "Format:"
	@$(BIN)/ruff format --check
	@$(BIN)/djangofmt --check templates
	@echo "Template lines over 120 characters:"
	@! LC_ALL=C.UTF-8 grep -rnE '^.{121}' templates
	@echo "Lint:"
	@$(BIN)/ruff check
	@echo "Types:"
	@$(BIN)/mypy
	@echo "Boundaries between the packages:"
	@$(BIN)/lint-imports
	@echo "Security lint:"
	@$(BIN)/bandit --quiet --recursive --severity-level medium --ignore-nosec crm capi leadmachine postgresql

project-checks: .venv/.to-develop
	@echo "Secrets, pinned packages, and what pages load:"
	@$(BIN)/python scripts/check_repository.py
	@echo "Licences of what is installed to run:"
	@$(BIN)/python scripts/licences.py
	@echo "Containers and their proxy:"
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/yamllint --strict --config-data '{extends: relaxed, rules: {line-length: {max: 120}}}' docker-compose.yml
	@$(BIN)/hadolint Dockerfile
	@echo "Workflows and issue templates:"
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms \
	  $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/yamllint --strict --config-data '{extends: relaxed, rules: {line-length: {max: 120}}}' \
	  .github .pre-commit-config.yaml deploy/prometheus
	@HOME=$(CURDIR)/var $(BIN)/caddy validate --adapter caddyfile --config deploy/caddy/Caddyfile >/dev/null 2>&1 \
	  || $(BIN)/caddy validate --adapter caddyfile --config deploy/caddy/Caddyfile
	@echo "A test for each fault:"
	@listed=$$($(BIN)/python -m pytest --covers) || { echo "$$listed"; exit 1; }
	@echo "Migrations that are missing:"
	@DEBUG=1 LEADMACHINE_MAKE_RUN=0 DATABASE_URL= $(BIN)/python manage.py makemigrations --check --dry-run --skip-checks
	@echo "Settings of a production installation:"
	@DEBUG=0 LINKEDIN_SANDBOX=0 LEADMACHINE_HTTPS=1 ALLOWED_HOSTS=crm.example.com \
	  DATABASE_URL=postgres://leadmachine:secret@127.0.0.1/leadmachine REDIS_URL=redis://127.0.0.1:6379/0 \
	  EMAIL_URL=smtp://localhost:25 TRUSTED_PROXIES=127.0.0.1 \
	  SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	  LEADMACHINE_TOKEN_KEYS="$$($(BIN)/python -c \
	    'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')" \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: .venv/.to-develop
	@$(BIN)/python -m benchmarks $(BENCH)

format: .venv/.to-develop
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix
	@$(BIN)/djangofmt templates

UPGRADE ?=
COMPILE := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock:
	@$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock
	@$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --group dev -o requirements-dev.lock
	@$(COMPILE) --constraint requirements-dev.lock --group postgresql -o requirements-postgresql.lock
	@echo "The lock files are written. Newer and vulnerable packages:"
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m tests.security.newest

licences: .venv/.to-develop
	@$(BIN)/python scripts/licences.py --write

sbom: .venv/.to-develop
	@$(BIN)/python -m scripts.sbom > sbom.json

release: check
	@$(BIN)/python -m scripts.release dist

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles test-results
