"""Board files: the ones we ship load, and every mistake is one clear message that names file and key."""

import re
from pathlib import Path

import pytest

from ansim.boards import board_names, boards_folder, load_board
from ansim.errors import BadInput

GOOD = (boards_folder() / "virtual.toml").read_text()


def broken(tmp_path: Path, old: str, new: str) -> BadInput:
    """Change old to new in a good board file, load it, and return the error."""
    assert GOOD.count(old) >= 1
    (tmp_path / "virtual.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BadInput) as caught:
        load_board("virtual", tmp_path)
    assert str(tmp_path / "virtual.toml") in caught.value.message
    return caught.value


@pytest.mark.parametrize("name", board_names())
def test_every_shipped_board_loads_and_names_its_sources(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.firmware_data()["button"]["gpio"] == board.pins.button.gpio
    assert all(current.source for current in board.currents.values())


def test_the_boards_of_the_first_release_are_there() -> None:
    assert {"esp32_devkit", "esp32c3_devkit", "m5stickc_plus2", "virtual"} <= set(board_names())


def test_the_firmware_is_given_plain_values_and_no_part_that_the_board_lacks() -> None:
    data = load_board("m5stickc_plus2").firmware_data()
    assert data["button"] == {"gpio": 37, "active": 0, "pull": "none"}
    assert data["power_hold"] == {"gpio": 4, "active": 1}
    assert data["buzzer"] == {"gpio": 2, "active": 1, "tone_hz": 4000}
    assert data["battery"] == {"gpio": 38, "divider_milli": 2000, "full_mv": 4200, "empty_mv": 3300}
    assert data["sensor"] == {"part": "mpu6886", "bus": 0, "sda": 21, "scl": 22, "address": 0x68}
    assert "vibration" not in data


def test_an_unknown_board_is_named_with_the_nearest_one() -> None:
    with pytest.raises(BadInput, match="did you mean 'esp32_devkit'") as caught:
        load_board("esp32-devkit")
    assert "m5stickc_plus2" in caught.value.hint


def test_a_missing_file_says_which_folder_was_searched(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=str(tmp_path)):
        load_board("virtual", tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "virtual.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="can't read"):
        load_board("virtual", tmp_path)


MISTAKES = [
    ("syntax error", "flash_mib = 4", "flash_mib = = 4", r"line \d+"),
    (
        "unknown key",
        'active = "low"',
        'actve = "low"',
        "pins.button.actve: unknown key; did you mean 'active'",
    ),
    ("unknown table", "[pins.led]", "[pins.lde]", "pins.lde: unknown key; did you mean 'led'"),
    (
        "unknown state",
        "[currents.active]",
        "[currents.activ]",
        "currents.activ: unknown key; did you mean 'active'",
    ),
    ("missing key", 'chip = "esp32"\n', "", "board.chip: is missing"),
    ("missing table", "[pins.button]", "[pins.led_]", "pins.led_: unknown key"),
    ("wrong type", "flash_mib = 4", 'flash_mib = "4"', "board.flash_mib: is '4', must be a whole number"),
    ("true is not a number", "gpio = 33", "gpio = true", "pins.button.gpio: is True"),
    (
        "not a table",
        "vfs = { offset = 0x200000, size = 0x200000 }",
        "vfs = 7",
        "partitions.vfs: must be a table",
    ),
    ("bad level", 'active = "low"', 'active = "lo"', "must be one of low, high; did you mean 'low'"),
    ("name differs from file", 'name = "virtual"', 'name = "other"', "the file is called virtual.toml"),
    ("unknown chip", 'chip = "esp32"', 'chip = "esp23"', "unknown chip 'esp23'; did you mean 'esp32'"),
    ("unknown architecture", 'native_arch = "x64"', 'native_arch = "armv7"', "board.native_arch"),
    ("architecture of another chip", "stand_in = true", "stand_in = false", "the esp32 runs xtensawin"),
    ("no such GPIO", "gpio = 33", "gpio = 24", "the chip has no GPIO 24"),
    ("negative GPIO", "gpio = 33", "gpio = -1", "the chip has no GPIO -1"),
    ("flash pin", "gpio = 33", "gpio = 6", "belongs to the flash chip"),
    ("console pin", "gpio = 33", "gpio = 3", "belongs to the serial console"),
    ("duplicate pin", "gpio = 26", "gpio = 33", "pins.buzzer: GPIO 33 is already used by pins.button"),
    ("strapping pin without reason", "gpio = 33", "gpio = 12", "pins.button: GPIO 12 is a strapping pin"),
    ("input-only pin as output", "gpio = 25", "gpio = 34", "pins.led: GPIO 34 is input only"),
    ("input-only pin with a pull", "gpio = 33", "gpio = 36", "has no pull resistor"),
    ("ADC2", "gpio = 35", "gpio = 13", "battery: GPIO 13 is not on ADC1"),
    ("tone", "gpio = 26", "gpio = 26\ntone_hz = 5", "pins.buzzer.tone_hz: is 5, must be 20 to 20000"),
    ("battery limits", "empty_mv = 3300", "empty_mv = 5000", "battery.empty_mv"),
    ("divider", "divider = 2.0", "divider = 0.5", "battery.divider"),
    ("flash size", "flash_mib = 4", "flash_mib = 64", "board.flash_mib"),
    ("beyond flash", "flash_mib = 4", "flash_mib = 2", "partitions.vfs: ends at 0x400000, beyond the 2 MiB"),
    ("overlap", "offset = 0xf000", "offset = 0xe000", "inside nvs"),
    ("unaligned", "size = 0x6000", "size = 0x6100", "multiples of 0x1000"),
    ("in the partition table", "offset = 0x9000", "offset = 0x8000", "inside the partition table"),
    (
        "unaligned app",
        "offset = 0x10000, size = 0x1f0000",
        "offset = 0x11000, size = 0x1ef000",
        "multiple of 0x10000",
    ),
    ("impossible current", "ma = 38.0", "ma = -1", "currents.active.ma"),
    ("image offset", "image_offset = 0x1000", "image_offset = 0x9000", "micropython.image_offset"),
]


@pytest.mark.parametrize(("old", "new", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_one_message_with_file_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    error = broken(tmp_path, old, new)
    assert re.search(says, error.message), error.message
    assert error.hint


def test_a_strapping_pin_with_a_reason_is_taken(tmp_path: Path) -> None:
    text = GOOD.replace("gpio = 33", 'gpio = 12\nstrapping_reason = "pulled low on the board"')
    (tmp_path / "virtual.toml").write_text(text)
    assert load_board("virtual", tmp_path).pins.button.gpio == 12


def test_a_sensor_is_checked_like_every_other_part(tmp_path: Path) -> None:
    sensor = '[sensor]\npart = "lis3dh"\nbus = 0\nsda = 21\nscl = 22\naddress = 0x18\ninterrupt = 34\n'
    path = tmp_path / "virtual.toml"
    path.write_text(GOOD + sensor)
    assert load_board("virtual", tmp_path).firmware_data()["sensor"]["interrupt"] == 34
    for old, new, says in (("0x18", "0x80", "sensor.address"), ("sda = 21", "sda = 35", "input only")):
        path.write_text(GOOD + sensor.replace(old, new))
        with pytest.raises(BadInput, match=says):
            load_board("virtual", tmp_path)
