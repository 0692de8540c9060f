"""Turns the unix port into the chip: opens the wire, puts the chip's modules in place, mounts the flash."""

import gc
import json
import sys

import _counting
import _link
from micropython import const

# Modules of the chip that stand before the port's, under both their names ("utime" is "time", as on the chip).
_OURS = ("time", "machine", "network", "esp32", "socket", "select", "os", "vfs", "sys", "micropython")
# Files whose own name would hide them from import, because the port looks for a built-in first.
_FILES = {"sys": "_sys", "micropython": "_micropython", "vfs": "_vfs"}
# MicroPython's table of names grows by 20, 40, 80, 160, 320, ... places. A chip has these modules' names in its ROM;
# here the table is filled up to its sixth step, so that programs pay for a step as late as on a chip.
_NAMES = const(126)


def run(names):
    """Prepare the chip, then run boot.py and main.py with names as their globals."""
    del names["_start"]
    program = _prepare()
    program.boot_py(names)
    program.main_py(names)


def _prepare():
    """Do all that comes before boot.py; return what runs it. Leaves gc.mem_free() as on the chip."""
    _link.open_fds([int(fd) for fd in sys.argv[1:]])
    sys.argv[:] = [""]
    _link.check(_link.ask(_link.BOOT))
    given = json.loads(_link.answered())
    _link.run_at(given["speed"], given["ahead_us"])
    modules = {name: __import__(_FILES.get(name, name)) for name in _OURS}
    chip = given["chip"]
    pins = given["taken"], given["woken"]
    modules["machine"]._begin(bytes.fromhex(given["mac"]), given["cause"], given["wake"], chip, *pins)
    modules["time"]._begin(given["zero_ms"], given["ticks_ms"])
    modules["esp32"]._begin(given["partitions"], chip["ext"])
    import _run

    _run.raw_repl = given["raw"]
    _run.with_main = given["main"]
    for name in _OURS:
        sys.modules[name] = modules[name]
        sys.modules["u" + name] = modules[name]
    sys.path[:] = ["", ".frozen", "/lib"]
    modules["esp32"]._mount()
    _counting.begin()
    for name in ("_start", "_run", "_link", "_counting", "_sys", "_micropython", "_vfs"):
        sys.modules.pop(name, None)
    _take_names()
    gc.collect()
    return _run


def _take_names():
    for number in range(_NAMES):
        getattr(_link, "_%d" % number, None)
