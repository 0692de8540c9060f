"""Charge by cause: a device's ledger times its board's currents."""

from collections.abc import Mapping
from dataclasses import dataclass

from ansim.boards import Battery, Board, State, Step
from ansim.errors import BadInput
from ansim.power.parts import Mode, find_part
from ansim.power.usage import DAY_S, Usage

_STATES: tuple[State, ...] = (
    *("deep_sleep", "light_sleep", "idle", "active", "wifi_connected", "wifi_receive", "wifi_transmit", "board"),
)
_STEPS: tuple[Step, ...] = (
    *("start", "look", "detector", "judge", "read", "load", "join", "handshake", "send", "leave", "transmit"),
)
_CONTACT: tuple[Step, ...] = ("join", "handshake", "send")
# Of a start the bootloader's part, before any clock runs that the firmware reads (source: that of timings.start). The
# rest of it is awake time in the ledger.
UNSEEN_MS = 47
_HINT = "boards/README.md says what these are; boards/esp32c3_pendant.toml has them all."
_MONTH_DAYS = 30
_S_PER_H = 3600


@dataclass(frozen=True)
class Cause:
    """Something that takes charge from the cell."""

    name: str
    mah_a_day: float


@dataclass(frozen=True)
class Budget:
    """What a cell gives in a day, by cause, and how long it does."""

    causes: tuple[Cause, ...]
    capacity_mah: int

    @property
    def mah_a_day(self) -> float:
        return sum(cause.mah_a_day for cause in self.causes)

    @property
    def days(self) -> float:
        return self.capacity_mah / self.mah_a_day


class Bench:
    """A board's currents and times, as the model needs them.

    Args:
        changed: currents in mA that are others than the board file's, by state.
        join_factor: how much longer than on the bench it takes to reach Wi-Fi.
        mode: of its motion sensor, None: the one that the driver uses.

    Raises:
        BadInput: the board file lacks what the model needs; names it.
    """

    def __init__(
        self,
        board: Board,
        changed: Mapping[State, float] | None = None,
        join_factor: float = 1.0,
        mode: Mode | None = None,
    ) -> None:
        self.battery = _battery(board)
        lacks = [f"currents.{name}" for name in _STATES if name not in board.currents]
        lacks += [f"timings.{name}" for name in _STEPS if name not in board.timings]
        if lacks:
            raise BadInput(f"the board file of {board.name} has no {', '.join(lacks)}", _HINT)
        self.ma: dict[State, float] = {name: board.currents[name].ma for name in _STATES} | dict(changed or {})
        self.ms: dict[Step, float] = {name: float(timing.ms) for name, timing in board.timings.items()}
        self.ms["join"] *= join_factor
        used = find_part(board.sensor.part).used if board.sensor else None
        self.sensor_ma = mode.ma if mode else used.ma if used else 0.0

    def awake_ms(self, *steps: Step) -> float:
        """Return how long a wake of a start and these steps is awake, by its own clock."""
        return self.ms["start"] - UNSEEN_MS + sum(self.ms[step] for step in steps)

    def budget(self, usage: Usage) -> Budget:
        """Return what usage takes from the cell."""
        day = usage.a_day()
        unseen_s = min(day.wakes * UNSEEN_MS / 1000, day.deep_s)
        start_s = min(day.wakes * (self.ms["start"] - UNSEEN_MS) / 1000, day.cpu_s)
        causes = [
            self._cause("deep sleep", day.deep_s - unseen_s, self.ma["deep_sleep"]),
            self._cause("motion sensor", DAY_S, self.sensor_ma),
            self._cause("regulator, divider, cell's protection", DAY_S, self.ma["board"]),
            self._cause("light sleep", day.light_s, self.ma["light_sleep"]),
            self._cause("starts, until main.py", start_s + unseen_s, self.ma["active"]),
            self._cause("awake: loading, reading, judging", day.cpu_s - start_s, self.ma["active"]),
            *self._radio(day.radio_s, day.contacts),
            Cause("self-discharge of the cell", _self_discharge_mah(self.battery)),
        ]
        return Budget(tuple(causes), self.battery.capacity_mah)

    def _radio(self, radio_s: float, contacts: float) -> list[Cause]:
        """Return what so much time with the radio on takes, shared out as the board's steps of a contact are.

        The receiver is taken to be on all the time while joining and sending. While TLS is worked out the processor is
        busy, and the radio hears beacons: what being connected takes on average, less the idle processor in it.
        """
        whole_ms = sum(self.ms[step] for step in _CONTACT)
        join_s, handshake_s, send_s = (radio_s * self.ms[step] / whole_ms for step in _CONTACT)
        receive_ma, transmit_ma = self.ma["wifi_receive"], self.ma["wifi_transmit"]
        busy_ma = self.ma["active"] + self.ma["wifi_connected"] - self.ma["idle"]
        return [
            self._cause("radio: joining the network", join_s, receive_ma),
            self._cause("radio: TLS handshake", handshake_s, busy_ma),
            self._cause("radio: sending, waiting for answers", send_s, receive_ma),
            self._cause("radio: transmitter", contacts * self.ms["transmit"] / 1000, transmit_ma - receive_ma),
        ]

    @staticmethod
    def _cause(name: str, seconds: float, ma: float) -> Cause:
        return Cause(name, seconds * ma / _S_PER_H)


def _battery(board: Board) -> Battery:
    if board.battery is None:
        raise BadInput(f"board '{board.name}' has no battery", "Give a board that has: ansim boards NAME shows it.")
    return board.battery


def _self_discharge_mah(battery: Battery) -> float:
    return battery.capacity_mah * battery.self_discharge_percent_month / 100 / _MONTH_DAYS
