"""Board files: the ones we ship load, and every mistake is one clear message that names file and key."""

import re
from pathlib import Path

import pytest

from ansim.boards import board_names, boards_folder, load_board
from ansim.errors import BadInput

GOOD = (boards_folder() / "virtual.toml").read_text()
GPIO_WOKEN = "esp32c3_pendant"


def broken(tmp_path: Path, old: str, new: str, name: str = "virtual") -> BadInput:
    """Change old to new in a good board file, load it, and return the error."""
    good = (boards_folder() / f"{name}.toml").read_text()
    assert old in good
    (tmp_path / f"{name}.toml").write_text(good.replace(old, new, 1))
    with pytest.raises(BadInput) as caught:
        load_board(name, tmp_path)
    assert str(tmp_path / f"{name}.toml") in caught.value.message
    return caught.value


@pytest.mark.parametrize("name", board_names())
def test_every_shipped_board_loads_and_names_its_sources(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.firmware_data()["button"]["gpio"] == board.pins.button.gpio
    assert all(figure.source for figure in (*board.currents.values(), *board.timings.values()))


def test_the_boards_of_the_first_release_are_there() -> None:
    assert {"esp32_devkit", "esp32c3_devkit", "m5stickc_plus2", "virtual"} <= set(board_names())


def test_a_board_that_sleeps_has_a_cell_with_its_curve_and_a_way_to_wake() -> None:
    for name in board_names():
        board = load_board(name)
        assert (board.wake is None) == (board.battery is None), name
        assert ("wake" in board.firmware_data()) == (board.wake is not None), name
    data = load_board(GPIO_WOKEN).firmware_data()
    assert data["wake"] == "gpio"
    assert data["supply"] == {"gpio": 1, "active": 1, "pull": "none"}
    assert (data["battery"]["curve"][0], data["battery"]["curve"][-1]) == ((4200, 100), (3300, 0))


def test_the_firmware_is_given_plain_values_and_no_part_that_the_board_lacks() -> None:
    data = load_board("m5stickc_plus2").firmware_data()
    assert data["button"] == {"gpio": 37, "active": 0, "pull": "none"}
    assert data["power_hold"] == {"gpio": 4, "active": 1}
    assert data["buzzer"] == {"gpio": 2, "active": 1, "tone_hz": 4000}
    battery = data["battery"]
    assert battery.pop("curve") == load_board("m5stickc_plus2").battery.curve
    assert battery == {"gpio": 38, "divider_milli": 2000, "full_mv": 4200, "empty_mv": 3300}
    assert data["wake"] == "ext"
    assert data["sensor"] == {"part": "mpu6886", "bus": 0, "sda": 21, "scl": 22, "address": 0x68}
    assert not {"vibration", "supply"} & set(data)


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
    ("impossible time", "ms = 420", "ms = 70_000", "timings.start.ms: is 70000, must be 0 to 60000"),
    ("unknown step", "[timings.join]", "[timings.jion]", "timings.jion: unknown key; did you mean 'join'"),
    ("button can't wake", "gpio = 33", "gpio = 18", r"pins.button: GPIO 18 does not work in deep sleep.*0, 2, 4, 12"),
    ("sensor can't wake", "interrupt = 34", "interrupt = 18", "sensor.interrupt: GPIO 18 does not work in deep sleep"),
    ("wake of another chip", 'method = "ext"', 'method = "gpio"', "wake.method: is 'gpio', but the esp32 is woken by"),
    ("unknown wake", 'method = "ext"', 'method = "exit"', "must be one of ext, gpio; did you mean 'ext'"),
    ("capacity", "capacity_mah = 500", "capacity_mah = 5", "battery.capacity_mah: is 5, must be 10 to 20000"),
    ("self-discharge", "month = 2.0", "month = 40.0", "battery.self_discharge_percent_month: must be 0 to 30"),
    ("curve of one point", "[4200, 100],", "[4200, 100, 1],", r"battery.curve\[1\]: .*must have 2 values"),
    ("curve of texts", "[4200, 100],", '["4200", 100],', r"battery.curve\[1\]\[1\]: is '4200', must be a whole number"),
    ("curve that is none", "curve = [", "curve = 1 # [", "line"),
    ("curve that rises", "[4110, 90]", "[4110, 70]", r"battery.curve: does not fall from \[4110, 70\] to \[4020, 80\]"),
    ("curve's begin", "[4200, 100],", "", r"battery.curve: must begin with \[4200, 100\] and end with \[3300, 0\]"),
    ("pull towards pressed", 'pull = "up"', 'pull = "down"', "pins.button: its pull is towards its active level"),
    (
        "better at worst",
        "ma = 38.0",
        "ma = 38.0\nworst_ma = 20.0",
        "currents.active.worst_ma: is 20.0, must be 38",
    ),
    ("no such stand-in", 'chip = "esp32"', 'chip = "esp32s3"', "micropython.stand_in: there is none for the esp32s3"),
    ("image offset", "image_offset = 0x1000", "image_offset = 0x9000", "micropython.image_offset"),
]


