"""A chip starts what is in its flash, and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chip_kit import Bench, flash_content

MakeBench = Callable[[bytes], Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[MakeBench]:
    benches: list[Bench] = []

    def make(flash: bytes) -> Bench:
        benches.append(Bench(tmp_path, flash))
        return benches[-1]

    yield make
    for made in benches:
        made.close()


def test_main_py_from_the_filesystem_in_flash_runs_at_power_on(bench: MakeBench) -> None:
    board = bench(flash_content({"main.py": "import sys; print('hello from', sys.platform)"}))
    board.chip.power_on()
    before = board.sees("hello from esp32\r\n")
    assert before.endswith(b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n")
