"""The journal in a device's flash, read from outside: no event is flashed away because the device did not answer."""

import zlib

import pytest
from littlefs import UserContext

from ansim.errors import DeviceError
from ansim.image import filesystem_image, mount
from ansim.waiting_events import waiting_events
from ansim_fw.core import journal

VFS_BYTES = 0x200000
CODE = {f"ansim_fw/core/module{number}.mpy": bytes(3000) for number in range(30)} | {"main.py": b"pass"}


def event(seq: int) -> bytes:
    text = f'{{"v":1,"boot":3,"seq":{seq},"type":"alarm","kind":"sos","try":1}}'
    return journal.record(journal.EVENT, text.encode(), zlib.crc32)


def acknowledged(seq: int) -> bytes:
    return journal.record(journal.ACKNOWLEDGED, journal.id_payload(3, seq), zlib.crc32)


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
    ("content", "waiting"),
    [
        (b"", 0),
        (event(1), 1),
        (event(1) + acknowledged(1), 0),
        (event(1) + event(2) + acknowledged(1), 1),
        (event(1) + event(1), 1),
        (event(1) + b"damaged" + event(2)[:-3] + event(3), 2),
        (journal.record(journal.EVENT, b'{"v":2,"of a later version":1}', zlib.crc32), 1),
        (b"".join(event(seq) for seq in range(200)), 200),
    ],
    ids=["empty", "one", "acknowledged", "one of two", "twice the same", "damaged", "of a later version", "many"],
)
def test_events_without_an_acknowledgement_are_counted(content: bytes, waiting: int) -> None:
    assert waiting_events(Flash(CODE | {"journal": content}).read, VFS_BYTES) == waiting


def test_a_device_without_a_journal_or_without_a_filesystem_has_none() -> None:
    assert waiting_events(Flash(CODE).read, VFS_BYTES) == 0
    assert waiting_events(lambda _, size: b"\xff" * size, VFS_BYTES) == 0
    assert (
        waiting_events(
            lambda offset, size: zlib.crc32(bytes([offset % 251])).to_bytes(4, "big") * (size // 4), VFS_BYTES
        )
        == 0
    )


def test_a_filesystem_that_a_newer_micropython_has_written_to_is_read() -> None:
    flash = Flash(CODE | {"journal": event(1)})
    filesystem = mount(UserContext(buffer=flash.content), VFS_BYTES)
    with filesystem.open("journal", "ab") as file:
        file.write(event(2))
    assert waiting_events(flash.read, VFS_BYTES) == 2


def test_a_filesystem_of_another_size_is_not_taken_for_an_empty_one() -> None:
    flash = Flash(CODE | {"journal": event(1)})
    with pytest.raises(DeviceError, match="can't be read"):
        waiting_events(flash.read, VFS_BYTES // 2)


def test_little_is_fetched_to_find_out() -> None:
    flash = Flash(CODE | {"journal": event(1)})
    waiting_events(flash.read, VFS_BYTES)
    assert flash.fetched <= 32_768


def test_a_line_that_fails_on_the_way_is_an_error_and_not_an_empty_journal() -> None:
    flash = Flash(CODE | {"journal": event(1)})

    def failing(offset: int, size: int) -> bytes:
        if flash.fetched > 3000:
            raise OSError("unplugged")
        return flash.read(offset, size)

    with pytest.raises(OSError, match="unplugged"):
        waiting_events(failing, VFS_BYTES)
