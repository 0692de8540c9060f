"""What the running chip does to its flash is counted, and the power can go in the middle of any of it."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.virtual import VirtualBoard
from ansim.virtual.chip_flash import ChipFlash, PowerCut
from ansim.virtual.flash import SECTOR_BYTES
from chip_kit import FLASH_BYTES, NVS, VFS, Bench, flash_content

SIZE = 4 * SECTOR_BYTES
COUNTER = "import esp32; nvs = esp32.NVS('test'); nvs.set_i32('n', {value}); print('counted')"
WRITER = """
with open('new', 'w') as file:
    file.write('x' * 1000)
print('written')
"""


@pytest.fixture
def flash(tmp_path: Path) -> ChipFlash:
    return ChipFlash(tmp_path / "flash.bin", SIZE)


def test_every_operation_is_counted_and_each_sector_erased_is_one(flash: ChipFlash) -> None:
    flash.program(0, b"abc")
    flash.erase(0, 2 * SECTOR_BYTES)
    flash.erase(SECTOR_BYTES, 1)
    assert flash.figures() == {
        "operations": 4,
        "programs": 1,
        "programmed_bytes": 3,
        "erases": 3,
        "most_worn_erases": 2,
    }


@pytest.mark.parametrize(
    ("percent", "size", "done"),
    [(0, 128, 0), (1, 128, 1), (50, 128, 64), (99, 128, 126), (99, 64, 63), (100, 128, 128), (1, 2, 1), (99, 1, 0)],
)
def test_the_power_goes_in_the_chosen_operation_with_so_much_of_it_done(
    flash: ChipFlash, percent: int, size: int, done: int
) -> None:
    flash.cut_power_at(2, percent)
    flash.program(SECTOR_BYTES, b"first")
    with pytest.raises(PowerCut) as caught:
        flash.program(0, bytes(size))
    assert vars(caught.value) == {"kind": "program", "address": 0, "size": size, "done": done}
    assert flash.read(0, size) == bytes(done) + b"\xff" * (size - done)
    flash.program(0, bytes(size))
    assert flash.read(0, size) == bytes(size), "the power goes once"


def test_an_erase_is_torn_in_its_sector_and_the_next_sector_is_not_reached(flash: ChipFlash) -> None:
    flash.program(0, bytes(SIZE))
    flash.cut_power_at(2, 25)
    with pytest.raises(PowerCut):
        flash.erase(0, SIZE)
    erased = SECTOR_BYTES + SECTOR_BYTES // 4
    assert flash.read(0, SIZE) == b"\xff" * erased + bytes(SIZE - erased)


@given(operation=st.integers(1, 6), percent=st.integers(0, 100), sizes=st.lists(st.integers(1, 200), max_size=8))
def test_before_the_cut_all_is_written_and_after_it_nothing(
    tmp_path_factory: pytest.TempPathFactory, operation: int, percent: int, sizes: list[int]
) -> None:
    flash = ChipFlash(tmp_path_factory.mktemp("flash") / "flash.bin", SECTOR_BYTES)
    flash.cut_power_at(operation, percent)
    ends = list(itertools.accumulate(sizes, initial=0))
    done = 0
    try:
        for start, size in zip(ends, sizes, strict=False):
            flash.program(start, bytes(size))
            done += size
    except PowerCut as cut:
        done += cut.done
        assert flash.figures()["operations"] == operation
    else:
        assert len(sizes) < operation
    assert flash.read(0, SECTOR_BYTES) == bytes(done) + b"\xff" * (SECTOR_BYTES - done)
    flash.close()
    flash.path.unlink()


def test_littlefs_and_nvs_of_a_chip_are_counted_together(tmp_path: Path) -> None:
    program = COUNTER.format(value=1) + WRITER
    before = flash_content({"main.py": program})
    with Bench(tmp_path, before) as bench:
        bench.chip.power_on()
        bench.sees("counted\r\nwritten\r\n")
        after = bench.flash.read_bytes()
        figures = bench.chip.flash_figures()
        bench.chip.halt()
    assert figures["operations"] == figures["programs"] + figures["erases"]
    assert figures["erases"] >= figures["most_worn_erases"] >= 1, "a file of 1000 bytes takes a block"
    for start, size in (NVS, VFS):
        assert after[start : start + size] != before[start : start + size]
    assert figures["programmed_bytes"] >= 1000


def test_after_the_cut_the_chip_writes_nothing_says_nothing_and_starts_again(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({"main.py": WRITER})) as bench:
        bench.chip.cut_power_at(3, 50)
        bench.chip.power_on()
        bench.until(lambda: bench.power_losses, "power cut")
        torn = bench.flash.read_bytes()
        (cut,) = bench.told("cut")
        address, done, size = (cut[name] for name in ("address", "done", "size"))
        assert 0 < done < size
        assert torn[address + done : address + size] != bytes(size - done)
        assert bench.chip.state()["status"] == "off"
        assert b"written" not in bench.output
        assert bench.chip.flash_figures()["operations"] == 3
        assert bench.flash.read_bytes() == torn
        bench.chip.power_on()
        bench.sees("written\r\n")
    assert len(bench.told("cut")) == bench.power_losses == 1


@pytest.mark.parametrize("operation", [1, 2, 3, 4])
def test_the_power_can_go_while_nvs_is_written_or_mended(tmp_path: Path, operation: int) -> None:
    with Bench(tmp_path, flash_content({"main.py": COUNTER.format(value=7)})) as bench:
        bench.chip.cut_power_at(operation, 50)
        bench.chip.power_on()
        bench.until(lambda: bench.power_losses, "power cut")
        assert NVS[0] <= bench.told("cut")[0]["address"] < sum(NVS)
        bench.chip.cut_power_at(1, 0)
        bench.chip.power_on()
        bench.until(lambda: bench.power_losses == 2, "power cut where the first one is mended")
        bench.chip.power_on()
        bench.sees("counted\r\n")


def test_a_halt_forgets_the_cut(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({"main.py": WRITER})) as bench:
        bench.chip.cut_power_at(1, 0)
        bench.chip.halt()
        bench.chip.power_on()
        bench.sees("written\r\n")
        assert not bench.power_losses


def test_a_write_of_many_blocks_and_one_beyond_the_partition(tmp_path: Path) -> None:
    program = (
        "import esp32\nlast = esp32.Partition.find(esp32.Partition.TYPE_DATA, label='vfs')[0]\n"
        "count = last.ioctl(4, 0)\ndata = bytes(range(256)) * 32\nlast.writeblocks(count - 2, data)\n"
        "found = bytearray(8192)\nlast.readblocks(count - 2, found)\nprint(found == data)\n"
        "try:\n    last.writeblocks(count - 1, b'x' * 8192, 0)\nexcept OSError as error:\n    print(error.errno)\n"
    )
    with Bench(tmp_path, flash_content({})) as bench:
        bench.chip.power_on()
        bench.sees(">>> ")
        bench.raw_repl()
        assert bench.run(program) == "True\n22\n"
        assert bench.flash.read_bytes()[FLASH_BYTES - 8192 :] == bytes(range(256)) * 32


def test_a_board_whose_power_went_is_off_and_tells_its_watchers(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    board = start_booting_board({"main.py": WRITER})
    control = board.control
    control.power(False)
    # It may have begun to write.
    before = control.stats()["flash"]["operations"]
    with control.watch(timeout_s=20) as events:
        control.cut_power_at(2, 100)
        control.power(True)
        kinds = [seen.event for seen in itertools.takewhile(lambda seen: seen.details != {"state": "off"}, events)]
    assert kinds[-1] == "cut"
    assert control.status()["state"] == "off"
    assert control.stats()["flash"]["operations"] == before + 2
    control.power(True)
    assert control.status()["state"] == "running"


def test_the_command_line_chooses_the_cut_and_shows_what_was_written(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    board = start_booting_board({"main.py": WRITER})
    board.control.power(False)
    before = board.control.stats()["flash"]["operations"]
    assert "flash operation 2 from now" in ansim("cut-power", board.name, "--operation", "2", "--done-percent", "0")
    board.control.power(True)
    with board.control.watch(timeout_s=20) as events:
        while json.loads(ansim("status", board.name, "--json"))["state"] != "off":
            next(events)
    flash = json.loads(ansim("status", board.name, "--json"))["flash"]
    assert flash["operations"] == before + 2
    assert ansim("cut-power", board.name, "--operation", "0", fails=True).count("Error") == 1


def ansim(*arguments: str, fails: bool = False) -> str:
    command = [sys.executable, "-m", "ansim", "virtual", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr
