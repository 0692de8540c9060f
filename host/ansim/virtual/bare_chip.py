"""A chip that tools can flash, but whose code nothing here can run (``--chip esp32c3`` and others)."""

from collections.abc import Callable, Sequence


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
        self._chip = chip
        self._emit = emit

    def power_on(self) -> None:
        self._emit(f"ansim: the virtual board can flash an {self._chip}, but not run it\r\n".encode())

    def reset(self) -> None:
        self.power_on()

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

    def cut_power_at(self, operation: int, done_percent: int) -> None:
        """Nothing writes to the flash."""

    def flash_figures(self) -> dict[str, int]:
        return {}

    def state(self) -> dict[str, object]:
        return {}
