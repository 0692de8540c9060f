"""What a device spent its time on: the ledger that it keeps (core/ledger.py), read back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from ansim.errors import DeviceError

DAY_S = 86_400
# As ledger.py stops counting.
_MOST = 0x3FFFFFFF


@dataclass(frozen=True)
class Usage:
    """Seconds in each state, and how often what happened, over some time.

    Args:
        deep_s: asleep, and in the bootloader after that, where no clock of the device's runs yet.
        light_s: asleep between two looks at the sensor; cpu_s: awake with the radio off; radio_s: radio on.
        wake_timer, wake_button, wake_motion: what ended a deep sleep.
        impacts: movements that called the fall detector; links, failed: contacts with the receiver's broker.
    """

    deep_s: float
    light_s: float
    cpu_s: float
    radio_s: float
    wake_timer: float
    wake_button: float
    wake_motion: float
    impacts: float
    links: float
    failed: float

    @property
    def total_s(self) -> float:
        return self.deep_s + self.light_s + self.cpu_s + self.radio_s

    @property
    def wakes(self) -> float:
        return self.wake_timer + self.wake_button + self.wake_motion

    @property
    def contacts(self) -> float:
        return self.links + self.failed

    def a_day(self) -> "Usage":
        """Return what it comes to in a day; that of less than a second says nothing."""
        return Usage(**{name: value * DAY_S / max(self.total_s, 1.0) for name, value in asdict(self).items()})


def read_usage(told: Mapping[str, object], who: str) -> Usage:
    """Return what a heartbeat, or the console, tells of the ledger.

    Raises:
        DeviceError: there is no ledger; says that of who.
    """
    names = [item.name for item in fields(Usage)]
    if not all(name in told for name in names):
        raise DeviceError(
            f"{who} tells no ledger",
            "Only a pendant on a board with a battery and a way to wake sleeps, and keeps one (boards/README.md).",
        )
    numbers = {name: told[name] for name in names}
    wrong = [name for name, value in numbers.items() if type(value) is not int or not 0 <= value <= _MOST]
    if wrong:
        raise DeviceError(f"{who} tells a ledger that can't be: {wrong[0]} is {numbers[wrong[0]]!r}", "Update it.")
    return Usage(**{name: value for name, value in numbers.items() if isinstance(value, int)})
