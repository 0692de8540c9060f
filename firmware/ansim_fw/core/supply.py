"""What a device lives on, its cell and the mains: the faults that come of it, and how often it gives a sign of life."""

from micropython import const

from ansim_fw.core import battery
from ansim_fw.core.message import MAX_INTERVAL_MIN

# A plug that is moved, a breaker that is tried, a charger's contact that bounces: it is off when there was nothing for
# MAINS_MS. It is on when there was no gap for FED_MS; before a loss of the mains that was told is over, for BACK_MS.
MAINS_MS = const(10000)
FED_MS = const(2000)
BACK_MS = const(60000)
# On its own cell a hub gives a sign of life so much more rarely; any device with a nearly flat one, this often at most.
_ON_CELL = const(4)
_CRITICAL_MIN = const(360)

_MAINS_LOST = const(4)
# The faults, by the bits of `told`.
_KINDS = ((battery.IS_LOW, "battery_low"), (battery.IS_CRITICAL, "battery_critical"), (_MAINS_LOST, "mains_lost"))
ALL = const(7)


class Supply:
    """Follows cell and mains.

    Args:
        curve: the cell's, empty without one: see battery.percent.
        mains: it is told when the mains are lost: a hub that can see them.
        told: bits of the faults that were told before a restart, and may be over since.

    Attributes:
        told: the same, of now.
        fed: by mains or charger, without its bounces; None before the first step.
    """

    def __init__(self, curve: "battery.Curve", mains: bool, told: int) -> None:
        self.told = told & ALL
        self.cell = battery.Battery(curve, told & (battery.IS_LOW | battery.IS_CRITICAL))
        self._has_mains = mains
        self.fed: "bool | None" = None
        self._touches = False
        self._doubt_ms = 0
        self._mains_ms = 0

    def step(self, elapsed_ms: int, mv: int, fed: bool) -> int:
        """Take the voltage and whether the device is fed from outside; return the bits of `told` that changed."""
        self._debounce(elapsed_ms, fed)
        before = self.told
        if self.cell.step(elapsed_ms, mv):
            self.told = self.told & _MAINS_LOST | self.cell.told
        if self._has_mains:
            lost = self.told & _MAINS_LOST != 0
            self._mains_ms = self._mains_ms + elapsed_ms if fed == lost else 0
            if self._mains_ms >= (BACK_MS if lost else MAINS_MS):
                self._mains_ms = 0
                self.told ^= _MAINS_LOST
        return self.told ^ before

    def _debounce(self, elapsed_ms: int, fed: bool) -> None:
        if self.fed is None:
            # Nothing is known of the time before.
            self.fed = fed
        self._touches = fed
        self._doubt_ms = self._doubt_ms + elapsed_ms if fed != self.fed else 0
        if self._doubt_ms >= (FED_MS if fed else MAINS_MS):
            self._doubt_ms = 0
            self.fed = fed

    def kinds(self, bits: int) -> "list[tuple[str, bool]]":
        """Return (kind, whether it began) of these bits."""
        return [(kind, bool(self.told & bit)) for bit, kind in _KINDS if bits & bit]

    @property
    def low(self) -> bool:
        return bool(self.told & battery.IS_LOW)

    def interval_min(self, chosen_min: int) -> int:
        """Return how often a heartbeat is due, where chosen_min is what the receiver wants."""
        if self.told & _MAINS_LOST:
            chosen_min = min(chosen_min * _ON_CELL, MAX_INTERVAL_MIN)
        if self.told & battery.IS_CRITICAL and not self.fed:
            chosen_min = max(chosen_min, _CRITICAL_MIN)
        return chosen_min

    def idle_ms(self) -> int:
        """Return how long nothing is news, if voltage and mains stay as they are."""
        idle_ms = self.cell.idle_ms()
        if self.fed is not None and self._touches != self.fed:
            idle_ms = min(idle_ms, (FED_MS if self._touches else MAINS_MS) - self._doubt_ms)
        lost = self.told & _MAINS_LOST != 0
        if self._has_mains and self._touches == lost:
            idle_ms = min(idle_ms, (BACK_MS if lost else MAINS_MS) - self._mains_ms)
        return idle_ms
