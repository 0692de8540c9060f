"""A chip that tools can flash, but whose code nothing here can run (``--chip esp32c3`` and others)."""

import threading
from collections.abc import Callable, Sequence

from ansim.virtual.heap import Heap
from ansim.virtual.models import Fault
from ansim.virtual.motion import Motion, Samples, Vector
from ansim.virtual.schedule import Act, Moment


class QuietAir:
    """Radio settings that nobody listens to."""

    def __init__(self) -> None:
        self.enabled = True
        self.rssi_dbm = -60

    def set_network(self, ssid: str, passphrase: str, service: str, access_points: Sequence[int]) -> None:
        """Take any network."""

    def forget(self) -> None:
        """There are no connections."""


class BareChip:
    """Says on its UART that it runs nothing, at every boot."""

    def __init__(self, chip: str, emit: Callable[[bytes], None]) -> None:
        self.air = QuietAir()
        self.heap = Heap()
        self._chip = chip
        self._emit = emit

    def power_on(self) -> None:
        self._emit(f"ansim: the virtual board can flash an {self._chip}, but not run it\r\n".encode())

    def reset(self) -> None:
        self.power_on()

    def power_off(self) -> None:
        """Nothing runs."""

    def halt(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing to give back."""

    def write(self, data: bytes) -> None:
        """Nobody reads."""

    def set_pin(self, pin: int, level: int) -> None:
        """No pin is read."""

    def set_adc(self, pin: int, microvolts: int) -> None:
        """No pin is measured."""

    def weaken(self, weak: bool) -> None:
        """No radio draws on the supply."""

    def play(self, samples: Samples, rate_hz: float, repeat: bool) -> None:
        """Nobody looks at the sensor."""

    def hold(self, posture_mg: Vector) -> None:
        """Nobody looks at the sensor."""

    def change_sensor(self, fault: Fault | None, noise_mg: float | None, offset_mg: Vector | None) -> None:
        """Nobody looks at the sensor."""

    def jump_clock(self, by_ms: int) -> None:
        """Nobody asks for the time."""

    def motion(self) -> dict[str, object]:
        return Motion().progress(0)

    def cut_power_at(self, operation: int, done_percent: int) -> None:
        """Nothing writes to the flash."""

    def flash_figures(self) -> dict[str, int]:
        return {}

    def run_figures(self) -> dict[str, object]:
        return {}

    def state(self) -> dict[str, object]:
        return {}

    def later(self, after_ms: int, act: Act, moment: Moment | None = None) -> None:
        """Do it after_ms from now; what waits for sleep waits for ever, for nothing runs that could sleep."""
        if moment is None:
            timer = threading.Timer(after_ms / 1000, act)
            timer.daemon = True
            timer.start()

    def hold_time(self, hold: bool) -> None:
        """No time is skipped."""
