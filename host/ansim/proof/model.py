"""What a proof is made of: its plan, its steps as they happen, its phases as they ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

# Who presses the button and looks at the outputs: the technician; a rig, or a virtual board's control channel; nobody.
Hands = Literal["person", "rig", "none"]
HANDS: tuple[Hands, ...] = get_args(Hands)

Ask = Literal["", "press", "confirm"]


@dataclass(frozen=True)
class Step:
    """What goes on now: phase number of so many; ask: what the technician is to do ("press" the button once, or press
    it once more to "confirm" that light and sound were there; "": nothing)."""

    phase: str
    number: int
    of: int
    ask: Ask = ""


@dataclass(frozen=True)
class Phase:
    """How one phase ended.

    Args:
        passed: None: it was not tried.
        value, limit: what was measured and what it had to be, for a person; empty where there is nothing to tell.
        hint: what to try next; empty unless it failed.
    """

    name: str
    passed: bool | None
    value: str = ""
    limit: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value != ""}


@dataclass(frozen=True)
class Proof:
    """What a proof found.

    Args:
        device: its serial number, as it was expected.
        alarms: the test alarms that it raised and its receiver acknowledged, as (boot, seq).
    """

    device: str
    phases: tuple[Phase, ...]
    hands: Hands
    alarms: tuple[tuple[int, int], ...] = ()

    @property
    def passed(self) -> bool:
        """No phase failed, and the alarm went the whole way."""
        tried = {phase.name: phase.passed for phase in self.phases}
        return False not in tried.values() and tried.get("alarm") is True

    @property
    def failed(self) -> tuple[Phase, ...]:
        return tuple(phase for phase in self.phases if phase.passed is False)

    @property
    def result(self) -> str:
        """As the ledger has it."""
        return "passed" if self.passed else "failed"

    def as_dict(self) -> dict[str, Any]:
        """Return the proof as the ledger and ``--json`` have it."""
        return {
            "device": self.device,
            "passed": self.passed,
            "hands": self.hands,
            "phases": [phase.as_dict() for phase in self.phases],
        }


@dataclass(frozen=True)
class Limits:
    """What a device has to keep to; docs/proof.md has where each figure is from.

    Args:
        battery_mv: lowest and highest; None: the board has no cell.
        sensor: the part that has to answer; empty: the board has none.
        supply: charger or mains have to feed it, as the board can tell.
        outputs: which of its lights, buzzers and motors have to be driven, by gpio: the level that means on; None: a
            tone.
    """

    battery_mv: tuple[int, int] | None
    sensor: str
    supply: bool
    outputs: Mapping[str, tuple[int, int | None]]
    heap_bytes: int = 24_576
    rssi_dbm: int = -67
    link_s: float = 60.0
    press_s: float = 60.0
    ack_s: float = 30.0
    confirm_s: float = 30.0


class Rig(Protocol):
    """Presses, and looks."""

    def press(self) -> None:
        """Press the button, and let it go."""

    def lit(self) -> set[str]:
        """Return which of led, buzzer and vibration are on now."""


@dataclass(frozen=True)
class ProofPlan:
    """How a device is to be proven; picklable without a rig of wires.

    Args:
        expected: what its console has to say of it, by the names of ``info``, see expected_of; ``generation``: of its
            credential. It may be filled in (dataclasses.replace) once it is known which device is on the port.
        rig: what presses and looks, with hands "rig".
    """

    hands: Hands
    limits: Limits
    expected: Mapping[str, Any] = field(default_factory=dict)
    rig: Rig | None = None
