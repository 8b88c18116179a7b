# make train | make test | make install: each works from a clean clone, from any folder (make -C), twice in a row.
SHELL := /bin/bash
ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
VENV := $(ROOT).venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install train quick test check system clean

install: $(STAMP)

# torch comes first and pinned: with it in place nothing asks for the much larger GPU build.
$(STAMP): $(ROOT)pyproject.toml $(ROOT)constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Turnwise needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(ROOT)constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(ROOT)constraints.txt -e '$(ROOT)[train,serve,tools,dev]'
	touch $@

train: install
	cd $(ROOT) && $(BIN)/turnwise train search-tiny

# The main job in its short form: every phase, in two or three minutes.
quick: install
	cd $(ROOT) && $(BIN)/turnwise train search-tiny --quick

test: install system check
	cd $(ROOT) && $(BIN)/python -m pytest -n 2

# Chromium draws the report in the tests. Without root nothing is installed; those tests then say what is missing.
system:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "chromium is missing: the tests that open the report in a browser are skipped; install Debian's package chromium"; fi

check: install
	cd $(ROOT) && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/basedpyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV)
