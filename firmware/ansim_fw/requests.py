"""What the console answers: one function a command of docs/console.md."""

import gc
import json
import os

from ansim_fw.board_data import BOARD, BUILD
from ansim_fw.core import config, message
from ansim_fw.hal import power
from ansim_fw.hal.link import STATE_NAMES
from ansim_fw.version import VERSION

_HINT_COMMANDS = "info, selftest, config, trigger, record, power, challenge, wifi"


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
    if ("set" in request or "remove" in request) and not _is_open(text, duty):
        return refusal(number, "locked", "It takes the answer to a challenge with the device's key.")
    for _ in range(2):
        try:
            return {"id": number, "ok": True, "result": handler(request, duty)}
        except ValueError as error:
            return refusal(number, str(error))
        except OSError as error:
            return refusal(number, "storage failed, error " + str(error.errno))
        except MemoryError:
            duty.make_room()
    return refusal(number, "no memory", "Ask again.")


def _is_open(text: bytes, duty: "loop.Duty") -> bool:
    """Tell whether a request may change something: on a device with a key, one that answers its challenge with it."""
    key, nonce = _key(duty), duty.nonce
    if not key:
        return True
    from hashlib import sha256

    from ansim_fw.core import lock

    # It is of use once.
    duty.nonce = b""
    return bool(nonce) and lock.opens(key, nonce, text, sha256)


def _key(duty: "loop.Duty") -> bytes:
    """Return the key that locks the console; whoever holds the device in the hand needs none, as for the REPL."""
    return b"" if duty.may_leave() else duty.settings.blob("ckey")


def _challenge(_request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    nonce = os.urandom(8).hex()
    duty.nonce = nonce.encode()
    return {"nonce": nonce}


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
        "locked": bool(_key(duty)),
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
        "fall": _fall(duty.motion),
    }


def _fall(motion: "Motion | None") -> "dict[str, object]":
    if motion is None:
        return {"state": "none"}
    detector = motion.detector
    told: dict[str, object] = {
        "state": "ok" if motion.works else motion.fault or "off",
        "part": BOARD["sensor"]["part"],
        "model": detector.model.version if detector else 0,
        "gaps": motion.gaps,
        "wakes": motion.counts[0],
    }
    for at in range(len(motion.STAGES)):
        told[motion.STAGES[at][1]] = motion.counts[at + 1]
    return told


def _power(_request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    from ansim_fw.core import battery

    inputs = duty.inputs
    told: dict[str, object] = {
        "sleeps": duty.sleeper is not None,
        "supply": inputs.supply,
        "battery_mv": inputs.battery_mv,
        "interval_min": duty.device.heartbeat.interval_min,
    }
    if inputs.battery_mv:
        told["battery_pct"] = battery.percent(inputs.battery_mv, power.curve(BOARD))
    if duty.sleeper is not None:
        told.update(duty.sleeper.ledger.told())
    return told


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
        if name == "fall":
            duty.placement = value
            if duty.motion is not None:
                duty.motion.use(value)
    identity = duty.identity
    found = {"host": identity.host, "port": identity.port, "wifi": [name for name, _ in identity.wifi]}
    found.update(duty.settings.settings())
    return found


def _wifi(request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    from ansim_fw import networks

    return networks.answer(request, duty)


def _trigger(request: "dict[str, Any]", duty: "loop.Duty") -> "dict[str, object]":
    if "press" in request:
        # Whoever waits for test presses asks again and again: what is unplugged, or forgotten, is a lifeline soon.
        message.need_int(request, "press", 0, 5)
        # A press that the next step takes in is older than this request.
        pressed = request["press"] and (duty.button.is_down() or duty.button.has_edge())
        if pressed or not duty.device.await_tests(request["press"] * 1000):
            raise ValueError("pressed, or an alarm is open")
        return {}
    event = duty.device.trigger()
    if event is None:
        raise ValueError("too many alarms wait already")
    return {"boot": event.boot, "seq": event.seq}


def _record(request: "dict[str, object]", duty: "loop.Duty") -> "dict[str, object]":
    from ansim_fw import recorder

    return recorder.start(request.get("seconds"), duty)


_COMMANDS = {
    "info": _info,
    "selftest": _selftest,
    "config": _config,
    "trigger": _trigger,
    "record": _record,
    "power": _power,
    "challenge": _challenge,
    "wifi": _wifi,
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw import loop
    from ansim_fw.motion import Motion
