"""ESP-IDF's non-volatile storage (NVS) in a flash partition: what ``esp32.NVS`` reads and writes on a chip.

The format is that of ESP-IDF's nvs_flash component, version 2 (see its README, "Internals"): pages of 4096 bytes with a
header, two state bits an entry, and 126 entries of 32 bytes. The order of writes is such that a power cut at any moment
leaves the old value or the new one: entries before their state bits, a new value before the old one is erased, a page
copied before it is erased. Opening the partition finishes or undoes what a power cut interrupted.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

PAGE_BYTES = 4096
ENTRY_BYTES = 32
ENTRIES = 126
_BITMAP = 32
_FIRST_ENTRY = 64
_BLANK = b"\xff" * ENTRY_BYTES

_FRESH, _ACTIVE, _FULL, _FREEING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
_VERSION_2 = 0xFE

_U8, _I32, _BLOB_DATA, _BLOB_INDEX = 0x01, 0x14, 0x42, 0x48
_ANY_CHUNK = 0xFF
# The chunks of a blob count from here, in turns, so that a new value's never meet the old one's.
_CHUNK_STARTS = (0x00, 0x80)
_MAX_NAMESPACES = 254
_MAX_KEY_BYTES = 15
_HEADER = struct.Struct("<BBBBI16s8s")
_SIZE_CRC = struct.Struct("<HHI")
_INDEX = struct.Struct("<IBBH")

# Two state bits an entry.
_EMPTY, _WRITTEN, _ERASED = 3, 2, 0

NOT_FOUND = 0x1102
NOT_ENOUGH_SPACE = 0x1105
INVALID_NAME = 0x1106
KEY_TOO_LONG = 0x1109


class NvsError(Exception):
    """NVS refuses; ``code`` is ESP-IDF's esp_err_t."""

    def __init__(self, code: int) -> None:
        super().__init__(f"NVS error {code:#x}")
        self.code = code


class NorFlash(Protocol):
    """What NVS needs of a flash; ansim.virtual.flash.Flash."""

    def read(self, address: int, size: int) -> bytes: ...
    def program(self, address: int, data: bytes) -> None: ...
    def erase(self, address: int, size: int) -> None: ...


@dataclass(frozen=True)
class _Name:
    """What a value is found by."""

    namespace: int
    kind: int
    key: str
    chunk: int = _ANY_CHUNK


@dataclass(frozen=True)
class _Place:
    """Where a value's entries are, and the eight data bytes of the first."""

    page: "_Page"
    entry: int
    span: int
    data: bytes


