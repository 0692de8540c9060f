"""NVS keeps values in ESP-IDF's own format, through reclaimed pages and power cuts at any moment."""

import contextlib
import functools
import random
import struct
import zlib
from pathlib import Path

import pytest
from esp_idf_nvs_partition_gen import nvs_partition_gen
from hypothesis import given, settings
from hypothesis import strategies as st

from ansim.virtual.flash import Flash
from ansim.virtual.nvs_flash import NOT_ENOUGH_SPACE, NOT_FOUND, NvsError, NvsFlash

SIZE = 0x6000


class PowerCut(Exception):
    """The lights went out."""


class Ram:
    """A NOR flash in memory that loses power after so many operations, in the middle of the last one."""

    def __init__(self, content: bytes, operations: int = 1 << 30, torn_share: float = 0.5) -> None:
        self.content = bytearray(content)
        self.left = operations
        self._torn_share = torn_share

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.content[address : address + size])

    def program(self, address: int, data: bytes) -> None:
        done = data[: self._spend(len(data))]
        for at, value in enumerate(done, address):
            self.content[at] &= value
        self._cut_if(len(done) < len(data) or self.left < 0)

    def erase(self, address: int, size: int) -> None:
        done = self._spend(size)
        self.content[address : address + done] = b"\xff" * done
        self._cut_if(done < size or self.left < 0)

    def _spend(self, size: int) -> int:
        self.left -= 1
        return size if self.left >= 0 else int(size * self._torn_share)

    def _cut_if(self, cut: bool) -> None:
        if cut:
            raise PowerCut


def generated(rows: str, folder: Path) -> bytes:
    """Return the image that ESP-IDF's generator makes of CSV rows."""
    source, out = folder / "in.csv", folder / "out.bin"
    source.write_text("key,type,encoding,value\n" + rows)
    args = type("Args", (), {"input": str(source), "output": str(out), "size": hex(SIZE), "version": 2, "outdir": ""})
    nvs_partition_gen.generate(args)
    return out.read_bytes()


def test_what_espressifs_generator_wrote_is_read(tmp_path: Path) -> None:
    blob = random.Random(1).randbytes(5000)
    (tmp_path / "blob").write_bytes(blob)
    rows = f"ansim,namespace,,\nboot,data,i32,-7\ntoken,file,binary,{tmp_path / 'blob'}\n"
    rows += "other,namespace,,\nboot,data,i32,9\n"
    nvs = NvsFlash(Ram(generated(rows, tmp_path)), 0, SIZE)
    assert nvs.get_i32("ansim", "boot") == -7
    assert nvs.get_i32("other", "boot") == 9
    assert nvs.get_blob("ansim", "token") == blob


def test_a_generated_image_is_not_changed_by_reading_it(tmp_path: Path) -> None:
    image = generated("ansim,namespace,,\nboot,data,i32,1\n", tmp_path)
    ram = Ram(image)
    NvsFlash(ram, 0, SIZE)
    assert ram.content == image


def test_entries_carry_espressifs_checksums() -> None:
    ram = Ram(b"\xff" * SIZE)
    NvsFlash(ram, 0, SIZE).set_i32("ansim", "boot", 3)
    page = bytes(ram.content[:4096])
    assert struct.unpack_from("<IIB", page) == (0xFFFFFFFE, 0, 0xFE)
    assert struct.unpack_from("<I", page, 28)[0] == zlib.crc32(page[4:28], 0xFFFFFFFF)
    entry = page[96:128]
    assert entry[:4] == bytes([1, 0x14, 1, 0xFF])
    assert entry[8:24].rstrip(b"\0") == b"boot"
    assert struct.unpack_from("<I", entry, 4)[0] == zlib.crc32(entry[:4] + entry[8:], 0xFFFFFFFF)
    assert page[32] == 0xFA  # two entries written, the rest empty


