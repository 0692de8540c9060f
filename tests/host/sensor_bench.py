"""A virtual chip with a motion sensor of any part on its bus, and that part's driver as it is compiled for a device."""

import ast
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ansim.boards import Board, Sensor, load_board
from ansim.home import Home, project_root
from ansim.image import build_firmware, filesystem_image
from ansim.virtual.models.accelerometer import Fault
from ansim.virtual.motion import Samples, Vector
from ansim_fw.drivers._part import FREE_FALL, IMPACT, WATERMARK
from chip_kit import VFS, Bench, flash_content

INT1 = 34
AT_REST = (0, 0, 1000)

Sample = tuple[int, int, int]


@dataclass(frozen=True)
class PartFacts:
    """What a test has to know of a part.

    Args:
        name, address: as in a board file.
        depth: samples in its FIFO.
        step_mg: what its last bit is worth at 2, 4, 8 and 16 g.
        impact_mg: a threshold that it can say exactly, for a change between two samples at 16 g and 50 Hz.
    """

    name: str
    address: int
    depth: int
    step_mg: tuple[float, float, float, float]
    impact_mg: int
    has_free_fall: bool = True

    def __str__(self) -> str:
        return self.name


PARTS = [
    PartFacts("adxl345", 0x53, 32, (3.9, 3.9, 3.9, 3.9), 1000),
    PartFacts("lis2dw12", 0x19, 32, (0.244, 0.488, 0.976, 1.952), 1000),
    PartFacts("bma400", 0x14, 146, (0.98, 1.95, 3.91, 7.81), 1008),
    PartFacts("mpu6886", 0x68, 128, (0.061, 0.122, 0.244, 0.488), 800, has_free_fall=False),
]

_PROGRAM = """
import gc, micropython, time
from array import array
from machine import I2C, Pin
from ansim_fw.drivers.{part} import Sensor
FREE_FALL, IMPACT, WATERMARK = {constants}
bus, address = I2C(0, sda=Pin(21), scl=Pin(22)), {address}
sensor = Sensor(bus, address)
pin = Pin({pin}, Pin.IN)
buffer = array("h", bytes(6 * Sensor.FIFO_SAMPLES))
def drain():
    found, lost = [], False
    for _ in range(20):
        count = sensor.read(buffer)
        lost = lost or sensor.overran
        found.extend([tuple(buffer[3 * i : 3 * i + 3]) for i in range(count)])
        if count < Sensor.FIFO_SAMPLES:
            return found, lost
def collect(enough):
    found = []
    for _ in range(500):
        found.extend(drain()[0])
        if len(found) >= enough:
            return found
        time.sleep_ms(20)
def pin_rises():
    for _ in range(250):
        if pin.value():
            return True
        time.sleep_ms(20)
    return False
"""


class SensorBench:
    """A chip in the raw REPL with `sensor`, a driver that nobody started, and a wearer who keeps still."""

    def __init__(self, facts: PartFacts) -> None:
        self.facts = facts
        self._folder = tempfile.TemporaryDirectory(prefix="ansim-sensor-")
        folder = Path(self._folder.name)
        board = load_board("virtual")
        wired = Sensor(facts.name, bus=0, sda=21, scl=22, address=facts.address, interrupt=INT1)
        self._bench = Bench(folder, _flash(replace(board, sensor=wired), folder), sensor=wired)
        self._bench.chip.power_on()
        self._bench.sees(">>> ")
        self._bench.raw_repl()

    def begin(self) -> None:
        """Forget what the test before did: a part without fault or noise, a new driver."""
        self.wear(AT_REST)
        self.change(Fault.NONE, noise_mg=0, offset_mg=(0, 0, 0))
        facts = self.facts
        # On a device they are numbers where they are used, and have no names.
        constants = (FREE_FALL, IMPACT, WATERMARK)
        program = _PROGRAM.format(part=facts.name, address=facts.address, pin=INT1, constants=constants)
        self._bench.run(program)

    def run(self, program: str) -> str:
        return self._bench.run(program).strip()

    def ask(self, expression: str) -> object:
        """Return the value of an expression on the chip."""
        return ast.literal_eval(self.run(f"print(repr({expression}))"))

    def samples(self, expression: str) -> list[Sample]:
        """Return the value of an expression that is a list of samples in mg."""
        found = self.ask(expression)
        assert isinstance(found, list)
        return found

    def wear(self, posture_mg: Vector) -> None:
        self._bench.chip.hold(posture_mg)

    def play(self, samples: Samples, rate_hz: float = 50) -> None:
        self._bench.chip.play(samples, rate_hz, repeat=False)

    def change(
        self, fault: Fault | None = None, noise_mg: float | None = None, offset_mg: Vector | None = None
    ) -> None:
        self._bench.chip.change_sensor(fault, noise_mg, offset_mg)

    def lose_power(self) -> None:
        """Cut the power of the chip and of the part, and put a new driver to it."""
        self._bench.chip.power_on()
        self._bench.sees(">>> ")
        self._bench.raw_repl()
        self.begin()

    def close(self) -> None:
        self._bench.chip.close()
        self._folder.cleanup()


def _flash(board: Board, folder: Path) -> bytes:
    """A flash with the drivers alone, so that nothing runs but the test."""
    source = folder / "source"
    shutil.copytree(project_root() / "firmware/ansim_fw/drivers", source / "ansim_fw/drivers")
    (source / "ansim_fw/__init__.py").touch()
    (source / "main.py").touch()
    firmware = build_firmware(board, Home(folder / "home"), source)
    flash = flash_content()
    for offset, data in filesystem_image(firmware.files, VFS[1]):
        flash[VFS[0] + offset : VFS[0] + offset + len(data)] = data
    return bytes(flash)
