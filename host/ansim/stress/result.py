"""What a stress run found: plain values, the same as JSON. Reports are made from this, and from nothing else.

Every ``at_ms`` is this machine's time in milliseconds since the run began; what a gesture lasts is in the device's.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VERSION = 1

# What a finding may be.
LOST = "lost"
INVENTED = "invented"
WRONG = "wrong"
UNEXPLAINED_RESET = "unexplained_reset"
NOT_RECOVERED = "not_recovered"
LEAK = "leak"
REFUSED = "refused"
BROKEN = "broken"
FINDINGS = {
    LOST: "an alarm that should be in the receiver's database is not",
    INVENTED: "an alarm is in the receiver's database that nothing has raised",
    WRONG: "as many rows as there should be, but others",
    UNEXPLAINED_RESET: "the device started again, and nobody made it",
    NOT_RECOVERED: "nothing is in the way any more, and the device does not come back with nothing waiting",
    LEAK: "memory that the device does not get back",
    REFUSED: "the receiver put a message of a device aside",
    BROKEN: "an error of this program that nobody foresaw; the device was left as it was",
}

PERCENTILES = (50, 90, 99, 100)


@dataclass(frozen=True)
class Setting:
    """All that a run depends on, but for the machine's own time.

    Args:
        count: gestures of all devices together; 0: the duration says when it ends.
        duration_s: 0: the count says when it ends.
        place: what was asked for, "virtual" or another one of docs/hil.md.
        command: repeats the run.
    """

    scenario: str
    seed: int
    count: int
    duration_s: int
    devices: int
    speed: int
    place: str
    command: str


@dataclass(frozen=True)
class Gesture:
    """Something done to one device that may raise alarms.

    Args:
        kind: one of scenario.GESTURES; episode: its number, of this device.
        acknowledged_ms: from its begin to the moment in which the device said that its alarm is acknowledged; None:
            it raised none, or nobody heard.
        troubled: a fault was there between the two.
        excused: it might legally have come to nothing, for a fault came before the device could keep it.
    """

    at_ms: int
    device: str
    kind: str
    episode: int
    acknowledged_ms: int | None
    troubled: bool
    excused: bool


@dataclass(frozen=True)
class Fault:
    """Something that was done to a device, to the broker or to the receiver (device is empty then)."""

    at_ms: int
    until_ms: int
    device: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Alarm:
    """A row of the receiver's database: an alarm or a cancel.

    Args:
        seen_ms: when it was found there; at the latest when its episode was over.
        episode: in which it was found.
    """

    seen_ms: int
    device: str
    boot: int
    seq: int
    type: str
    kind: str
    state: str
    deliveries: int
    episode: int


@dataclass(frozen=True)
class Reset:
    """A start of a device; explained_by: the kind of the fault that made it, empty: nobody did."""

    at_ms: int
    device: str
    cause: str
    explained_by: str


@dataclass(frozen=True)
class Level:
    """What a device said of itself between two episodes, as ``info`` has it.

    Args:
        heap_free: once garbage was collected, as the self-test has it.
        gestures: how many it had until then.
    """

    at_ms: int
    device: str
    boot: int
    heap_free: int
    pending: int
    loop_ms: int
    up_s: int
    gestures: int


@dataclass(frozen=True)
class Slope:
    """How one device's free heap changes within its starts, fitted by least squares.

    Args:
        bytes_per_1000: per 1000 gestures; negative: it gets less.
        error: its standard error; levels: how many values it is fitted to; gestures: over how many, in one start, at
            the most.
    """

    device: str
    bytes_per_1000: float
    error: float
    levels: int
    gestures: int = 0


@dataclass(frozen=True)
class Finding:
    """Something that must not be; kind is one of FINDINGS. episode: of this device; -1: of the whole run."""

    at_ms: int
    device: str
    kind: str
    episode: int
    detail: str


@dataclass(frozen=True)
class Result:
    """A run, whole. It passed when nothing was found."""

    setting: Setting
    version: str
    started_at: str
    lasted_s: float
    devices: tuple[str, ...]
    gestures: tuple[Gesture, ...]
    faults: tuple[Fault, ...]
    alarms: tuple[Alarm, ...]
    resets: tuple[Reset, ...]
    levels: tuple[Level, ...]
    slopes: tuple[Slope, ...]
    findings: tuple[Finding, ...]
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        return not self.findings

    def count(self, kind: str) -> int:
        """Return how many findings of a kind there are."""
        return sum(each.kind == kind for each in self.findings)

    def faults_by_kind(self) -> Mapping[str, int]:
        return Counter(each.kind for each in self.faults)

    def latencies_ms(self, troubled: bool) -> list[int]:
        """Return what each acknowledged gesture took, sorted: those that a fault met, or the others."""
        return sorted(
            each.acknowledged_ms
            for each in self.gestures
            if each.acknowledged_ms is not None and each.troubled == troubled
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, with what can be reckoned from them."""
        return {
            "v": VERSION,
            "ok": self.passed,
            **dataclasses.asdict(self),
            "latency_ms": {
                "untroubled": percentiles(self.latencies_ms(troubled=False)),
                "troubled": percentiles(self.latencies_ms(troubled=True)),
            },
        }


def percentiles(ordered: Sequence[int]) -> dict[str, int]:
    """Return PERCENTILES of sorted values by the nearest-rank method, each as "p50"; empty without values."""
    if not ordered:
        return {}
    return {f"p{each}": ordered[max(math.ceil(len(ordered) * each / 100), 1) - 1] for each in PERCENTILES}
