"""What a waiting alarm costs the flash, and how many years the flash lasts.

Counted on the real journal and the real LittleFS of a 2 MiB partition with the firmware on it (journal_wear.py).
LittleFS spreads erases over the blocks in which nothing stands, but not evenly: after each restart it goes on at a
random block and takes the next free one, so that the block behind the firmware's own is hit far more often than others.
The years are those of the most worn block of a history of 200,000 alarms, a minute apart, with a restart a day: what
restarts brought it is counted for each restart, the rest for each alarm. They are at the hard end: a relocated folder
brings a block 100 erases at once, and the longer a history, the less its worst block differs from the others.

Endurance is what flash datasheets promise (Winbond W25Q32JV, GigaDevice GD25Q32: at least 100,000 erases a sector);
that a chip holds it has not been checked here.

The most that is legal in the long run are two alarms a minute and their cancels (core/allowance.py; 20,000 besides
after each start), and a fault and a restore for each loss of a link that flaps (30 s between losses,
core/link_watch.py) and for each reading of a battery at its limit (every 30 s, loop.py): ten events a minute. How long
the flash would stand a contact that chatters without the allowance, 25 presses a second (20 ms down, 20 ms up,
core/button.py), is printed, too.
"""

import itertools
import tempfile
from pathlib import Path

from journal_figures import MOST_ERASES, MOST_MEAN_ERASES, MOST_PROGRAMS, History, Wear, live, write_image

from ansim.boards import load_board
from ansim.home import Home
from ansim.image import BLOCK_BYTES, ROOM_BYTES, build_firmware
from ansim.nvs import Settings, nvs_image
from ansim.virtual.nvs_flash import NvsFlash
from figure import Figure

ENDURANCE = 100_000
LEAST_YEARS = 10
MINUTES_A_DAY = 24 * 60
DAYS_A_YEAR = 365.25
ALARMS = 200_000
SHORT = 5_000
PEER_ALARMS = 1_000
ALL_BUT_ONE = 63
LEGAL_A_MINUTE = 10
CHATTER_A_MINUTE = 25 * 60
STARTS = 20_000


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        board = load_board("esp32_devkit")
        blocks = board.partitions.vfs.size // BLOCK_BYTES
        image = Path(folder) / "vfs.bin"
        write_image(image, build_firmware(board, Home(Path(folder) / "home")).files, blocks)
        figures = _costs() + _room(image, blocks)
        return figures + _years(image, blocks) + _nvs(board.partitions.nvs.size)


def _years(image: Path, blocks: int) -> list[Figure]:
    """Return how long the flash of a device lasts that restarts once a day, at rates day and night."""
    (wear,) = live(History(ALARMS, image=image, blocks=blocks, restart_every=MINUTES_A_DAY))
    legal = f"{LEGAL_A_MINUTE} events a minute, the most that is legal"
    return [
        _until_worn("an alarm a minute", wear, 1, LEAST_YEARS),
        _until_worn(legal, wear, LEGAL_A_MINUTE, LEAST_YEARS),
        _until_worn("a chattering contact without the allowance", wear, CHATTER_A_MINUTE),
    ]


def _until_worn(name: str, wear: Wear, per_minute: int, bound: float | None = None) -> Figure:
    """The worst block has its share of every alarm, like the others, and what the restarts bring it."""
    share = sum(wear.erases) / len(wear.erases)
    restarts_bring = (max(wear.erases) - share) * MINUTES_A_DAY / ALARMS
    erases_a_day = share / ALARMS * per_minute * MINUTES_A_DAY + restarts_bring
    spread = f"worst block {max(wear.erases)} erases, mean {share:.0f}"
    years = ENDURANCE / erases_a_day / DAYS_A_YEAR
    return Figure(f"until a block is worn, {name}", round(years, 1), "years", bound, True, spread)


