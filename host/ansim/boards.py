"""Board files: one TOML file a hardware design, read and checked into frozen dataclasses.

``boards/README.md`` explains every field. A mistake in a file is one BadInput that names file and key.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ansim.chips import CHIPS, STAND_IN_CHIPS, WAKE_ON_GPIO_SINCE, ChipRules, WakeMethod
from ansim.errors import BadInput
from ansim.home import project_root
from ansim.toml_reader import TomlReader, did_you_mean

SECTOR_BYTES = 4096
PARTITION_TABLE_OFFSET = 0x8000
FIRST_PARTITION_OFFSET = 0x9000
# Each point is memory of the device.
MAX_CURVE_POINTS = 24
NATIVE_ARCHS = ("x64", "xtensawin", "rv32imc")

State = Literal[
    "deep_sleep",
    "light_sleep",
    "idle",
    "active",
    "wifi_connected",
    "wifi_receive",
    "wifi_transmit",
    "board",
]
Step = Literal["start", "look", "detector", "judge", "read", "load", "join", "handshake", "send", "leave", "transmit"]


@dataclass(frozen=True)
class About:
    """What the board is: its name (the file's own), chip, flash and the architecture of its native code."""

    name: str
    title: str
    chip: str
    flash_mib: int
    native_arch: str
    source: str


@dataclass(frozen=True)
class MicroPython:
    """The MicroPython build that belongs on the board.

    ``stand_in`` marks a board that has no chip: it takes the stand-in image and no other board does.
    """

    build: str
    minimum: str
    image_offset: int
    stand_in: bool = False


@dataclass(frozen=True)
class Partition:
    """A piece of flash, in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Partitions:
    """The partition table of the board's MicroPython build."""

    nvs: Partition
    phy_init: Partition
    factory: Partition
    vfs: Partition


@dataclass(frozen=True)
class InputPin:
    """A pin that is read; ``active`` is the level that means yes: pressed, or supply there."""

    gpio: int
    active: Literal["low", "high"]
    pull: Literal["up", "down", "none"]
    strapping_reason: str = ""


@dataclass(frozen=True)
class OutputPin:
    """A pin that is driven; ``active`` is the level that switches the part on.

    A part that needs a tone instead of a level (a passive buzzer) has ``tone_hz``.
    """

    gpio: int
    active: Literal["low", "high"]
    strapping_reason: str = ""
    tone_hz: int | None = None


@dataclass(frozen=True)
class Pins:
    """The parts that hang on one pin each."""

    button: InputPin
    led: OutputPin | None = None
    buzzer: OutputPin | None = None
    vibration: OutputPin | None = None
    power_hold: OutputPin | None = None
    supply: InputPin | None = None


@dataclass(frozen=True)
class Battery:
    """The cell and its measurement: its voltage is ``divider`` times what the ADC pin sees.

    ``curve`` are points (mV at rest, percent of charge), falling from (full_mv, 100) to (empty_mv, 0).
    """

    gpio: int
    divider: float
    full_mv: int
    empty_mv: int
    cell: str
    capacity_mah: int
    self_discharge_percent_month: float
    self_discharge_source: str
    curve: tuple[tuple[int, int], ...]
    curve_source: str
    strapping_reason: str = ""


@dataclass(frozen=True)
class Sensor:
    """The motion sensor and its I2C bus; ``interrupt`` is absent where the part's pin is not wired."""

    part: str
    bus: int
    sda: int
    scl: int
    address: int
    interrupt: int | None = None
    strapping_reason: str = ""


@dataclass(frozen=True)
class Wake:
    """How pins end the board's sleep: ``ext`` (esp32.wake_on_ext0, wake_on_ext1) or ``gpio`` (esp32.wake_on_gpio)."""

    method: WakeMethod
    source: str


@dataclass(frozen=True)
class Current:
    """What the board draws in one state, where the figure is from, and what it may be at worst, if that is known."""

    ma: float
    source: str
    worst_ma: float | None = None


@dataclass(frozen=True)
class Timing:
    """How long one step of a wake takes on the board, where the figure is from, and the worst, if that is known."""

    ms: int
    source: str
    worst_ms: int | None = None


@dataclass(frozen=True)
class Board:
    """A checked board file."""

    board: About
    micropython: MicroPython
    partitions: Partitions
    pins: Pins
    currents: Mapping[State, Current]
    timings: Mapping[Step, Timing] = field(default_factory=dict)
    battery: Battery | None = None
    sensor: Sensor | None = None
    wake: Wake | None = None

    @property
    def name(self) -> str:
        return self.board.name

    @property
    def chip(self) -> str:
        return self.board.chip

    @property
    def flash_bytes(self) -> int:
        return self.board.flash_mib * 1024 * 1024

    def firmware_data(self) -> dict[str, Any]:
        """What the firmware is given: dicts, tuples, ints and strings; a part that the board lacks is absent."""
        data: dict[str, Any] = {"name": self.name, "chip": self.chip}
        for name, pin in vars(self.pins).items():
            if pin is not None:
                data[name] = _pin_data(pin)
        if self.battery is not None:
            data["battery"] = {
                "gpio": self.battery.gpio,
                "divider_milli": round(self.battery.divider * 1000),
                "full_mv": self.battery.full_mv,
                "empty_mv": self.battery.empty_mv,
                "curve": self.battery.curve,
            }
        if self.sensor is not None:
            given = dataclasses.asdict(self.sensor)
            data["sensor"] = {
                key: given[key]
                for key in ("part", "bus", "sda", "scl", "address", "interrupt")
                if given[key] is not None
            }
        if self.wake is not None:
            data["wake"] = self.wake.method
        return data


def _pin_data(pin: InputPin | OutputPin) -> dict[str, int | str]:
    data: dict[str, int | str] = {"gpio": pin.gpio, "active": int(pin.active == "high")}
    if isinstance(pin, InputPin):
        data["pull"] = pin.pull
    elif pin.tone_hz is not None:
        data["tone_hz"] = pin.tone_hz
    return data


def boards_folder() -> Path:
    """Where the project's board files are."""
    return project_root() / "boards"


def drivers_folder() -> Path:
    """Where the firmware's drivers are, one file a part."""
    return project_root() / "firmware" / "ansim_fw" / "drivers"


def board_names(folder: Path | None = None) -> list[str]:
    """The names that load_board knows, sorted."""
    return sorted(path.stem for path in (folder or boards_folder()).glob("*.toml"))


def load_board(name: str, folder: Path | None = None) -> Board:
    """Read and check the board file called name, or the one at a path that ends in .toml.

    Raises:
        BadInput: there is no such board, or its file is wrong; the message names file and key.
    """
    path = Path(name) if name.endswith(".toml") else _known_file(name, folder or boards_folder())
    reader = TomlReader(path, "a board file", "boards/README.md explains every field.")
    board: Board = reader.read(Board)
    for key, problem in _problems(board, path):
        raise reader.error(key, problem)
    return board


def _known_file(name: str, folder: Path) -> Path:
    known = board_names(folder)
    if name not in known:
        hint = f"Boards: {', '.join(known)}." if known else "boards/README.md says what a board file holds."
        raise BadInput(f"there is no board '{name}' in {folder}{did_you_mean(name, known)}", hint)
    return folder / f"{name}.toml"


@dataclass(frozen=True)
class _Use:
    """One pin as the board uses it; ``held_active``: its pull is towards the level that means yes."""

    key: str
    gpio: int
    output: bool = False
    pull: bool = False
    held_active: bool = False
    adc: bool = False
    wakes: bool = False
    strapping_reason: str = field(default="")


def _uses(board: Board) -> Iterator[_Use]:
    for name, pin in vars(board.pins).items():
        if isinstance(pin, InputPin):
            yield _input_use(f"pins.{name}", pin, wakes=bool(board.wake) and pin is board.pins.button)
        elif isinstance(pin, OutputPin):
            yield _Use(f"pins.{name}", pin.gpio, output=True, strapping_reason=pin.strapping_reason)
    if board.battery:
        yield _Use("battery", board.battery.gpio, adc=True, strapping_reason=board.battery.strapping_reason)
    if board.sensor:
        reason = board.sensor.strapping_reason
        yield _Use("sensor.sda", board.sensor.sda, output=True, strapping_reason=reason)
        yield _Use("sensor.scl", board.sensor.scl, output=True, strapping_reason=reason)
        if board.sensor.interrupt is not None:
            wakes = bool(board.wake)
            yield _Use("sensor.interrupt", board.sensor.interrupt, wakes=wakes, strapping_reason=reason)


def _input_use(key: str, pin: InputPin, wakes: bool) -> _Use:
    towards = {"up": "high", "down": "low", "none": ""}[pin.pull]
    held_active = towards == pin.active
    return _Use(
        key, pin.gpio, pull=bool(towards), held_active=held_active, wakes=wakes, strapping_reason=pin.strapping_reason
    )


def _problems(board: Board, path: Path) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for what the types alone don't catch; later checks rely on earlier ones."""
    yield from _about_problems(board, path)
    yield from _limit_problems(board)
    yield from _partition_problems(board)
    if board.battery:
        yield from _battery_problems(board.battery)
    if board.wake:
        yield from _wake_problems(board, board.wake)
    used: dict[int, str] = {}
    for use in _uses(board):
        if problem := _pin_problem(CHIPS[board.chip], use):
            yield use.key, problem
        if use.gpio in used:
            yield use.key, f"GPIO {use.gpio} is already used by {used[use.gpio]}"
        used[use.gpio] = use.key


def _about_problems(board: Board, path: Path) -> Iterator[tuple[str, str]]:
    about = board.board
    if about.name != path.stem:
        yield "board.name", f"is '{about.name}', but the file is called {path.name}"
    if about.chip not in CHIPS:
        yield "board.chip", f"unknown chip '{about.chip}'{did_you_mean(about.chip, list(CHIPS))}"
    arch = CHIPS[about.chip].native_arch
    if board.micropython.stand_in:
        if about.chip not in STAND_IN_CHIPS:
            yield "micropython.stand_in", f"there is none for the {about.chip}, only for {', '.join(STAND_IN_CHIPS)}"
        if about.native_arch not in NATIVE_ARCHS:
            yield "board.native_arch", f"is '{about.native_arch}', must be one of {', '.join(NATIVE_ARCHS)}"
    elif about.native_arch != arch:
        yield "board.native_arch", f"is '{about.native_arch}', but the {about.chip} runs {arch}"


def _limit_problems(board: Board) -> Iterator[tuple[str, str]]:
    if not 1 <= board.board.flash_mib <= 16:
        yield "board.flash_mib", f"is {board.board.flash_mib}, must be 1 to 16"
    if not 0 <= board.micropython.image_offset < PARTITION_TABLE_OFFSET:
        yield "micropython.image_offset", f"must be below the partition table at {PARTITION_TABLE_OFFSET:#x}"
    for state, current in board.currents.items():
        yield from _figure_problems(f"currents.{state}", "ma", current.ma, current.worst_ma, 2000)
    for step, timing in board.timings.items():
        yield from _figure_problems(f"timings.{step}", "ms", timing.ms, timing.worst_ms, 60_000)
    for name, pin in vars(board.pins).items():
        if isinstance(pin, OutputPin) and pin.tone_hz is not None and not 20 <= pin.tone_hz <= 20_000:
            yield f"pins.{name}.tone_hz", f"is {pin.tone_hz}, must be 20 to 20000"
    if board.sensor:
        yield from _sensor_problems(board.sensor)


def _figure_problems(key: str, unit: str, figure: float, worst: float | None, most: int) -> Iterator[tuple[str, str]]:
    if not 0 <= figure <= most:
        yield f"{key}.{unit}", f"is {figure}, must be 0 to {most}"
    if worst is not None and not figure <= worst <= most:
        yield f"{key}.worst_{unit}", f"is {worst}, must be {figure} to {most}"


def _battery_problems(battery: Battery) -> Iterator[tuple[str, str]]:
    if not 1 <= battery.divider <= 20:
        yield "battery.divider", f"is {battery.divider}, must be 1 to 20"
    if not 0 < battery.empty_mv < battery.full_mv <= 20_000:
        yield "battery.empty_mv", "must be above 0 and below full_mv, which must not pass 20000"
    if not 10 <= battery.capacity_mah <= 20_000:
        yield "battery.capacity_mah", f"is {battery.capacity_mah}, must be 10 to 20000"
    if not 0 <= battery.self_discharge_percent_month <= 30:
        yield "battery.self_discharge_percent_month", "must be 0 to 30"
    if not 2 <= len(battery.curve) <= MAX_CURVE_POINTS:
        yield "battery.curve", f"has {len(battery.curve)} points, must have 2 to {MAX_CURVE_POINTS}"
    for above, below in itertools.pairwise(battery.curve):
        if not (above[0] > below[0] and above[1] > below[1]):
            yield "battery.curve", f"does not fall from {list(above)} to {list(below)}"
    if (battery.curve[0], battery.curve[-1]) != ((battery.full_mv, 100), (battery.empty_mv, 0)):
        yield "battery.curve", f"must begin with [{battery.full_mv}, 100] and end with [{battery.empty_mv}, 0]"


def _wake_problems(board: Board, wake: Wake) -> Iterator[tuple[str, str]]:
    method = CHIPS[board.chip].wake_method
    if wake.method != method:
        yield "wake.method", f"is '{wake.method}', but the {board.chip} is woken by '{method}'"
    if wake.method != "gpio":
        return
    minimum, since = board.micropython.minimum, ".".join(map(str, WAKE_ON_GPIO_SINCE))
    if tuple(int(part) for part in minimum.split(".")) < WAKE_ON_GPIO_SINCE:
        yield "micropython.minimum", f"is {minimum}, but waking by 'gpio' needs {since} or later"
    if board.sensor and board.sensor.interrupt is not None and board.pins.button.active != "high":
        yield "pins.button.active", "must be 'high' as the sensor's interrupt: by 'gpio' one level wakes for all pins"


def _sensor_problems(sensor: Sensor) -> Iterator[tuple[str, str]]:
    parts = sorted(path.stem for path in drivers_folder().glob("[a-z]*.py"))
    if sensor.part not in parts:
        close = did_you_mean(sensor.part, parts)
        yield "sensor.part", f"there is no driver '{sensor.part}'{close}; there are: {', '.join(parts)}"
    if not 0x08 <= sensor.address <= 0x77:
        yield "sensor.address", f"is {sensor.address:#x}, must be a 7-bit I2C address (0x08 to 0x77)"


def _partition_problems(board: Board) -> Iterator[tuple[str, str]]:
    end, before = FIRST_PARTITION_OFFSET, "the partition table"
    for name, part in sorted(vars(board.partitions).items(), key=lambda item: item[1].offset):
        key = f"partitions.{name}"
        if part.offset % SECTOR_BYTES or part.size % SECTOR_BYTES or part.size <= 0:
            yield key, f"offset and size must be multiples of {SECTOR_BYTES:#x}, and size above 0"
        if part.offset < end:
            yield key, f"starts at {part.offset:#x}, inside {before} (which ends at {end:#x})"
        if part.end > board.flash_bytes:
            yield key, f"ends at {part.end:#x}, beyond the {board.board.flash_mib} MiB of flash"
        end, before = part.end, name
    factory = board.partitions.factory
    if factory.offset % 0x10000:
        yield "partitions.factory", "an app partition must start at a multiple of 0x10000"


def _pin_problem(chip: ChipRules, use: _Use) -> str | None:
    """Why the chip's pin can't be used like this, or None."""
    gpio = use.gpio
    reasons = (
        (gpio not in chip.gpios, f"the chip has no GPIO {gpio}"),
        (gpio in chip.flash, f"GPIO {gpio} belongs to the flash chip"),
        (gpio in chip.console, f"GPIO {gpio} belongs to the serial console"),
        (gpio in chip.input_only and use.output, f"GPIO {gpio} is input only and can't drive anything"),
        (
            gpio in chip.input_only and use.pull,
            f"GPIO {gpio} is input only and has no pull resistor; set pull = 'none'",
        ),
        (use.held_active, "its pull is towards its active level, so it would always be active"),
        (
            use.wakes and use.pull and not chip.keeps_pulls,
            f"GPIO {gpio} loses its internal pull in deep sleep on this chip, and would wake the board at once; "
            "solder a resistor (100 kohm or more) and set pull = 'none'",
        ),
        (
            use.adc and gpio not in chip.adc,
            f"GPIO {gpio} is not on ADC1, and ADC2 does not work while Wi-Fi is on",
        ),
        (
            use.wakes and gpio not in chip.rtc,
            f"GPIO {gpio} does not work in deep sleep, so it can't wake the board; those that can: "
            f"{', '.join(map(str, sorted(chip.rtc)))}",
        ),
        (
            gpio in chip.strapping and not use.strapping_reason,
            f"GPIO {gpio} is a strapping pin; say in strapping_reason why the chip still boots",
        ),
    )
    return next((text for wrong, text in reasons if wrong), None)
