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
	@MYPYPATH=firmware:.typings $(BIN)/mypy --custom-typeshed-dir .typings firmware/main.py firmware/ansim_fw firmware/rig

.PHONY: flash
flash: $(READY)  ## firmware and identity onto one board: PORT=/dev/ttyUSB0 BOARD=esp32_devkit
	@$(BIN)/ansim flash --port '$(PORT)' --board '$(BOARD)'

.PHONY: provision
provision: $(READY)  ## identity alone onto one board: PORT=... BOARD=...
	@$(BIN)/ansim provision --port '$(PORT)' --board '$(BOARD)'

.PHONY: line
line: $(READY)  ## a box of boards, each made ready as it is plugged in: BOARD=... MANIFEST=box.csv
	@$(BIN)/ansim line --board '$(BOARD)' $(if $(MANIFEST),'$(MANIFEST)')

.PHONY: monitor
monitor: $(READY)  ## what a device says: PORT=...
	@$(BIN)/ansim monitor --port '$(PORT)'

.PHONY: virtual
virtual: $(READY)  ## start a virtual board
	@$(BIN)/ansim virtual start

.PHONY: hil
hil: HIL_PLACE = $(if $(filter auto,$(PORT)),virtual,$(PORT))
hil: $(READY)  ## whole devices: on virtual boards, or PORT=/dev/ttyUSB0, PORT=rig.toml, PORT=qemu; a report in build/
	@$(BIN)/pytest tests/hil --place '$(HIL_PLACE)' $(if $(filter file,$(origin BOARD)),,--board '$(BOARD)') \
		$(if $(filter virtual,$(HIL_PLACE)),--numprocesses 4 --dist worksteal) \
		--html build/hil.html --self-contained-html --junitxml build/hil.xml

.PHONY: stress
stress: $(READY)  ## the soak: 10,000 presses with random faults on virtual boards
	@$(BIN)/ansim stress soak

.PHONY: bench
bench: $(READY)  ## figures beside their bounds
	@$(BIN)/python tests/bench/run.py

.PHONY: bench-line
bench-line: $(READY)  ## many boards at once, and one against the usual way
	@$(BIN)/python tests/bench/run.py line

.PHONY: bench-fleet
bench-fleet: $(READY)  ## 5,000 devices at once: connections, an alarm storm, everyone's return
	@$(BIN)/python tests/bench/run.py fleet

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
