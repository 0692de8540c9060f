"""An event as the receiver takes it: read out of a message, every member checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansim.schema import REASON_CHARS
from ansim_fw.core import event_reader

EventId = tuple[str, int, int]


class Rejected(ValueError):
    """A message that is no legal event; says why, without its content."""


@dataclass(frozen=True)
class Event:
    """An event as the receiver took it.

    Args:
        attempt: which transmission this was, from 1.
        of: for a cancel the (boot, seq) of its alarm.
        received_at: when the broker stored it.
        occurred_at: when it happened; None when the device does not know.
        data: details of a fault or heartbeat.
        state: of an alarm that is stored: raised, cancelled or handled, when it was delivered.
    """

    site: str
    device: str
    boot: int
    seq: int
    type: str
    kind: str
    of: tuple[int, int] | None
    attempt: int
    received_at: datetime
    occurred_at: datetime | None
    data: Mapping[str, str | int] | None = None
    state: str | None = None

    @property
    def id(self) -> EventId:
        return self.device, self.boot, self.seq


@dataclass(frozen=True)
class Refused:
    """A message for quarantine."""

    subject: str
    payload: bytes = field(repr=False)
    reason: str
    received_at: datetime


def parse(subject: str, payload: bytes, received_at: datetime) -> Event:
    """Return the event in a message on subject ``ansim.<site>.<device>.evt``.

    Raises:
        Rejected: the subject or the message is not legal.
    """
    site, device = _parse_subject(subject)
    try:
        found: dict[str, Any] = event_reader.decode_event(payload)
    except ValueError as error:
        raise Rejected(str(error)[:REASON_CHARS]) from error
    age_ms = found.get("age_ms")
    of = found.get("of") if found["type"] == "cancel" else None
    return Event(
        site=site,
        device=device,
        boot=found["boot"],
        seq=found["seq"],
        type=found["type"],
        kind=found.get("kind", "") if found["type"] in ("alarm", "fault", "restore") else "",
        of=None if of is None else (of[0], of[1]),
        attempt=found["try"],
        received_at=received_at,
        occurred_at=None if age_ms is None else received_at - timedelta(milliseconds=age_ms),
        data=found.get("data"),
    )


def _parse_subject(subject: str) -> tuple[str, str]:
    parts = subject.split(".")
    if len(parts) != 4 or parts[0] != "ansim" or parts[3] != "evt":
        raise Rejected("subject is not a device's")
    if not all(part.isascii() and event_reader.is_name(part) for part in parts[1:3]):
        raise Rejected("site or device is not legal")
    return parts[1], parts[2]
