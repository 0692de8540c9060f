"""What a device reports, with the id that never repeats."""

from micropython import const

ALARM = const(0)
CANCEL = const(1)
FAULT = const(2)
RESTORE = const(3)
HEARTBEAT = const(4)

TYPE_NAMES = ("alarm", "cancel", "fault", "restore", "heartbeat")

# Alarms and their cancels go first, then faults, then heartbeats.
_PRIORITIES = (0, 0, 1, 1, 2)


class Event:
    """One event.

    Args:
        boot, seq: its id together with the device's name, 0 to 2^30-1.
        type: ALARM ... HEARTBEAT.
        kind: what sort of alarm, fault or restore; empty for the others.
        of: for a cancel the (boot, seq) of the alarm, else None.
        data: details of a fault or heartbeat (strings and ints), else None.
    """

    __slots__ = ("boot", "data", "kind", "of", "seq", "type")

    def __init__(
        self,
        boot: int,
        seq: int,
        type: int,
        kind: str = "",
        of: "tuple[int, int] | None" = None,
        data: "dict[str, str | int] | None" = None,
    ) -> None:
        self.boot = boot
        self.seq = seq
        self.type = type
        self.kind = kind
        self.of = of
        self.data = data

    @property
    def priority(self) -> int:
        """0 (first) to 2 (last)."""
        return _PRIORITIES[self.type]

    def has_id(self, boot: int, seq: int) -> bool:
        return self.seq == seq and self.boot == boot