def _costs() -> list[Figure]:
    ours = live(History(SHORT), History(SHORT, ALL_BUT_ONE))
    peers = live(History(PEER_ALARMS, keeper="append"), History(PEER_ALARMS, ALL_BUT_ONE, "append"))
    names = ("nothing waits", f"{ALL_BUT_ONE} wait")
    return [figure for wear, peer, name in zip(ours, peers, names, strict=True) for figure in _cost(wear, peer, name)]


def _cost(ours: Wear, peer: Wear, name: str) -> list[Figure]:
    """Return what an alarm costs, stored and forgotten, beside an append-only file of records."""

    def told(wear: Wear) -> tuple[float, float, float, float, float]:
        mean, worst = (wear.store, wear.forget), (wear.worst_store, wear.worst_forget)
        return (
            sum(cost.erases for cost in mean),
            sum(cost.erases for cost in worst),
            sum(cost.programs for cost in mean),
            sum(cost.programs for cost in worst),
            sum(cost.bytes for cost in mean),
        )

    lines = (
        ("erases, mean", "", MOST_MEAN_ERASES),
        ("erases, worst", "", MOST_ERASES),
        ("programs, mean", "", None),
        ("programs, worst", "", MOST_PROGRAMS),
        ("bytes programmed, mean", "bytes", None),
    )
    return [
        Figure(f"an alarm stored and forgotten, {name}: {what}", round(value, 2), unit, bound, peer=f"{other:.2f}")
        for (what, unit, bound), value, other in zip(lines, told(ours), told(peer), strict=True)
    ]


def _room(image: Path, blocks: int) -> list[Figure]:
    """Return what 64 waiting events with the longest records take, with room to spare and with none but the kept."""
    roomy, full = live(
        History(SHORT, ALL_BUT_ONE, "longest", image, blocks), History(SHORT, ALL_BUT_ONE, "full", image, blocks)
    )
    kept = ROOM_BYTES // BLOCK_BYTES
    return [
        Figure("blocks that 64 waiting events take, where there is room", roomy.most_blocks - roomy.blocks_before, ""),
        Figure(f"events without room where a stranger left the {kept} kept blocks", full.failed, "", bound=0),
    ]


class CountingRam:
    """A flash in memory that counts the erases of each sector."""

    def __init__(self, content: bytes) -> None:
        self._content = bytearray(content)
        self.erases = [0] * (len(content) // BLOCK_BYTES)

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._content[address : address + size])

    def program(self, address: int, data: bytes) -> None:
        self._content[address : address + len(data)] = data

    def erase(self, address: int, size: int) -> None:
        self._content[address : address + size] = b"\xff" * size
        self.erases[address // BLOCK_BYTES] += 1


def _nvs(size: int) -> list[Figure]:
    """Return how many starts NVS stands, and the same where each start finds another network than the last."""
    return [
        Figure("starts until a sector of nvs is worn: boot counter", _starts(size, False), "", 1_000_000, True),
        Figure("the same, and every start finds another network", _starts(size, True), "", 1_000_000, True),
    ]


def _starts(size: int, new_network: bool) -> int:
    flash = CountingRam(nvs_image(_identity(), size))
    nvs = NvsFlash(flash, 0, size)
    networks = itertools.cycle([b'["the network downstairs", "192.168.178.101"]', b'["upstairs", "10.0.0.17"]'])
    first = nvs.get_i32("ansim", "boot")
    for boot in range(first + 1, first + 1 + STARTS):
        nvs.set_i32("ansim", "boot", boot)
        if new_network:
            nvs.set_blob("ansim", "last_good", next(networks))
    return round(ENDURANCE * STARTS / max(flash.erases))


def _identity() -> Settings:
    """Return the settings of a device, with blobs as long as real ones."""
    return Settings(
        device="AN000001",
        site="city",
        role="hub",
        host="broker.example",
        port=8883,
        generation=1,
        heartbeat_min=60,
        spread_s=30,
        ca_der=bytes(420),
        wifi=(("home", "peace-of-mind"), ("upstairs", "peace-of-mind")),
        jwt="x" * 720,
    )
