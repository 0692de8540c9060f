"""What a run with a fleet found: plain values, and whether it holds."""

from dataclasses import asdict, dataclass, field
from typing import Any

# 99 of 100 alarms of a storm are acknowledged in less; Locust rounds to two digits.
MOST_P99_MS = 2000
# A load that is late by more measures itself.
MOST_LATE_S = 1.0


@dataclass(frozen=True)
class Figures:
    """How often something came about, and how long it took; Locust's, which rounds above 100 ms to two digits.

    Args:
        what: ``connect``: from the attempt to the subscription; ``alarm`` and so on: from the moment it was raised to
            its acknowledgement in the device; ``heartbeat``: from its first transmission.
        failed: attempts to connect that did not end well; their times are among the others.
        most_in_a_second: by the load's clock.
    """

    what: str
    count: int
    failed: int
    most_in_a_second: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Phase:
    """A part of the run.

    Args:
        done: it came to its end; else it was given up after ``seconds``.
        load_late_s: how late the load's slowest process was at the worst.
        silent: the most devices whose last heartbeat was older than their interval and 10 s.
        cpu: for broker, receiver and load how much of one core each had, in percent.
    """

    name: str
    done: bool
    seconds: float
    load_late_s: float
    silent: int
    cpu: dict[str, int]
    figures: list[Figures] = field(default_factory=list)

    def figure(self, what: str) -> Figures | None:
        return next((each for each in self.figures if each.what == what), None)


@dataclass(frozen=True)
class Result:
    """A whole run.

    Args:
        connected: devices that were connected when the storm began.
        alarms: how many were raised; acknowledged: how many of them the devices know to be on disk.
        lost: events that were acknowledged, and have no row; invented: rows of no event.
        waiting: events of which the devices do not know, and the receiver does not either: they go on sending them.
        refused: messages that the receiver put aside; repeated: deliveries beyond the first.
        peak_mb: the most memory that broker, receiver and load had.
    """

    devices: int
    connected: int
    alarms: int
    acknowledged: int
    lost: int
    waiting: int
    invented: int
    refused: int
    repeated: int
    events: int
    peak_mb: dict[str, int]
    phases: list[Phase]

    def phase(self, name: str) -> Phase | None:
        return next((each for each in self.phases if each.name == name), None)

    def troubles(self) -> list[str]:
        """Return what does not hold, in words; empty: the run is passed."""
        found = [f"{each.name}: not done after {each.seconds:.0f} s" for each in self.phases if not each.done]
        found += [f"{count} {what}" for count, what in self._counts() if count]
        storm = self.phase("storm")
        if storm is not None and storm.silent:
            found.append(f"{storm.silent} devices did not keep their heartbeats in the storm")
        if storm is not None and (alarm := storm.figure("alarm")) is not None and alarm.p99_ms >= MOST_P99_MS:
            found.append(f"1 of 100 alarms of the storm took {alarm.p99_ms / 1000:.1f} s or more")
        if storm is not None and storm.figure("connect") is not None:
            found.append("connections were lost in the storm")
        if found:
            found += [
                f"{each.name}: the load itself was late by {each.load_late_s:.1f} s, so these figures tell of it, too"
                for each in self.phases
                if each.load_late_s > MOST_LATE_S
            ]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        troubles = self.troubles()
        return {"ok": not troubles, "troubles": troubles, **asdict(self)}

    def _counts(self) -> list[tuple[int, str]]:
        return [
            (self.devices - self.connected, "devices were not connected"),
            (self.alarms - self.acknowledged, "alarms were not acknowledged"),
            (self.lost, "acknowledged events have no row in the receiver's database"),
            (self.waiting, "events were not delivered yet"),
            (self.invented, "rows of the receiver's database are of no event"),
            (self.refused, "messages were refused by the receiver"),
        ]
