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
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(ROOT)constraints.txt -e '$(ROOT)[train,serve,tools,swe,gui,dev]'
	touch $@

train: install
	cd $(ROOT) && $(BIN)/turnwise train search-tiny

# The main job in its short form: every phase, in two or three minutes.
quick: install
	cd $(ROOT) && $(BIN)/turnwise train search-tiny --quick

test: install system check
	cd $(ROOT) && $(BIN)/python -m pytest -n 2

# Chromium draws the report in the tests and is what agents on screens act in, with the fonts pages are laid out in (MiniWoB++ asks for Arial);
# its headless shell, where the release has one, does so in a tenth of the time. Repositories are under git; agents' code runs in
# bubblewrap; gcc, node and perl are languages of turnwise/Code-v0.
# Without root nothing is installed; the tests then say what is missing.
SYSTEM := chromium:chromium chromium-headless-shell:chromium-headless-shell bwrap:bubblewrap git:git python3:python3 gcc:gcc node:nodejs perl:perl

system:
	@missing=""; for pair in $(SYSTEM); do \
	  PATH=/usr/local/bin:/usr/bin:/bin command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; \
	done; \
	ls -d /usr/share/fonts/truetype/liberation* >/dev/null 2>&1 || missing="$$missing fonts-liberation"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq; \
	  apt-cache show chromium-headless-shell >/dev/null 2>&1 || missing="$${missing/ chromium-headless-shell/}"; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing libc6-dev >/dev/null; \
	else echo "missing:$$missing; the tests that need them are skipped, or slower; install these Debian packages"; fi

check: install
	cd $(ROOT) && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/basedpyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV)
