# Thin: each target calls one tool. Everything is installed into .venv by itself; nothing needs root.
PYTHON ?= python3
PORT ?= auto
BOARD ?= esp32_devkit
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TYPINGS := .typings/.ready

.DEFAULT_GOAL := help

.PHONY: help
help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY)  ## the whole way on a virtual board: flash, provision, press, acknowledged
	@$(BIN)/ansim demo

.PHONY: test
# Most of the time is waiting for boards and brokers, so there are more processes than cores.
test: check $(READY)  ## all tests (after check)
	@$(BIN)/pytest --numprocesses 4 --dist worksteal

.PHONY: check
check: $(READY) $(TYPINGS)  ## style, types, purity of the core
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy host firmware/ansim_fw/core
	@MYPYPATH=firmware:.typings $(BIN)/mypy --custom-typeshed-dir .typings firmware/main.py firmware/ansim_fw

.PHONY: flash
flash: $(READY)  ## firmware and identity onto one board: PORT=/dev/ttyUSB0 BOARD=esp32_devkit
	@$(BIN)/ansim flash --port '$(PORT)' --board '$(BOARD)'

.PHONY: provision
provision: $(READY)  ## identity alone onto one board: PORT=... BOARD=...
	@$(BIN)/ansim provision --port '$(PORT)' --board '$(BOARD)'

.PHONY: monitor
monitor: $(READY)  ## what a device says: PORT=...
	@$(BIN)/ansim monitor --port '$(PORT)'

.PHONY: virtual
virtual: $(READY)  ## start a virtual board
	@$(BIN)/ansim virtual start

.PHONY: bench
bench: $(READY)  ## figures beside their bounds
	@$(BIN)/python tests/bench/run.py

.PHONY: clean
clean:  ## remove what make installed here
	@rm -rf $(VENV) .typings

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Ansim needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once; about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,fetch]'
	@touch $@

# The stubs replace typeshed, so they stay out of the environment that checks the host tools.
$(TYPINGS): $(READY) constraints.txt
	@rm -rf .typings
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --target .typings micropython-esp32-stubs
	@touch $@
