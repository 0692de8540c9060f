"""What a run did, counted; worlds are added up."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts of one world or of many.

    Args:
        counts: presses, alarms, heartbeats, deliveries, duplicates, starts, ...
        faults: injected, by kind; cuts: power cuts, by where in the program they hit.
        slowest_alarm_ms: from the press to the commit, the longest of all.
    """

    device_days: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    slowest_alarm_ms: int = 0

    def add(self, other: "Tally") -> None:
        self.device_days += other.device_days
        self.counts += other.counts
        self.faults += other.faults
        self.cuts += other.cuts
        self.slowest_alarm_ms = max(self.slowest_alarm_ms, other.slowest_alarm_ms)
