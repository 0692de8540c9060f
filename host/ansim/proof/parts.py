"""The phases of a device's own parts, judged from what its console says. Pure."""

from collections.abc import Mapping
from typing import Any

from ansim.proof.advice import ADVICE
from ansim.proof.model import Limits, Phase

_GENERATION_SHIFT = 19
_NONE = "none on this board"


def judged(name: str, passed: bool, value: object = "", limit: str = "", hint: str = "") -> Phase:
    """Return a phase that was tried; where it failed, its hint is that of its name, unless another one is given."""
    return Phase(name, passed, str(value)[:200], limit, "" if passed else hint or ADVICE[name])


def identity(info: Mapping[str, Any], expected: Mapping[str, Any]) -> Phase:
    """The device is who it is expected to be, in each field.

    Args:
        info: what the console says of it.
        expected: see ProofPlan.
    """
    found = {**info, "generation": _generation(info.get("boot"))}
    wrong = [
        f"{name} '{str(found.get(name))[:40]}', not '{value}'"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if info.get("provisioned") is not True:
        wrong.insert(0, "no identity")
    return judged("identity", not wrong, "; ".join(wrong) or found.get("device", ""), str(expected.get("device", "")))


def _generation(boot: object) -> int:
    return boot >> _GENERATION_SHIFT if isinstance(boot, int) else -1


def own_parts(test: Mapping[str, Any], limits: Limits) -> list[Phase]:
    """Storage, memory, sensor and battery, from the result of ``selftest``."""
    found = _phases(test)
    storage, heap, sensor, cell = (found.get(name, {}) for name in ("storage", "heap", "sensor", "battery"))
    return [
        judged("storage", storage.get("passed") is True, _said(storage) or "reads what it wrote"),
        _memory(_number(heap), limits),
        _sensor(sensor, limits),
        _battery(_number(cell), limits),
    ]


def button_is_up(test: Mapping[str, Any]) -> bool:
    return _phases(test).get("button_up", {}).get("passed") is True


def supply(power: Mapping[str, Any], limits: Limits) -> Phase:
    """Charger or mains feed it, from the result of ``power``."""
    if not limits.supply:
        return judged("supply", True, _NONE)
    fed = power.get("supply") is True
    return judged("supply", fed, "there" if fed else "missing", "there")


def wifi(info: Mapping[str, Any], limits: Limits) -> Phase:
    """How strong it receives its network: 0 dBm stands for none."""
    rssi_dbm = info.get("rssi_dbm")
    if not isinstance(rssi_dbm, int) or rssi_dbm == 0:
        return judged("wifi", False, f"not joined ({_said_fault(info)})", f"at least {limits.rssi_dbm} dBm")
    return judged("wifi", rssi_dbm >= limits.rssi_dbm, f"{rssi_dbm} dBm", f"at least {limits.rssi_dbm} dBm")


def link(info: Mapping[str, Any], limits: Limits) -> Phase:
    """It is connected to its broker, each of which has proved itself to the other."""
    up = info.get("link") == "up"
    return judged("link", up, "up" if up else _said_fault(info), f"up within {limits.link_s:g} s")


def _said_fault(info: Mapping[str, Any]) -> str:
    return str(info.get("link_fault") or f"still at {info.get('link')}")[:40]


def _memory(free: int, limits: Limits) -> Phase:
    return judged("memory", free >= limits.heap_bytes, f"{free} bytes free", f"at least {limits.heap_bytes}")


def _sensor(said: Mapping[str, Any], limits: Limits) -> Phase:
    if not limits.sensor:
        return judged("sensor", True, _NONE)
    value = _said(said)
    passed = said.get("passed") is True and value == limits.sensor
    # It names the part that answered, also when that failed its own test.
    what = f"{value} fails its own test" if value == limits.sensor and not passed else value
    return judged("sensor", passed, what or "no answer", limits.sensor)


def _battery(mv: int, limits: Limits) -> Phase:
    if limits.battery_mv is None:
        return judged("battery", True, _NONE)
    low_mv, high_mv = limits.battery_mv
    return judged("battery", low_mv <= mv <= high_mv, f"{mv} mV", f"{low_mv} to {high_mv} mV")


def _phases(test: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    phases = test.get("phases")
    found = phases if isinstance(phases, list) else []
    return {str(each.get("name")): each for each in found if isinstance(each, dict)}


def _said(phase: Mapping[str, Any]) -> str:
    return str(phase.get("value", ""))


def _number(phase: Mapping[str, Any]) -> int:
    value = phase.get("value")
    return value if isinstance(value, int) else 0
