"""The wire format of docs/protocol.md, written and read by the same code on device and host."""

import json

from ansim_fw.core.event import TYPE_NAMES, Event

VERSION = 1
MAX_BYTES = 512
MAX_ID = 0x3FFFFFFF
MAX_INTERVAL_MIN = 1440
# Heartbeats are numbered from here, all else from 0: a hole among those is an event that did not arrive.
FIRST_HEARTBEAT_SEQ = 0x20000000


def encode_event(event: Event, age_ms: int, attempt: int) -> bytes:
    """Return event as it goes on the wire.

    Args:
        age_ms: how long ago it happened; negative when that is not known.
        attempt: which transmission this is, from 1.
    """
    parts = [
        f'{{"v":{VERSION},"boot":{event.boot},"seq":{event.seq},"type":"{TYPE_NAMES[event.type]}"',
    ]
    if event.kind:
        parts.append(f'"kind":"{event.kind}"')
    if event.of is not None:
        parts.append(f'"of":[{event.of[0]},{event.of[1]}]')
    if age_ms >= 0:
        parts.append(f'"age_ms":{age_ms}')
    parts.append(f'"try":{attempt}')
    if event.data is not None:
        parts.append('"data":' + json.dumps(event.data, separators=(",", ":")))
    return (",".join(parts) + "}").encode()


def decode_command(payload: bytes) -> "dict[str, object]":
    """Return the members of a command message, each checked.

    Raises:
        ValueError: too long, not JSON, not a known command, or a member that is not legal.
    """
    found = decode(payload)
    name = found.get("cmd")
    if name == "ack" or name == "handled":
        need_int(found, "boot", 0, MAX_ID)
        need_int(found, "seq", 0, MAX_ID)
    elif name == "heartbeat":
        need_int(found, "interval_min", 1, MAX_INTERVAL_MIN)
    elif name != "identify":
        raise ValueError("cmd is not known")
    return found


def ack(boot: int, seq: int) -> bytes:
    """Return the command that tells a device: this event is on disk."""
    return f'{{"v":{VERSION},"cmd":"ack","boot":{boot},"seq":{seq}}}'.encode()


def handled(boot: int, seq: int) -> bytes:
    """Return the command that tells a device: an operator closed this alarm."""
    return f'{{"v":{VERSION},"cmd":"handled","boot":{boot},"seq":{seq}}}'.encode()


def set_heartbeat(interval_min: int) -> bytes:
    """Return the command that sets the heartbeat interval (1 to 1440 min)."""
    return f'{{"v":{VERSION},"cmd":"heartbeat","interval_min":{interval_min}}}'.encode()


def identify() -> bytes:
    """Return the command that makes a device show which one it is."""
    return f'{{"v":{VERSION},"cmd":"identify"}}'.encode()


def event_topic(site: str, device: str) -> str:
    return f"ansim/{site}/{device}/evt"


def command_topic(site: str, device: str) -> str:
    return f"ansim/{site}/{device}/cmd"


def decode(payload: bytes) -> "dict[str, object]":
    """Return the members of any message of this version, unchecked but for their number `v`.

    Raises:
        ValueError: too long, not JSON, not an object, or of another version.
    """
    if len(payload) > MAX_BYTES:
        raise ValueError("message is too long")
    try:
        found = json.loads(payload)
    except (RuntimeError, TypeError) as error:
        # RecursionError on CPython; a key that is a list or an object on MicroPython, whose reader takes them for keys.
        # Bytes that are no UTF-8 end in UnicodeError, a ValueError.
        raise ValueError("message is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError("message is not an object")
    need_int(found, "v", VERSION, VERSION)
    return found


def need_int(found: "dict[str, object]", name: str, low: int, high: int) -> None:
    """Raise ValueError unless the member is an int from low to high."""
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(name + " is not legal")
