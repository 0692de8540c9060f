"""Board files: one TOML file a hardware design, read and checked into frozen dataclasses.

``boards/README.md`` explains every field. A mistake in a file is one BadInput that names file and key.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ansim.errors import BadInput
from ansim.home import project_root

SECTOR_BYTES = 4096
PARTITION_TABLE_OFFSET = 0x8000
FIRST_PARTITION_OFFSET = 0x9000
NATIVE_ARCHS = ("x64", "xtensawin", "rv32imc")

State = Literal["deep_sleep", "active", "wifi_connected", "wifi_receive", "wifi_transmit"]


@dataclass(frozen=True)
class ChipRules:
    """What a chip's pins can do. ``adc`` is the converter that works while Wi-Fi is on (ADC1)."""

    gpios: frozenset[int]
    flash: frozenset[int]
    console: frozenset[int]
    strapping: frozenset[int]
    input_only: frozenset[int]
    adc: frozenset[int]
    native_arch: str


def _pins(*ranges: tuple[int, int]) -> frozenset[int]:
    return frozenset(gpio for first, last in ranges for gpio in range(first, last + 1))


# ESP-IDF's "GPIO & RTC GPIO" pages of the two chips. GPIO 20 exists in the ESP32-PICO-V3 packages only.
CHIPS: Mapping[str, ChipRules] = {
    "esp32": ChipRules(
        gpios=_pins((0, 23), (25, 27), (32, 39)),
        flash=_pins((6, 11)),
        console=frozenset({1, 3}),
        strapping=frozenset({0, 2, 5, 12, 15}),
        input_only=_pins((34, 39)),
        adc=_pins((32, 39)),
        native_arch="xtensawin",
    ),
    "esp32c3": ChipRules(
        gpios=_pins((0, 21)),
        flash=_pins((12, 17)),
        console=frozenset({20, 21}),
        strapping=frozenset({2, 8, 9}),
        input_only=frozenset(),
        adc=_pins((0, 4)),
        native_arch="rv32imc",
    ),
}


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
    """A pin that is read; ``active`` is the level that means pressed."""

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


@dataclass(frozen=True)
class Battery:
    """Battery measurement: the cell's voltage is ``divider`` times what the ADC pin sees."""

    gpio: int
    divider: float
    full_mv: int
    empty_mv: int
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
class Current:
    """What the board draws in one state, and where the figure is from."""

    ma: float
    source: str


@dataclass(frozen=True)
class Board:
    """A checked board file."""

    board: About
    micropython: MicroPython
    partitions: Partitions
    pins: Pins
    currents: Mapping[State, Current]
    battery: Battery | None = None
    sensor: Sensor | None = None

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
        """What the firmware is given: dicts, ints and strings; a part that the board lacks is absent."""
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
            }
        if self.sensor is not None:
            given = dataclasses.asdict(self.sensor)
            data["sensor"] = {
                key: given[key]
                for key in ("part", "bus", "sda", "scl", "address", "interrupt")
                if given[key] is not None
            }
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


def board_names(folder: Path | None = None) -> list[str]:
    """The names that load_board knows, sorted."""
    return sorted(path.stem for path in (folder or boards_folder()).glob("*.toml"))


def load_board(name: str, folder: Path | None = None) -> Board:
    """Read and check the board file called name.

    Raises:
        BadInput: there is no such board, or its file is wrong; the message names file and key.
    """
    folder = folder or boards_folder()
    known = board_names(folder)
    if name not in known:
        hint = f"Boards: {', '.join(known)}." if known else "boards/README.md says what a board file holds."
        raise BadInput(f"there is no board '{name}' in {folder}{_did_you_mean(name, known)}", hint)
    path = folder / f"{name}.toml"
    board: Board = _Reader(path).read(Board, _load_toml(path), "")
    _check(board, path)
    return board


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"can't read {path}: {error}", "A board file is UTF-8 text that you may read.") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: {error}", "The file is TOML; that line does not follow its rules.") from error


