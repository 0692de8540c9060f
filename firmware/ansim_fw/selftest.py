"""The device tests itself: quick phases that change nothing the wearer notices, each with what it measured."""

import gc
import os

from ansim_fw.board_data import BOARD
from ansim_fw.core import link_watch

_PROBE_PATH = "/selftest"
_LEAST_HEAP_BYTES = 32768


def run(duty: "loop.Duty") -> "dict[str, object]":
    """Return {"passed", "phases": [{"name", "passed", "value"}]}; value is an int or a short string."""
    phases = [
        _phase("identity", duty.identity.complete, duty.identity.device),
        _phase("button_up", not duty.button.is_down(), ""),
        _storage(),
        _battery(duty.inputs.battery_mv),
        _heap(),
        _phase("wifi", duty.inputs.rssi_dbm != 0, duty.inputs.rssi_dbm),
        _phase("link", duty.inputs.link == link_watch.UP, duty.link.fault),
    ]
    return {"passed": all(phase["passed"] for phase in phases), "phases": phases}


def _phase(name: str, passed: bool, value: "int | str") -> "dict[str, object]":
    return {"name": name, "passed": passed, "value": value}


def _storage() -> "dict[str, object]":
    """Write, read back and remove a small file."""
    probe = os.urandom(16)
    try:
        with open(_PROBE_PATH, "wb") as file:
            file.write(probe)
        with open(_PROBE_PATH, "rb") as file:
            same = file.read() == probe
        os.remove(_PROBE_PATH)
    except OSError as error:
        return _phase("storage", False, str(error.errno))
    return _phase("storage", same, "")


def _battery(battery_mv: int) -> "dict[str, object]":
    if "battery" not in BOARD:
        return _phase("battery", True, "none")
    low_mv, high_mv = BOARD["battery"]["empty_mv"], BOARD["battery"]["full_mv"]
    # A charger or a fresh cell reads a little over full.
    return _phase("battery", low_mv <= battery_mv <= high_mv * 21 // 20, battery_mv)


def _heap() -> "dict[str, object]":
    gc.collect()
    free = gc.mem_free()
    return _phase("heap", free >= _LEAST_HEAP_BYTES, free)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw import loop
