"""MicroPython images: only a whole one for the right board gets near a device."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansim.boards import FIRST_PARTITION_OFFSET, PARTITION_TABLE_OFFSET, Board, load_board
from ansim.errors import AnsimError, BadInput
from ansim.home import Home
from ansim.micropython_image import check_image, load_image
from ansim.micropython_source import fetch_image, image_for
from ansim.stand_in import APP_ADDRESS, BOOTLOADER_ADDRESS, partition_table, program, stand_in_image

DEVKIT = load_board("esp32_devkit")
STICK = load_board("m5stickc_plus2")
VIRTUAL = load_board("virtual")
APP_AT = DEVKIT.partitions.factory.offset - DEVKIT.micropython.image_offset


def official(version: str = "v1.26.0", board: Board = DEVKIT, table: bytes | None = None) -> bytes:
    """An image that is built and names itself as the official ones do."""
    banner = bytes(256) + f"MicroPython {version} on 2025-08-09\0".encode() + bytes(range(256)) * 8
    first = board.micropython.image_offset
    data = program(BOOTLOADER_ADDRESS, b"bootloader").ljust(PARTITION_TABLE_OFFSET - first, b"\xff")
    data += table or partition_table(board)
    data = data.ljust(board.partitions.factory.offset - first, b"\xff")
    return data + program(APP_ADDRESS, banner)


def test_an_official_image_is_taken_and_its_version_is_known(tmp_path: Path) -> None:
    path = tmp_path / "ESP32_GENERIC.bin"
    path.write_bytes(official())
    image = load_image(path, DEVKIT)
    assert (image.version, image.stand_in, image.offset) == ("v1.26.0", False, 0x1000)
    assert load_image(path, VIRTUAL).version == "v1.26.0"


def test_the_filling_over_the_identity_is_left_out() -> None:
    image = check_image(official(), DEVKIT, "image")
    (loader_at, loader), (app_at, app) = image.segments(DEVKIT)
    assert (loader_at, loader_at + len(loader)) == (0x1000, FIRST_PARTITION_OFFSET)
    assert (app_at, app) == (0x10000, image.data[APP_AT:])


def test_the_newer_builds_without_a_vfs_entry_are_measured_against_the_flash() -> None:
    entries = partition_table(DEVKIT)[: 3 * 32]
    check_image(official(table=entries), DEVKIT, "image")
    check_image(official(board=STICK, table=entries), STICK, "image")


Damage = Callable[[bytes], bytes]
DAMAGES: list[tuple[str, Damage, str]] = [
    ("empty", lambda data: data[:0], "truncated"),
    ("not an image", lambda data: data.replace(b"\xe9", b"<", 1), "is not an ESP image: there is no bootloader"),
    ("ends in the bootloader", lambda data: data[:30], "bootloader is not whole"),
    ("ends before the table", lambda data: data[:0x5000], "no partition table"),
    ("ends before the app", lambda data: data[: APP_AT - 4], "ends before its app"),
    ("half the app", lambda data: data[:-1000], "truncated or damaged"),
    ("five bytes short", lambda data: data[:-5], "truncated or damaged"),
    ("one bit in the app", lambda data: data[:-600] + b"\x55" + data[-599:], "damaged"),
    ("app only", lambda data: data[APP_AT:], "no partition table"),
    ("no app", lambda data: data[:APP_AT] + b"\xff" * 9000, "there is no app at 0xf000"),
    ("other chip", lambda data: data[:12] + b"\x05" + data[13:], "is for ESP32-C3, but the board esp32_devkit"),
    ("unknown chip", lambda data: data[:12] + b"\xee" + data[13:], "unknown chip"),
]


@pytest.mark.parametrize(("damage", "says"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path, damage: Damage, says: str) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(damage(official()))
    with pytest.raises(BadInput, match=says) as caught:
        load_image(path, DEVKIT)
    assert str(path) in caught.value.message
    assert "ESP32_GENERIC" in caught.value.hint


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_gets_past_as_anything_but_a_refusal(data: st.DataObject) -> None:
    image = bytearray(official())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.sampled_from((0, PARTITION_TABLE_OFFSET - 0x1000, APP_AT)))
        image[start + data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from((len(image), APP_AT, PARTITION_TABLE_OFFSET - 0x1000 + 120, 40, 0)))
    with contextlib.suppress(BadInput):
        check_image(bytes(image[: end - data.draw(st.integers(0, min(end, 40)))]), DEVKIT, "image")


def test_a_broken_partition_table_is_refused() -> None:
    table = bytearray(partition_table(DEVKIT))
    table[60] ^= 1
    with pytest.raises(BadInput, match="MD5 of its partition table"):
        check_image(official(table=bytes(table)), DEVKIT, "image")


def test_a_build_with_other_partitions_is_refused() -> None:
    with pytest.raises(BadInput, match="partition vfs is 0x200000.0x200000, but the board m5stickc_plus2 has"):
        check_image(official(), STICK, "image")


def test_a_program_that_is_not_micropython_is_refused() -> None:
    data = official()[:APP_AT] + program(APP_ADDRESS, b"some other program" * 40)
    with pytest.raises(BadInput, match="not MicroPython"):
        check_image(data, DEVKIT, "image")


def test_a_version_below_the_boards_minimum_is_refused() -> None:
    check_image(official("v1.23.0"), DEVKIT, "image")
    with pytest.raises(BadInput, match=r"MicroPython v1\.22\.2; esp32_devkit needs 1\.23\.0"):
        check_image(official("v1.22.2"), DEVKIT, "image")


def test_an_app_that_does_not_fit_its_partition_is_refused() -> None:
    large = program(APP_ADDRESS, b"MicroPython v1.26.0 on 2025-" + bytes(DEVKIT.partitions.factory.size))
    with pytest.raises(BadInput, match="too large"):
        check_image(official()[:APP_AT] + large, DEVKIT, "image")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing.bin: No such file"):
        load_image(tmp_path / "nothing.bin", DEVKIT)


def test_the_stand_in_says_what_it_is_repeats_exactly_and_runs_nowhere_else(tmp_path: Path) -> None:
    image = image_for(VIRTUAL, Home(tmp_path))
    assert image == stand_in_image(VIRTUAL)
    assert image.stand_in
    assert b"ansim-virtual-stand-in: no program for a chip" in image.data
    with pytest.raises(BadInput, match="stand-in and runs on no chip, so not on esp32_devkit"):
        check_image(image.data, DEVKIT, "image")


def cached(home: Home, data: bytes) -> str:
    (home.cache / "ESP32_GENERIC-v1.26.0.bin").write_bytes(data)
    return check_image(data, DEVKIT, "image").sha256


def lock_file(tmp_path: Path, sha256: str) -> Path:
    path = tmp_path / "micropython.lock"
    path.write_text(json.dumps({"ESP32_GENERIC": {"file": "ESP32_GENERIC-v1.26.0.bin", "sha256": sha256}}))
    return path


def test_a_fetched_image_is_the_one_in_the_lock(tmp_path: Path) -> None:
    home = Home(tmp_path)
    lock = lock_file(tmp_path, cached(home, official()))
    assert fetch_image(DEVKIT, home, lock).version == "v1.26.0"


def test_a_file_that_is_not_the_one_in_the_lock_is_refused_and_thrown_away(tmp_path: Path) -> None:
    home = Home(tmp_path)
    cached(home, official())
    with pytest.raises(BadInput, match="is not the file that .*micropython.lock names"):
        fetch_image(DEVKIT, home, lock_file(tmp_path, "0" * 64))
    assert not list(home.cache.iterdir())


def test_a_broken_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "micropython.lock").write_text("{")
    with pytest.raises(BadInput, match="micropython.lock can't be read"):
        fetch_image(DEVKIT, Home(tmp_path), tmp_path / "micropython.lock")


def test_without_the_internet_it_says_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(AnsimError, match="can't fetch ESP32_GENERIC") as caught:
        fetch_image(DEVKIT, Home(tmp_path), tmp_path / "micropython.lock")
    assert "https://micropython.org/download/ESP32_GENERIC/" in caught.value.hint
    assert "--micropython" in caught.value.hint
