# make demo    see it work: a Server, clients, the list of sessions, one ended
# make test    the tests
# make long    what takes minutes: very many hostile connections, and an honest client among them
# make test-windows  the tests that Windows can run, by Windows' own Python under Wine
# make check   format, lint, types and tests, with their coverage: what CI runs
# make bench   every benchmark beside its peers, and which figure fell (benchmarks/run.py): some 20 minutes
# make soak    weeks of a Server in as many minutes as ARGS="--minutes 60" says: mixed work, true lists, nothing left
# make docs    the documentation site, into build/site
#
# Each target sets up .venv by itself and does so once. Needs: python3 (3.11 or later) with venv, make, git.
# Another interpreter: make test PYTHON=python3.12. More words for pytest: make test ARGS="tests/smb2 -k signing".

PYTHON ?= python3
VENV   ?= .venv
# Tests wait for other processes nearly half of their time: three keep two cores busy.
JOBS   ?= 3
ARGS   ?=

python  := $(VENV)/bin/python
runtime := $(VENV)/.runtime-installed
dev     := $(VENV)/.dev-installed
tickets := $(VENV)/.kerberos-installed
pages   := $(VENV)/.npm-installed
install := $(python) -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-windows long bench soak check lint format docs clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

demo: $(runtime)
	@$(python) demo/demo.py $(ARGS)

test: $(dev) $(tickets) $(pages)
	$(python) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

long: $(dev) $(tickets) $(pages)
	$(python) -m pytest -m long $(ARGS)

bench: $(dev) $(pages)
	$(python) benchmarks/run.py $(ARGS)

soak: $(dev)
	$(python) tests/soak/soak.py $(ARGS)

# Without Wine (system-packages.txt) nothing of this runs, and the reason is said.
test-windows: $(dev)
	$(python) tests/windows/run.py $(ARGS)

# As `test`, and how much of the package was executed, branch by branch: under the floor in pyproject.toml it fails.
check: override ARGS += --cov --cov-report=term:skip-covered
check: lint test

lint: $(dev)
	$(python) -m ruff format --check
	$(python) -m ruff check
	$(python) -m mypy

docs: $(dev)
	$(python) -m mkdocs build
	@echo "the site is in build/site"

format: $(dev)
	$(python) -m ruff format
	$(python) -m ruff check --fix

# A stamp is made last, so that an installation that broke off is done again.
$(runtime): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "lanman needs Python 3.11 or later; say which: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(python) && $(python) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || \
	    { echo "the venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(install) --editable .
	@touch $@

# The development tools stand once, in pyproject.toml [dependency-groups]; pip before 25.1 cannot read that itself.
$(dev): $(runtime)
	@$(python) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' \
	    > $(VENV)/dev-requirements.txt
	$(install) --requirement $(VENV)/dev-requirements.txt
	@touch $@

# python-gssapi is compiled, which takes a minute and wants the headers of libkrb5, those of Python and a compiler:
# where they are missing, or do not do, the tests that need it are skipped, or fail where LANMAN_REQUIRE_PEERS is set.
$(tickets): $(dev)
	@if command -v krb5-config >/dev/null; then \
	    echo "installing the kerberos extra, once"; \
	    $(install) --editable '.[kerberos]' || echo "it cannot be built here: no tests with Kerberos" >&2; \
	    touch $@; \
	fi

# What looks into the pages of `lanman web`; without npm or Chromium (system-packages.txt) its tests are skipped.
$(pages): tests/npm/package-lock.json $(dev)
	@if command -v npm >/dev/null; then \
	    npm ci --silent --prefix tests/npm || echo "npm cannot install: no tests of pages" >&2; \
	    touch $@; \
	fi

clean:
	rm -rf $(VENV) tests/npm/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
