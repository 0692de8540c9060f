"""The virtual board's light, buzzer and motor, as its control channel sees them; and how long a rig looks at them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansim.client import Deadline
from ansim.proof.model import Rig
from ansim.virtual import ControlClient

_LOOK_S = 0.05


@dataclass(frozen=True)
class VirtualRig:
    """The control channel of a virtual board with these outputs, see Limits."""

    control: ControlClient
    outputs: Mapping[str, tuple[int, int | None]]

    def press(self) -> None:
        self.control.press()

    def lit(self) -> set[str]:
        pins = self.control.status()["chip_state"]["pins"]
        return {name for name, (gpio, level) in self.outputs.items() if is_on(pins.get(str(gpio), {}), level)}


def seen_lit(rig: Rig, outputs: set[str], deadline: Deadline) -> list[str]:
    """Look until all of outputs were on, each at least once, or until deadline; return those that were, sorted."""
    seen: set[str] = set()
    while True:
        seen |= rig.lit() & outputs
        if seen == outputs or deadline.expired:
            return sorted(seen)
        time.sleep(_LOOK_S)


def is_on(pin: Mapping[str, Any], level: int | None) -> bool:
    """Tell whether a pin switches its part on: by this level, or (None) by a tone."""
    return bool(pin.get("duty_u16")) if level is None else pin.get("out") == level