class NvsFlash:
    """One NVS partition, open.

    Args:
        flash: the flash.
        offset, size: where the partition is, in bytes, whole pages.
    """

    def __init__(self, flash: NorFlash, offset: int, size: int) -> None:
        self._pages = [_Page(flash, offset + start) for start in range(0, size, PAGE_BYTES)]
        self._found: dict[_Name, _Place] = {}
        self._load()
        self._recover()
        self._drop_orphans()

    def open(self, namespace: str) -> None:
        """Make the namespace if it is not there.

        Raises:
            NvsError: its name is not valid, or there is no room.
        """
        self._number(namespace, make=True)

    def get_i32(self, namespace: str, key: str) -> int:
        """Return a value.

        Raises:
            NvsError: NOT_FOUND.
        """
        place = self._found.get(_Name(self._number(namespace), _I32, key))
        if place is None:
            raise NvsError(NOT_FOUND)
        return int.from_bytes(place.data[:4], "little", signed=True)

    def set_i32(self, namespace: str, key: str, value: int) -> None:
        """Store a value, durably.

        Raises:
            NvsError: the key is too long, or there is no room.
        """
        name = _Name(self._number(namespace, make=True), _I32, _checked_key(key))
        data = value.to_bytes(4, "little", signed=True) + b"\xff" * 4
        before = self._found.get(name)
        if before is None or before.data[:4] != data[:4]:
            self._replace(name, data, b"")

    def get_blob(self, namespace: str, key: str) -> bytes:
        """Return a blob.

        Raises:
            NvsError: NOT_FOUND.
        """
        number = self._number(namespace)
        index = self._found.get(_Name(number, _BLOB_INDEX, key))
        if index is None:
            raise NvsError(NOT_FOUND)
        return b"".join(_content(self._found[name]) for name in _chunks(number, key, index))

    def set_blob(self, namespace: str, key: str, value: bytes) -> None:
        """Store a blob, durably.

        Raises:
            NvsError: the key is too long, or there is no room.
        """
        name = _Name(self._number(namespace, make=True), _BLOB_INDEX, _checked_key(key))
        before = self._found.get(name)
        start = _CHUNK_STARTS[0]
        if before is not None:
            if self.get_blob(namespace, key) == value:
                return
            start = _CHUNK_STARTS[before.data[5] == _CHUNK_STARTS[0]]
        written = self._write_chunks(name, value, start)
        try:
            self._replace(name, _INDEX.pack(len(value), len(written), start, 0xFFFF), b"")
        except NvsError:
            self._erase_all(written)
            raise
        if before is not None:
            self._erase_all(_chunks(name.namespace, key, before))

    def erase(self, namespace: str, key: str) -> None:
        """Erase a key, whatever its type.

        Raises:
            NvsError: NOT_FOUND.
        """
        number = self._number(namespace)
        names = [name for name in self._found if (name.namespace, name.key) == (number, key)]
        if not names:
            raise NvsError(NOT_FOUND)
        # The index first: chunks without one are dropped at the next start.
        self._erase_all(sorted(names, key=lambda name: name.kind == _BLOB_DATA))

    def _number(self, namespace: str, make: bool = False) -> int:
        """Return a namespace's number."""
        place = self._found.get(_Name(0, _U8, namespace))
        if place is not None:
            return place.data[0]
        if not make:
            raise NvsError(NOT_FOUND)
        if not 0 < len(namespace.encode()) <= _MAX_KEY_BYTES:
            raise NvsError(INVALID_NAME)
        taken = {place.data[0] for name, place in self._found.items() if name.namespace == 0}
        number = next((number for number in range(1, _MAX_NAMESPACES + 1) if number not in taken), None)
        if number is None:
            raise NvsError(NOT_ENOUGH_SPACE)
        self._replace(_Name(0, _U8, namespace), bytes([number]) + b"\xff" * 7, b"")
        return number

    # Writing

    def _replace(self, name: _Name, data: bytes, content: bytes) -> None:
        """Write a value, then erase the one that it replaces."""
        span = 1 + -(-len(content) // ENTRY_BYTES)
        place = self._page_with(span).append(name, data, content)
        before = self._found.get(name)
        self._found[name] = place
        if before is not None:
            before.page.erase(before.entry, before.span)

    def _write_chunks(self, name: _Name, value: bytes, start: int) -> list[_Name]:
        """Write a blob's chunks, as large as the pages have room; none stays behind when they do not all fit."""
        written: list[_Name] = []
        rest = value
        try:
            while rest or not written:
                room = self._page_with(2 if rest else 1).room - 1
                piece, rest = rest[: room * ENTRY_BYTES], rest[room * ENTRY_BYTES :]
                chunk = _Name(name.namespace, _BLOB_DATA, name.key, start + len(written))
                self._replace(chunk, _SIZE_CRC.pack(len(piece), 0xFFFF, _crc(piece)), piece)
                written.append(chunk)
        except NvsError:
            self._erase_all(written)
            raise
        return written

    def _erase_all(self, names: list[_Name]) -> None:
        for name in names:
            place = self._found.pop(name)
            place.page.erase(place.entry, place.span)

    # Pages

    def _page_with(self, span: int) -> "_Page":
        """Return the active page with room for span entries, after making one if need be.

        Raises:
            NvsError: NOT_ENOUGH_SPACE; nothing was lost.
        """
        active = self._active()
        if active is not None and active.room >= span:
            return active
        fresh = [page for page in self._pages if page.state == _FRESH]
        if len(fresh) < 2 and not self._can_free(span):
            raise NvsError(NOT_ENOUGH_SPACE)
        if active is not None:
            active.set_state(_FULL)
        if len(fresh) >= 2:
            return self._start_page(fresh[0])
        return self._reclaim()

    def _active(self) -> "_Page | None":
        return next((page for page in self._pages if page.state == _ACTIVE), None)

    def _start_page(self, page: "_Page") -> "_Page":
        page.start(1 + max((other.sequence for other in self._pages if other.state != _FRESH), default=-1))
        return page

    def _fullest_of_waste(self) -> "_Page":
        return min((page for page in self._pages if page.state != _FRESH), key=lambda page: page.live)

    def _can_free(self, span: int) -> bool:
        """Tell whether moving one page's values to the spare page leaves room there."""
        used = [page for page in self._pages if page.state != _FRESH]
        return len(used) < len(self._pages) and ENTRIES - self._fullest_of_waste().live >= span

    def _reclaim(self) -> "_Page":
        """Move the values of the page with the least of them to the spare page; it becomes the spare."""
        victim = self._fullest_of_waste()
        victim.set_state(_FREEING)
        target = self._start_page(next(page for page in self._pages if page.state == _FRESH))
        self._move(victim, target)
        return target

    def _move(self, victim: "_Page", target: "_Page") -> None:
        for name, place in list(self._found.items()):
            if place.page is victim:
                self._found[name] = target.append(name, place.data, _padded_content(place))
        victim.clear()

    # Opening

    def _load(self) -> None:
        """Read every value; of two with one name the later one counts."""
        for page in self._pages:
            page.mend()
        for page in sorted((page for page in self._pages if page.state != _FRESH), key=lambda page: page.sequence):
            for name, place in page.items():
                before = self._found.get(name)
                if before is not None:
                    before.page.erase(before.entry, before.span)
                self._found[name] = place

    def _recover(self) -> None:
        """Finish what a power cut interrupted: the freeing of a page, or a second active page."""
        active = [page for page in self._pages if page.state == _ACTIVE]
        for page in sorted(active, key=lambda page: page.sequence)[:-1]:
            page.set_state(_FULL)
        victim = next((page for page in self._pages if page.state == _FREEING), None)
        if victim is None:
            return
        target = self._active()
        fresh = next((page for page in self._pages if page.state == _FRESH), None)
        if target is None and fresh is not None:
            target = self._start_page(fresh)
        # Only damage leaves no room; the page then stays as it is, and its values can be read.
        if target is not None and target.room >= victim.live:
            self._move(victim, target)

    def _drop_orphans(self) -> None:
        """Erase chunks that no index names, and an index that misses a chunk."""
        wanted: set[_Name] = set()
        broken: list[_Name] = []
        for name, place in self._found.items():
            if name.kind == _BLOB_INDEX:
                chunks = _chunks(name.namespace, name.key, place)
                size = sum(_SIZE_CRC.unpack(self._found[chunk].data)[0] for chunk in chunks if chunk in self._found)
                if size == _INDEX.unpack(place.data)[0] and all(chunk in self._found for chunk in chunks):
                    wanted.update(chunks)
                else:
                    broken.append(name)
        orphans = [name for name in self._found if name.kind == _BLOB_DATA and name not in wanted]
        self._erase_all(broken + orphans)


class _Page:
    """One page: a copy of its content that is kept the same as the flash."""

    def __init__(self, flash: NorFlash, address: int) -> None:
        self._flash = flash
        self._address = address
        self._content = bytearray(flash.read(address, PAGE_BYTES))

    @property
    def state(self) -> int:
        return int.from_bytes(self._content[:4], "little")

    @property
    def sequence(self) -> int:
        return int.from_bytes(self._content[4:8], "little")

    @property
    def room(self) -> int:
        """Number of entries that were never written."""
        return ENTRIES - self._next()

    @property
    def live(self) -> int:
        """Number of entries in use."""
        return sum(self._entry_state(entry) == _WRITTEN for entry in range(ENTRIES))

    def set_state(self, state: int) -> None:
        self._program(0, state.to_bytes(4, "little"))

    def start(self, sequence: int) -> None:
        """Make an erased page the active one."""
        head = struct.pack("<IB19s", sequence, _VERSION_2, b"\xff" * 19)
        self._program(4, head + _crc(head).to_bytes(4, "little"))
        self.set_state(_ACTIVE)

    def clear(self) -> None:
        self._flash.erase(self._address, PAGE_BYTES)
        self._content[:] = b"\xff" * PAGE_BYTES

    def append(self, name: _Name, data: bytes, content: bytes) -> _Place:
        """Write a value behind the last; the caller has seen to it that there is room."""
        entry = self._next()
        span = 1 + -(-len(content) // ENTRY_BYTES)
        raw = _HEADER.pack(name.namespace, name.kind, span, name.chunk, 0, name.key.encode(), data)
        raw = raw[:4] + _crc(raw[:4] + raw[8:]).to_bytes(4, "little") + raw[8:]
        self._program(_at(entry), raw + content.ljust((span - 1) * ENTRY_BYTES, b"\xff"))
        self._set_states(entry, span, _WRITTEN)
        return _Place(self, entry, span, data)

    def erase(self, entry: int, span: int) -> None:
        self._set_states(entry, span, _ERASED)

    def content(self, entry: int, span: int) -> bytes:
        """Return the entries behind the first of a value."""
        return bytes(self._content[_at(entry + 1) : _at(entry + span)])

    def mend(self) -> None:
        """Put right what a power cut or damage left: half a header, half an entry, half an erasure."""
        if self.state == _FRESH:
            if self._content.count(0xFF) != PAGE_BYTES:
                self.clear()
            return
        if self.state not in (_ACTIVE, _FULL, _FREEING) or self._content[28:32] != _crc(
            bytes(self._content[4:28])
        ).to_bytes(4, "little"):
            self.clear()
            return
        entry = 0
        while entry < ENTRIES:
            entry += self._mend_entry(entry)

    def items(self) -> Iterator[tuple[_Name, _Place]]:
        """Yield every value of a mended page, in the order of writing."""
        entry = 0
        while entry < ENTRIES:
            if self._entry_state(entry) != _WRITTEN:
                entry += 1
                continue
            namespace, kind, span, chunk, _, key, data = _HEADER.unpack(self._raw(entry))
            name = _Name(namespace, kind, key.split(b"\0")[0].decode("utf-8", "replace"), chunk)
            yield name, _Place(self, entry, span, data)
            entry += span

    def _mend_entry(self, entry: int) -> int:
        """Check the value that begins at entry; return how many entries it takes."""
        state = self._entry_state(entry)
        if state == _EMPTY and self._raw(entry) == _BLANK or state == _ERASED:
            return 1
        span = self._valid_span(entry) if state == _WRITTEN else 0
        if span:
            self._set_states(entry, span, _WRITTEN)
            return span
        self._set_states(entry, 1, _ERASED)
        return 1

    def _valid_span(self, entry: int) -> int:
        """Return the span of the value that begins at entry, 0 if there is none."""
        raw = self._raw(entry)
        kind, span = raw[1], raw[2]
        if raw[4:8] != _crc(raw[:4] + raw[8:]).to_bytes(4, "little") or not 1 <= span <= ENTRIES - entry:
            return 0
        if span > 1 or kind == _BLOB_DATA:
            size, _, crc = _SIZE_CRC.unpack(raw[24:])
            content = self.content(entry, span)
            if size > len(content) or _crc(content[:size]) != crc:
                return 0
        return span

    def _next(self) -> int:
        """Return the first entry behind all that were ever written."""
        entry = ENTRIES
        while entry and self._entry_state(entry - 1) == _EMPTY:
            entry -= 1
        return entry

    def _raw(self, entry: int) -> bytes:
        return bytes(self._content[_at(entry) : _at(entry + 1)])

    def _entry_state(self, entry: int) -> int:
        return self._content[_BITMAP + entry // 4] >> 2 * (entry % 4) & 3

    def _set_states(self, entry: int, span: int, state: int) -> None:
        first, last = entry // 4, (entry + span - 1) // 4
        bits = self._content[_BITMAP + first : _BITMAP + last + 1]
        before = bytes(bits)
        for number in range(entry, entry + span):
            bits[number // 4 - first] &= ~((3 ^ state) << 2 * (number % 4))
        if bits != before:
            self._program(_BITMAP + first, bytes(bits))

    def _program(self, start: int, data: bytes) -> None:
        self._flash.program(self._address + start, data)
        self._content[start : start + len(data)] = data


def _at(entry: int) -> int:
    return _FIRST_ENTRY + entry * ENTRY_BYTES


def _crc(data: bytes) -> int:
    return zlib.crc32(data, 0xFFFFFFFF)


def _checked_key(key: str) -> str:
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise NvsError(KEY_TOO_LONG)
    if not key:
        raise NvsError(INVALID_NAME)
    return key


def _padded_content(place: _Place) -> bytes:
    return place.page.content(place.entry, place.span)


def _content(place: _Place) -> bytes:
    return _padded_content(place)[: _SIZE_CRC.unpack(place.data)[0]]


def _chunks(namespace: int, key: str, index: _Place) -> list[_Name]:
    """Return the names of a blob's chunks, from its index."""
    _, count, start, _ = _INDEX.unpack(index.data)
    return [_Name(namespace, _BLOB_DATA, key, start + number) for number in range(count)]
