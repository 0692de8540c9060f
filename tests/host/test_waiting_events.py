"""The journal in a device's flash, read from outside: no event is flashed away because the device did not answer."""

import zlib

import pytest
from littlefs import UserContext

from ansim.errors import DeviceError
from ansim.image import SHELVES, filesystem_image, mount
from ansim.waiting_events import waiting_events
from ansim_fw.core import journal
from ansim_fw.core.event import ALARM, CANCEL, FAULT, Event

VFS_BYTES = 0x200000
CODE = {f"ansim_fw/core/module{number}.mpy": bytes(3000) for number in range(30)} | {"main.py": b"pass"}


def event(seq: int) -> tuple[str, bytes]:
    made = Event(3, seq, ALARM, "sos")
    return journal.name_of(made), journal.record(made, zlib.crc32)


def on_shelves(first: list[tuple[str, bytes]], second: list[tuple[str, bytes]]) -> dict[str, bytes]:
    shelves = zip(SHELVES, (first, second), strict=True)
    return {f"{shelf}/{name}": data for shelf, records in shelves for name, data in records}


class Flash:
    """A device's filesystem, that counts what is fetched of it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.fetched = 0
        self.content = bytearray(b"\xff" * VFS_BYTES)
        for offset, data in filesystem_image(files, VFS_BYTES):
            self.content[offset : offset + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= VFS_BYTES - size
        self.fetched += size
        return bytes(self.content[offset : offset + size])


@pytest.mark.parametrize(
    ("first", "second", "waiting"),
    [
        ([event(1)], [event(1)], 1),
        ([event(1), event(2)], [event(2)], 2),
        ([event(1)], [(event(1)[0], b"")], 1),
        ([(event(1)[0], b"")], [], 0),
        ([(event(1)[0], b"damaged")], [], 1),
        ([event(seq) for seq in range(64)], [event(seq) for seq in range(64)], 64),
    ],
    ids=["one", "half forgotten", "half written", "not written", "damaged", "as many as can wait"],
)
def test_events_without_an_acknowledgement_are_counted(
    first: list[tuple[str, bytes]], second: list[tuple[str, bytes]], waiting: int
) -> None:
    assert waiting_events(Flash(CODE | on_shelves(first, second)).read, VFS_BYTES).events == waiting


@pytest.mark.parametrize(
    ("made", "calls"),
    [
        (Event(3, 1, ALARM, "sos"), 1),
        (Event(3, 1, ALARM, "fall"), 1),
        (Event(3, 1, CANCEL, of=(3, 0)), 1),
        (Event(3, 1, ALARM, "test"), 0),
        (Event(3, 1, FAULT, "sensor"), 0),
    ],
    ids=["press", "fall", "cancel", "test", "fault"],
)
def test_what_may_be_about_a_person_is_told_from_tests_and_faults(made: Event, calls: int) -> None:
    record = (journal.name_of(made), journal.record(made, zlib.crc32))
    damaged = (record[0], record[1][:-1] + b"?")
    assert waiting_events(Flash(CODE | on_shelves([record], [record])).read, VFS_BYTES) == (1, calls)
    assert waiting_events(Flash(CODE | on_shelves([record], [damaged])).read, VFS_BYTES) == (1, 1)


def test_a_device_without_a_journal_or_without_a_filesystem_has_none() -> None:
    assert waiting_events(Flash(CODE).read, VFS_BYTES).events == 0
    assert waiting_events(lambda _, size: b"\xff" * size, VFS_BYTES).events == 0
    assert (
        waiting_events(
            lambda offset, size: zlib.crc32(bytes([offset % 251])).to_bytes(4, "big") * (size // 4), VFS_BYTES
        ).events
        == 0
    )


def test_a_filesystem_that_a_newer_micropython_has_written_to_is_read() -> None:
    flash = Flash(CODE | on_shelves([event(1)], [event(1)]))
    filesystem = mount(UserContext(buffer=flash.content), VFS_BYTES)
    name, data = event(2)
    with filesystem.open(f"{SHELVES[0]}/{name}", "wb") as file:
        file.write(data)
    assert waiting_events(flash.read, VFS_BYTES).events == 2


def test_a_filesystem_of_another_size_is_not_taken_for_an_empty_one() -> None:
    flash = Flash(CODE | on_shelves([event(1)], [event(1)]))
    with pytest.raises(DeviceError, match="can't be read"):
        waiting_events(flash.read, VFS_BYTES // 2)


def test_little_is_fetched_to_find_out() -> None:
    flash = Flash(CODE | on_shelves([event(1)], [event(1)]))
    waiting_events(flash.read, VFS_BYTES)
    assert flash.fetched <= 32_768


def test_a_line_that_fails_on_the_way_is_an_error_and_not_an_empty_journal() -> None:
    flash = Flash(CODE | on_shelves([event(1)], [event(1)]))

    def failing(offset: int, size: int) -> bytes:
        if flash.fetched > 3000:
            raise OSError("unplugged")
        return flash.read(offset, size)

    with pytest.raises(OSError, match="unplugged"):
        waiting_events(failing, VFS_BYTES)
