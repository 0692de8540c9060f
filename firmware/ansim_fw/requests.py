"""What the console answers: one function a command of docs/console.md."""

import gc
import json
import os

from ansim_fw.board_data import BOARD, BUILD
from ansim_fw.core import config
from ansim_fw.hal import power
from ansim_fw.hal.link import STATE_NAMES
from ansim_fw.version import VERSION

_HINT_COMMANDS = "info, selftest, config, trigger"


def answer(text: bytes, duty: "loop.Duty") -> "dict[str, object]":
    """Return the answer to one request. Never raises: whatever is wrong with the request is in the answer."""
    try:
        request = json.loads(text)
    except (ValueError, TypeError):
        # TypeError: MicroPython's reader takes any key, and a list can't be one.
        return refusal(None, "not JSON")
    if not isinstance(request, dict) or not isinstance(request.get("id"), int):
        return refusal(None, "a request is an object with an int id and a cmd")
    number = request["id"]
    name = request.get("cmd")
    # Anything else may be nested deeper than the chip's stack can be asked to write or compare.
    handler = _COMMANDS.get(name) if isinstance(name, str) else None
    if handler is None:
        return refusal(number, "no such cmd", _HINT_COMMANDS)
    try:
        return {"id": number, "ok": True, "result": handler(request, duty)}
    except ValueError as error:
        return refusal(number, str(error))
    except OSError as error:
        return refusal(number, "storage failed, error " + str(error.errno))


def refusal(number: "int | None", error: str, hint: str = "") -> "dict[str, object]":
    return {"id": number, "ok": False, "error": error, "hint": hint}


def _info(_request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    device = duty.device
    system = os.uname()
    return {
        "version": VERSION,
        "build": BUILD,
        "board": BOARD["name"],
        "micropython": system.release,
        "mac": power.mac(),
        "provisioned": duty.identity.complete,
        "device": duty.identity.device,
        "site": duty.identity.site,
        "role": duty.identity.role,
        "boot": device.boot,
        "mode": "safe" if device.safe else "normal",
        "reset": power.reset_cause(),
        "link": STATE_NAMES[duty.link.state],
        "link_fault": duty.link.fault,
        "pending": len(device.outbox.entries),
        "battery_mv": duty.inputs.battery_mv,
        "rssi_dbm": duty.inputs.rssi_dbm,
        "heap_free": gc.mem_free(),
        "heap_boot": duty.heap_boot,
        "loop_ms": duty.inputs.loop_ms,
        "up_s": device.up_s,
    }


def _selftest(_request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    from ansim_fw import selftest

    return selftest.run(duty)


def _config(request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    wanted = request.get("set", {})
    if not isinstance(wanted, dict):
        raise ValueError("set must be an object")
    # All are checked before one is changed.
    checked = [(name, config.check(name, value)) for name, value in wanted.items()]
    for name, value in checked:
        duty.settings.save(name, value)
        duty.device.configure(name, value)
    identity = duty.identity
    found = {"host": identity.host, "port": identity.port, "wifi": [name for name, _ in identity.wifi]}
    found.update(duty.settings.settings())
    return found


def _trigger(_request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    event = duty.device.trigger()
    if event is None:
        raise ValueError("too many alarms wait already")
    return {"boot": event.boot, "seq": event.seq}


_COMMANDS = {"info": _info, "selftest": _selftest, "config": _config, "trigger": _trigger}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw import loop
