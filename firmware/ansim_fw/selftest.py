"""The device tests itself: quick phases that change nothing the wearer notices, each with what it measured."""

import gc
import os

from ansim_fw.board_data import BOARD
from ansim_fw.core import link_watch

_PROBE_PATH = "/selftest"
# A full outbox of 64 events takes 17 KB on the virtual board, where objects are widest, and a new connection some KB.
_LEAST_HEAP_BYTES = 24576


def run(duty: "loop.Duty") -> "dict[str, object]":
    """Return {"passed", "phases": [{"name", "passed", "value"}]}; value is an int or a short string."""
    if duty.open_motion is not None:
        # It would wait for the contact.
        duty.begin_motion()
    phases = [
        _phase("identity", duty.identity.complete, duty.identity.device),
        _phase("button_up", not duty.button.is_down(), ""),
        _storage(),
        _battery(duty.inputs.battery_mv),
        _sensor(duty.motion),
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


def _sensor(motion: "Motion | None") -> "dict[str, object]":
    """Have the motion sensor say which it is and move its own mass; takes up to a second."""
    if "sensor" not in BOARD:
        return _phase("sensor", True, "none")
    if motion is None or motion.fault:
        return _phase("sensor", False, motion.fault if motion else "sensor_absent")
    try:
        if not motion.driver.identify():
            return _phase("sensor", False, "sensor_wrong")
        passed = motion.driver.selftest()
    except OSError as error:
        return _phase("sensor", False, str(error.errno))
    finally:
        motion.restart()
    return _phase("sensor", passed, BOARD["sensor"]["part"])


def _heap() -> "dict[str, object]":
    gc.collect()
    free = gc.mem_free()
    return _phase("heap", free >= _LEAST_HEAP_BYTES, free)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw import loop
    from ansim_fw.motion import Motion
