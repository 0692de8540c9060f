"""Reads event messages: the receiver those that arrive, a device those of its journal, once at its start."""

from ansim_fw.core.event import CANCEL, TYPE_NAMES, Event
from ansim_fw.core.message import MAX_ID, decode, need_int

MAX_NAME = 24

_KINDS = ("alarm", "fault", "restore")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_NAME_LETTERS = _LETTERS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ-"


def decode_event(payload: bytes) -> "dict[str, object]":
    """Return the members of an event message, each checked.

    Raises:
        ValueError: too long, not JSON, or a member that is missing or not legal; says which.
    """
    found = decode(payload)
    for name in ("boot", "seq"):
        need_int(found, name, 0, MAX_ID)
    need_int(found, "try", 1, MAX_ID)
    type_name = found.get("type")
    if type_name not in TYPE_NAMES:
        raise ValueError("type is not known")
    if type_name in _KINDS:
        _need_kind(found)
    if type_name == "cancel":
        _need_of(found)
    if "age_ms" in found:
        need_int(found, "age_ms", 0, MAX_ID)
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


def is_name(text: object) -> bool:
    """Tell whether text may be a site or a device in a topic."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME:
        return False
    return all(letter in _NAME_LETTERS for letter in text)


def _need_kind(found: "dict[str, object]") -> None:
    kind = found.get("kind")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_NAME:
        raise ValueError("kind is not legal")
    if not all(letter in _LETTERS for letter in kind):
        raise ValueError("kind is not legal")


def _need_of(found: "dict[str, object]") -> None:
    of = found.get("of")
    if not isinstance(of, list) or len(of) != 2:
        raise ValueError("of is not legal")
    need_int({"of": of[0]}, "of", 0, MAX_ID)
    need_int({"of": of[1]}, "of", 0, MAX_ID)


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