@pytest.mark.parametrize(("old", "new", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_one_message_with_file_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    error = broken(tmp_path, old, new)
    assert re.search(says, error.message), error.message
    assert error.hint


GPIO_MISTAKES = [
    ('active = "high"', 'active = "low"', "pins.button.active: must be 'high' as the sensor's interrupt"),
    ('minimum = "1.27.0"', 'minimum = "1.26.1"', "micropython.minimum: is 1.26.1, but waking by 'gpio' needs 1.27"),
    ('method = "gpio"', 'method = "ext"', "wake.method: is 'ext', but the esp32c3 is woken by 'gpio'"),
    ("interrupt = 4", "interrupt = 7", r"those that can: 0, 1, 2, 3, 4, 5"),
]


@pytest.mark.parametrize(("old", "new", "says"), GPIO_MISTAKES)
def test_a_board_that_is_woken_by_gpio_needs_what_that_needs(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert re.search(says, broken(tmp_path, old, new, GPIO_WOKEN).message)


def test_a_button_alone_may_wake_by_either_level(tmp_path: Path) -> None:
    text = (boards_folder() / f"{GPIO_WOKEN}.toml").read_text()
    path = tmp_path / f"{GPIO_WOKEN}.toml"
    low = text.replace('active = "high"\npull = "down"', 'active = "low"\npull = "up"', 1)
    path.write_text(low.replace("interrupt = 4", ""))
    assert load_board(str(path)).firmware_data()["button"]["active"] == 0


@pytest.mark.parametrize("chip", ["esp32s2", "esp32s3"])
def test_a_chip_that_loses_its_pulls_in_deep_sleep_needs_a_resistor_at_the_button(tmp_path: Path, chip: str) -> None:
    text = GOOD.replace('chip = "esp32"', f'chip = "{chip}"').replace('"x64"', '"xtensawin"')
    text = text.replace("stand_in = true", "stand_in = false")
    for old, new in ((33, 4), (25, 5), (26, 6), (27, 11), (32, 7), (35, 1), (21, 8), (22, 9), (34, 10)):
        text = re.sub(rf"^(gpio|sda|scl|interrupt) = {old}$", rf"\1 = {new}", text, flags=re.MULTILINE)
    path = tmp_path / "virtual.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"pins.button: GPIO 4 loses its internal pull.*solder a resistor"):
        load_board(str(path))
    path.write_text(text.replace('pull = "up"', 'pull = "none"'))
    assert load_board(str(path)).pins.button.pull == "none"
    path.write_text(text.replace('pull = "up"', 'pull = "none"').replace("interrupt = 10", "interrupt = 34"))
    with pytest.raises(BadInput, match=r"GPIO 34 does not work in deep sleep.* 20, 21$"):
        load_board(str(path))


def test_a_strapping_pin_with_a_reason_is_taken(tmp_path: Path) -> None:
    text = GOOD.replace("gpio = 33", 'gpio = 12\nstrapping_reason = "pulled low on the board"')
    (tmp_path / "virtual.toml").write_text(text)
    assert load_board("virtual", tmp_path).pins.button.gpio == 12


def test_a_sensor_is_checked_like_every_other_part(tmp_path: Path) -> None:
    for old, new, says in (
        ("0x19", "0x80", "sensor.address"),
        ("sda = 21", "sda = 35", "input only"),
        ("lis2dw12", "lis2dw", "no driver 'lis2dw'; did you mean 'lis2dw12'.*adxl345, bma400"),
    ):
        assert re.search(says, broken(tmp_path, old, new).message)


def test_a_board_file_may_lie_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "virtual.toml"
    path.write_text(GOOD.replace("gpio = 33", "gpio = 4"))
    assert load_board(str(path)).pins.button.gpio == 4
    with pytest.raises(BadInput, match="can't read"):
        load_board(str(tmp_path / "none.toml"))
