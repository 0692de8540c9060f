"""The flash file behaves as a NOR flash and lasts."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.errors import BadInput
from ansim.virtual.flash import SECTOR_BYTES, Flash, FlashRangeError

SIZE = 4 * SECTOR_BYTES


@pytest.fixture
def flash(tmp_path: Path) -> Flash:
    return Flash(tmp_path / "flash.bin", SIZE)


def test_a_new_flash_is_erased(flash: Flash) -> None:
    assert flash.read(0, SIZE) == b"\xff" * SIZE


def test_programming_only_clears_bits(flash: Flash) -> None:
    flash.program(10, b"\x0f\xf0")
    flash.program(10, b"\x33\xff")
    assert flash.read(9, 4) == b"\xff\x03\xf0\xff"


def test_erasing_takes_whole_sectors(flash: Flash) -> None:
    flash.program(0, bytes(SIZE))
    flash.erase(SECTOR_BYTES + 1, SECTOR_BYTES)
    assert flash.read(0, SECTOR_BYTES) == bytes(SECTOR_BYTES)
    assert flash.read(SECTOR_BYTES, 2 * SECTOR_BYTES) == b"\xff" * 2 * SECTOR_BYTES
    assert flash.read(3 * SECTOR_BYTES, SECTOR_BYTES) == bytes(SECTOR_BYTES)


@pytest.mark.parametrize(("address", "size"), [(SIZE, 1), (-1, 1), (0, SIZE + 1), (SIZE - 1, 2), (0, -1)])
def test_nothing_outside_the_flash_can_be_reached(flash: Flash, address: int, size: int) -> None:
    for reach in (flash.read, flash.erase, flash.md5):
        with pytest.raises(FlashRangeError):
            reach(address, size)
    assert flash.path.stat().st_size == SIZE


def test_data_that_does_not_fit_is_not_written_in_part(flash: Flash) -> None:
    with pytest.raises(FlashRangeError):
        flash.program(SIZE - 2, b"abc")
    assert flash.read(SIZE - 2, 2) == b"\xff\xff"


def test_what_was_written_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    writer = (
        "import sys, os, signal; from pathlib import Path; from ansim.virtual.flash import Flash; "
        f"Flash(Path(sys.argv[1]), {SIZE}).program(0, b'lasting'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", writer, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert Flash(path, SIZE).read(0, 8) == b"lasting\xff"


def test_a_flash_of_another_size_is_refused_with_a_way_out(flash: Flash) -> None:
    with pytest.raises(BadInput, match="holds 16384 bytes, but the board has 8192") as caught:
        Flash(flash.path, SIZE // 2)
    assert "Delete the file" in caught.value.hint


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flash.bin").mkdir()
    with pytest.raises(BadInput, match="can't open the flash file"):
        Flash(tmp_path / "flash.bin", SIZE)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("program"), st.integers(0, SIZE - 64), st.binary(max_size=64)),
        st.tuples(st.just("erase"), st.integers(0, SIZE - 64), st.integers(0, 64)),
    ),
    max_size=20,
)


@given(operations=OPERATIONS)
def test_any_sequence_of_operations_matches_a_plain_model(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int, bytes | int]]
) -> None:
    path = tmp_path_factory.mktemp("flash") / "flash.bin"
    flash, model = Flash(path, SIZE), bytearray(b"\xff" * SIZE)
    for _name, address, value in operations:
        if isinstance(value, bytes):
            flash.program(address, value)
            for index, byte in enumerate(value, address):
                model[index] &= byte
        else:
            flash.erase(address, value)
            start, end = address // SECTOR_BYTES, -(-(address + value) // SECTOR_BYTES)
            for index in range(start * SECTOR_BYTES, end * SECTOR_BYTES):
                model[index] = 0xFF
    assert flash.read(0, SIZE) == model
    flash.close()
    path.unlink()
