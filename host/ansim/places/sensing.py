"""What a rig would see of a virtual board: when its light, buzzer and vibration go on and off."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

from ansim.boards import Board, OutputPin
from ansim.rig import Edge
from ansim.rig.rig_file import INPUTS
from ansim.virtual import ControlClient, Seen


@dataclass(frozen=True)
class SensingClient(ControlClient):
    """A board's control channel that also has a rig's ``sense``.

    Attributes:
        outputs: name of each output, by the number of its pin.
    """

    outputs: Mapping[int, tuple[str, OutputPin]] = field(default_factory=dict)

    @classmethod
    def of(cls, control: ControlClient, board: Board) -> "SensingClient":
        """Return control of a board with this board file."""
        pins = ((name, getattr(board.pins, name)) for name in INPUTS)
        outputs = {pin.gpio: (name, pin) for name, pin in pins if pin is not None}
        return cls(**{each.name: getattr(control, each.name) for each in fields(control)}, outputs=outputs)

    @contextmanager
    def sense(self, timeout_s: float) -> Iterator[Iterable[Edge]]:
        """Give what the outputs do from now on, as they do it, in the chip's time.

        A loop over it ends when the board did nothing at all for timeout_s.
        """
        with self.watch(timeout_s) as happening:
            yield self._edges(happening)

    def _edges(self, happening: Iterable[Seen]) -> Iterator[Edge]:
        was_on = dict.fromkeys(self.outputs, False)
        for seen in happening:
            gpio = seen.details.get("pin", -1)
            if seen.event not in ("pin", "pwm") or gpio not in self.outputs:
                continue
            name, pin = self.outputs[gpio]
            is_on = _is_on(pin, seen)
            if is_on != was_on[gpio]:
                was_on[gpio] = is_on
                yield Edge(name, is_on, seen.chip_ms * 1000)


def _is_on(pin: OutputPin, seen: Seen) -> bool:
    if seen.event == "pwm":
        return bool(seen.details["duty_u16"])
    return pin.tone_hz is None and seen.details["value"] == int(pin.active == "high")