def test_values_outlive_a_thousand_rewrites_of_a_counter(tmp_path: Path) -> None:
    flash = Flash(tmp_path / "flash", SIZE)
    nvs = NvsFlash(flash, 0, SIZE)
    token = random.Random(2).randbytes(900)
    nvs.set_blob("ansim", "token", token)
    for count in range(1000):
        nvs.set_i32("ansim", "boot", count)
        nvs.set_blob("ansim", "wifi", b"x" * (count % 300))
    again = NvsFlash(flash, 0, SIZE)
    assert (again.get_i32("ansim", "boot"), again.get_blob("ansim", "token")) == (999, token)
    assert again.get_blob("ansim", "wifi") == b"x" * (999 % 300)
    flash.close()


def test_a_value_that_does_not_fit_is_refused_and_the_old_one_stays() -> None:
    ram = Ram(b"\xff" * SIZE)
    nvs = NvsFlash(ram, 0, SIZE)
    nvs.set_blob("ansim", "token", b"old")
    with pytest.raises(NvsError) as refused:
        nvs.set_blob("ansim", "token", bytes(SIZE))
    assert refused.value.code == NOT_ENOUGH_SPACE
    assert NvsFlash(ram, 0, SIZE).get_blob("ansim", "token") == b"old"
    nvs.set_blob("ansim", "token", bytes(8000))
    assert nvs.get_blob("ansim", "token") == bytes(8000)


def test_an_erased_key_is_gone_for_good() -> None:
    ram = Ram(b"\xff" * SIZE)
    nvs = NvsFlash(ram, 0, SIZE)
    nvs.set_blob("ansim", "token", b"old")
    nvs.erase("ansim", "token")
    for opened in (nvs, NvsFlash(ram, 0, SIZE)):
        with pytest.raises(NvsError) as missing:
            opened.get_blob("ansim", "token")
        assert missing.value.code == NOT_FOUND


CHANGES = st.lists(
    st.tuples(st.sampled_from(["boot", "token", "wifi", "ca"]), st.integers(0, 1500)), min_size=1, max_size=60
)