def _did_you_mean(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


_TYPE_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class _Reader:
    """Turns TOML tables into the dataclasses above, guided by their fields' types."""

    path: Path

    def error(self, key: str, problem: str, hint: str = "") -> BadInput:
        return BadInput(f"{self.path}: {key}: {problem}", hint or "boards/README.md explains every field.")

    def read(self, kind: Any, table: object, where: str) -> Any:
        """Return kind made from table, whose place in the file is where ('' for the whole file)."""
        if not isinstance(table, dict):
            raise self.error(where, "must be a table")
        fields = {item.name: item for item in dataclasses.fields(kind)}
        for key in table.keys() - fields.keys():
            raise self.error(_below(where, key), f"unknown key{_did_you_mean(key, list(fields))}")
        hints = typing.get_type_hints(kind)
        values = {}
        for key, item in fields.items():
            if key in table:
                values[key] = self._value(hints[key], table[key], _below(where, key))
            elif item.default is dataclasses.MISSING:
                raise self.error(_below(where, key), "is missing")
        return kind(**values)

    def _value(self, kind: Any, value: object, where: str) -> Any:
        origin, options = typing.get_origin(kind), typing.get_args(kind)
        if origin is types.UnionType:
            return self._value(options[0], value, where)
        if origin is Literal:
            return self._one_of(options, value, where)
        if origin is not None:
            return self._mapping(options, value, where)
        if dataclasses.is_dataclass(kind):
            return self.read(kind, value, where)
        return self._plain(kind, value, where)

    def _one_of(self, allowed: tuple[str, ...], value: object, where: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            close = _did_you_mean(str(value), list(allowed))
            raise self.error(where, f"is {value!r}, must be one of {', '.join(allowed)}{close}")
        return value

    def _mapping(self, options: tuple[Any, ...], value: object, where: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error(where, "must be a table")
        allowed = typing.get_args(options[0])
        for key in value:
            if key not in allowed:
                raise self.error(_below(where, key), f"unknown key{_did_you_mean(key, list(allowed))}")
        read = {key: self._value(options[1], item, _below(where, key)) for key, item in value.items()}
        return types.MappingProxyType(read)

    def _plain(self, kind: type, value: object, where: str) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise self.error(where, f"is {value!r}, must be {_TYPE_NAMES[kind]}")
        return value


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


@dataclass(frozen=True)
class _Use:
    """One pin as the board uses it."""

    key: str
    gpio: int
    output: bool = False
    pull: bool = False
    adc: bool = False
    strapping_reason: str = field(default="")


def _uses(board: Board) -> Iterator[_Use]:
    for name, pin in vars(board.pins).items():
        if isinstance(pin, InputPin):
            yield _Use(f"pins.{name}", pin.gpio, pull=pin.pull != "none", strapping_reason=pin.strapping_reason)
        elif isinstance(pin, OutputPin):
            yield _Use(f"pins.{name}", pin.gpio, output=True, strapping_reason=pin.strapping_reason)
    if board.battery:
        yield _Use("battery", board.battery.gpio, adc=True, strapping_reason=board.battery.strapping_reason)
    if board.sensor:
        reason = board.sensor.strapping_reason
        yield _Use("sensor.sda", board.sensor.sda, output=True, strapping_reason=reason)
        yield _Use("sensor.scl", board.sensor.scl, output=True, strapping_reason=reason)
        if board.sensor.interrupt is not None:
            yield _Use("sensor.interrupt", board.sensor.interrupt, strapping_reason=reason)


def _check(board: Board, path: Path) -> None:
    error = _Reader(path).error
    for key, problem in _problems(board, path):
        raise error(key, problem)


def _problems(board: Board, path: Path) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for what the types alone don't catch; later checks rely on earlier ones."""
    yield from _about_problems(board, path)
    yield from _limit_problems(board)
    yield from _partition_problems(board)
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
        yield "board.chip", f"unknown chip '{about.chip}'{_did_you_mean(about.chip, list(CHIPS))}"
    arch = CHIPS[about.chip].native_arch
    if board.micropython.stand_in:
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
        if not 0 <= current.ma <= 2000:
            yield f"currents.{state}.ma", f"is {current.ma}, must be 0 to 2000"
    if board.battery and not 1 <= board.battery.divider <= 20:
        yield "battery.divider", f"is {board.battery.divider}, must be 1 to 20"
    if board.battery and not 0 < board.battery.empty_mv < board.battery.full_mv <= 20_000:
        yield "battery.empty_mv", "must be above 0 and below full_mv, which must not pass 20000"
    for name, pin in vars(board.pins).items():
        if isinstance(pin, OutputPin) and pin.tone_hz is not None and not 20 <= pin.tone_hz <= 20_000:
            yield f"pins.{name}.tone_hz", f"is {pin.tone_hz}, must be 20 to 20000"
    if board.sensor and not 0x08 <= board.sensor.address <= 0x77:
        yield "sensor.address", f"is {board.sensor.address:#x}, must be a 7-bit I2C address (0x08 to 0x77)"


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
        (
            use.adc and gpio not in chip.adc,
            f"GPIO {gpio} is not on ADC1, and ADC2 does not work while Wi-Fi is on",
        ),
        (
            gpio in chip.strapping and not use.strapping_reason,
            f"GPIO {gpio} is a strapping pin; say in strapping_reason why the chip still boots",
        ),
    )
    return next((text for wrong, text in reasons if wrong), None)
