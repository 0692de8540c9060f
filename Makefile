# Thin: each target calls one tool. Everything is installed into .venv by itself; nothing needs root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TYPINGS := .typings/.ready

.DEFAULT_GOAL := help

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Ansim needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once; about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,fetch]'
	@touch $@

$(TYPINGS): $(READY) constraints.txt
	@rm -rf .typings
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --target .typings micropython-esp32-stubs
	@touch $@

.PHONY: help
help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