def apply(nvs: NvsFlash, change: tuple[str, int]) -> None:
    key, value = change
    if key == "boot":
        nvs.set_i32("ansim", key, value)
    else:
        nvs.set_blob("ansim", key, value.to_bytes(2) * (value // 2))


def values(nvs: NvsFlash) -> dict[str, object]:
    found: dict[str, object] = {}
    for key in ("boot", "token", "wifi", "ca"):
        try:
            found[key] = nvs.get_i32("ansim", key) if key == "boot" else nvs.get_blob("ansim", key)
        except NvsError:
            found[key] = None
    return found


@settings(max_examples=150, deadline=None)
@given(changes=CHANGES, operations=st.integers(0, 400), torn_share=st.floats(0, 1))
def test_a_power_cut_at_any_moment_leaves_the_old_value_or_the_new(
    changes: list[tuple[str, int]], operations: int, torn_share: float
) -> None:
    ram = Ram(b"\xff" * SIZE, operations, torn_share)
    sound = NvsFlash(Ram(b"\xff" * SIZE), 0, SIZE)
    before, after = values(sound), values(sound)
    try:
        nvs = NvsFlash(ram, 0, SIZE)
        for change in changes:
            apply(sound, change)
            before, after = after, values(sound)
            apply(nvs, change)
    except PowerCut:
        pass
    restarted = NvsFlash(Ram(bytes(ram.content)), 0, SIZE)
    assert values(restarted) in (before, after)
    apply(restarted, ("boot", 77))
    assert restarted.get_i32("ansim", "boot") == 77


def test_the_boot_counter_goes_back_at_no_cut_and_at_no_second_cut_where_pages_change() -> None:
    ram = Ram(b"\xff" * SIZE)
    NvsFlash(ram, 0, SIZE).set_blob("ansim", "token", bytes(900))
    longest = 0
    for boot in range(1, 900):
        before = bytes(ram.content)
        operations = counted_operations(ram, boot)
        longest = max(longest, operations)
        # The usual two or three are all alike.
        if operations > 4 or boot % 100 == 1:
            for cut in range(operations):
                for torn_share in (0.0, 0.5, 0.99):
                    starts_above(boot - 1, boot, cut_start(before, boot, cut, torn_share))
    assert longest > 6, "no page was freed, so the history is too short"


def counted_operations(ram: Ram, boot: int) -> int:
    """Count a start; return how many operations that took."""
    ram.left = 1 << 30
    NvsFlash(ram, 0, SIZE).set_i32("ansim", "boot", boot)
    return (1 << 30) - ram.left


def cut_start(content: bytes, boot: int, operations: int, torn_share: float) -> bytes:
    ram = Ram(content, operations, torn_share)
    with contextlib.suppress(PowerCut):
        NvsFlash(ram, 0, SIZE).set_i32("ansim", "boot", boot)
    return bytes(ram.content)


def starts_above(last: int, lost: int, content: bytes) -> None:
    """A start after the cut one has a number above the last that was given out; so has one after a second cut."""
    found = count_of(NvsFlash(Ram(content), 0, SIZE))
    assert last <= found <= lost
    for cut in range(4):
        again = count_of(NvsFlash(Ram(cut_start(content, found + 1, cut, 0.5)), 0, SIZE))
        assert found <= again <= found + 1


def count_of(nvs: NvsFlash) -> int:
    try:
        return nvs.get_i32("ansim", "boot")
    except NvsError:
        return 0


def test_a_page_that_damage_marks_for_freeing_keeps_its_values_where_there_is_no_room_for_them() -> None:
    ram = Ram(b"\xff" * SIZE)
    nvs = NvsFlash(ram, 0, SIZE)
    for number in range(220):
        nvs.set_i32("ansim", f"k{number}", number)
    ram.content[:4] = (0xFFFFFFF8).to_bytes(4, "little")
    opened = NvsFlash(ram, 0, SIZE)
    opened.set_i32("ansim", "boot", 1)
    again = NvsFlash(ram, 0, SIZE)
    assert [again.get_i32("ansim", f"k{number}") for number in range(220)] == list(range(220))
    assert again.get_i32("ansim", "boot") == 1


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_damage_keeps_a_partition_from_opening_and_from_taking_values(data: st.DataObject) -> None:
    ram = Ram(well_used())
    for _ in range(data.draw(st.integers(1, 4))):
        spoil(ram.content, data)
    opened = NvsFlash(ram, 0, SIZE)
    try:
        opened.set_i32("ansim", "boot", 1000)
    except NvsError as error:
        assert error.code == NOT_ENOUGH_SPACE
    else:
        assert NvsFlash(ram, 0, SIZE).get_i32("ansim", "boot") == 1000


@functools.cache
def well_used() -> bytes:
    ram = Ram(b"\xff" * SIZE)
    nvs = NvsFlash(ram, 0, SIZE)
    for count in range(80):
        nvs.set_i32("ansim", "boot", count)
        nvs.set_blob("ansim", "wifi", bytes(1200))
    return bytes(ram.content)


def spoil(content: bytearray, data: st.DataObject) -> None:
    """Change a page's state, copy a page over another, or change an entry and make its checksum right again."""
    page = data.draw(st.integers(0, SIZE // 4096 - 1)) * 4096
    match data.draw(st.sampled_from(("state", "page", "entry"))):
        case "state":
            state = data.draw(st.sampled_from((0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8, 0)))
            content[page : page + 4] = state.to_bytes(4, "little")
        case "page":
            other = data.draw(st.integers(0, SIZE // 4096 - 1)) * 4096
            content[page : page + 4096] = content[other : other + 4096]
        case "entry":
            start = page + 64 + 32 * data.draw(st.integers(0, 125))
            entry = content[start : start + 32]
            entry[data.draw(st.sampled_from((0, 1, 2, 3, 8, 24, 25, 28, 29)))] = data.draw(st.integers(0, 255))
            entry[4:8] = zlib.crc32(bytes(entry[:4] + entry[8:]), 0xFFFFFFFF).to_bytes(4, "little")
            content[start : start + 32] = entry
