"""The wire format of docs/protocol.md, written and read by the same code on device and host."""

import json

from ansim_fw.core.event import CANCEL, TYPE_NAMES, Event

VERSION = 1
MAX_BYTES = 512
MAX_ID = 0x3FFFFFFF
MAX_NAME = 24
MAX_INTERVAL_MIN = 1440
# Heartbeats are numbered from here, all else from 0: a hole among those is an event that did not arrive.
FIRST_HEARTBEAT_SEQ = 0x20000000

_KINDS = ("alarm", "fault", "restore")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_NAME_LETTERS = _LETTERS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-"


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


def decode_event(payload: bytes) -> "dict[str, object]":
    """Return the members of an event message, each checked.

    Raises:
        ValueError: too long, not JSON, or a member that is missing or not legal; says which.
    """
    found = _decode(payload)
    for name in ("boot", "seq"):
        _need_int(found, name, 0, MAX_ID)
    _need_int(found, "try", 1, MAX_ID)
    type_name = found.get("type")
    if type_name not in TYPE_NAMES:
        raise ValueError("type is not known")
    if type_name in _KINDS:
        _need_kind(found)
    if type_name == "cancel":
        _need_of(found)
    if "age_ms" in found:
        _need_int(found, "age_ms", 0, MAX_ID)
    if "data" in found:
        _check_data(found["data"])
    return found


def to_event(found: "dict[str, object]") -> Event:
    """Return the Event that a checked message tells of."""
    of = found.get("of") if found["type"] == TYPE_NAMES[CANCEL] else None
    return Event(
        _int(found["boot"]),
        _int(found["seq"]),
        TYPE_NAMES.index(str(found["type"])),
        str(found["kind"]) if found["type"] in _KINDS else "",
        (of[0], of[1]) if isinstance(of, list) else None,
        found.get("data"),  # type: ignore[arg-type]  # _check_data saw to it
    )


def decode_command(payload: bytes) -> "dict[str, object]":
    """Return the members of a command message, each checked.

    Raises:
        ValueError: too long, not JSON, not a known command, or a member that is not legal.
    """
    found = _decode(payload)
    name = found.get("cmd")
    if name == "ack" or name == "handled":
        _need_int(found, "boot", 0, MAX_ID)
        _need_int(found, "seq", 0, MAX_ID)
    elif name == "heartbeat":
        _need_int(found, "interval_min", 1, MAX_INTERVAL_MIN)
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


def is_name(text: object) -> bool:
    """Tell whether text may be a site or a device in a topic."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME:
        return False
    return all(letter in _NAME_LETTERS for letter in text)


def event_topic(site: str, device: str) -> str:
    return f"ansim/{site}/{device}/evt"


def command_topic(site: str, device: str) -> str:
    return f"ansim/{site}/{device}/cmd"


def _decode(payload: bytes) -> "dict[str, object]":
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
    _need_int(found, "v", VERSION, VERSION)
    return found


def _need_int(found: "dict[str, object]", name: str, low: int, high: int) -> None:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(name + " is not legal")


def _need_kind(found: "dict[str, object]") -> None:
    kind = found.get("kind")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_NAME:
        raise ValueError("kind is not legal")
    if not all(letter in _LETTERS or letter == "_" for letter in kind):
        raise ValueError("kind is not legal")


def _need_of(found: "dict[str, object]") -> None:
    of = found.get("of")
    if not isinstance(of, list) or len(of) != 2:
        raise ValueError("of is not legal")
    _need_int({"of": of[0]}, "of", 0, MAX_ID)
    _need_int({"of": of[1]}, "of", 0, MAX_ID)


def _check_data(data: object) -> None:
    if not isinstance(data, dict):
        raise ValueError("data is not legal")
    for name, value in data.items():
        # MicroPython's reader takes any value for a name.
        if not isinstance(name, str) or not isinstance(value, (str, int)):
            raise ValueError("data is not legal")


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("not an int")
    return value
