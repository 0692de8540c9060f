"""The ESP ROM loader and esptool's flasher stub: what answers on the serial port in download mode.

Sources: esptool 5.6 (loader.py, cmds.py, targets/) for every request that a tool sends and every answer it
takes, Espressif's "Serial Protocol" page, and esp32-mock-bootloader for opcodes and register profiles.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from esp32_mock_bootloader.protocol import CHECKSUM_SEED, CMD, READ_FLASH_SLOW_BLOCK_LEN, ROM_SYNC_VALUE

from ansim.virtual import slip
from ansim.virtual.chip_registers import ChipRegisters
from ansim.virtual.download import ROM_CODES, STUB_CODES, Codes, Download, LoaderError, Writer
from ansim.virtual.flash import SECTOR_BYTES, Flash, FlashRangeError

_REQUEST, _RESPONSE = 0, 1
_HEADER = struct.Struct("<BBHI")
_BLOCK_HEADER_BYTES = 16
_MAX_BLOCK_BYTES = 0x4000  # the stub's; the ROM's RAM blocks have 0x1800
_MAX_FRAME_BYTES = 2 * (_MAX_BLOCK_BYTES + _BLOCK_HEADER_BYTES + _HEADER.size)
_SYNC_ANSWERS = 8


@dataclass(frozen=True)
class Answer:
    """A successful command's value field and data; ``after`` runs once the answer is sent."""

    value: int = 0
    data: bytes = b""
    repeat: int = 1
    after: Callable[[], None] | None = None


def checksum(data: bytes) -> int:
    """The loaders' checksum: XOR of all bytes and 0xEF, folded in halves to avoid a loop over bytes."""
    width = 1 << max(0, len(data) - 1).bit_length()
    folded = int.from_bytes(data, "little")
    while width > 1:
        width //= 2
        folded = folded >> 8 * width ^ folded & (1 << 8 * width) - 1
    return int(CHECKSUM_SEED) ^ folded


class RomLoader:
    """Takes the bytes that come in on the UART in download mode; one life from reset to reset.

    Args:
        flash: the chip's flash.
        registers: the chip's registers.
        send: puts bytes on the UART's TX.
        leave: the tool asked to run what is in flash.
    """

    def __init__(
        self, flash: Flash, registers: ChipRegisters, send: Callable[[bytes], None], leave: Callable[[], None]
    ) -> None:
        self.stub = False
        self._flash = flash
        self._registers = registers
        self._send = send
        self._leave = leave
        self._frames = slip.Deframer(_MAX_FRAME_BYTES)
        self._ram_left = 0
        self._download: Download | None = None
        self._reading: _FlashReading | None = None
        self._common = {
            CMD["SYNC"]: self._sync,
            CMD["READ_REG"]: self._read_reg,
            CMD["WRITE_REG"]: self._write_reg,
            CMD["MEM_BEGIN"]: self._mem_begin,
            CMD["MEM_DATA"]: self._mem_data,
            CMD["MEM_END"]: self._mem_end,
            CMD["SPI_ATTACH"]: self._accept,
            CMD["SPI_SET_PARAMS"]: self._accept,
            CMD["CHANGE_BAUDRATE"]: self._accept,
            CMD["FLASH_BEGIN"]: self._flash_begin,
            CMD["FLASH_DATA"]: self._flash_data,
            CMD["FLASH_END"]: self._flash_end,
            CMD["FLASH_DEFL_BEGIN"]: self._deflated_begin,
            CMD["FLASH_DEFL_DATA"]: self._deflated_data,
            CMD["FLASH_DEFL_END"]: self._flash_end,
            CMD["SPI_FLASH_MD5"]: self._md5,
            CMD["GET_SECURITY_INFO"]: self._security_info,
        }
        self._rom_only = {CMD["READ_FLASH_SLOW"]: self._read_flash_slow}
        self._stub_only = {
            CMD["ERASE_FLASH"]: self._erase_flash,
            CMD["ERASE_REGION"]: self._erase_region,
            CMD["READ_FLASH"]: self._read_flash,
            CMD["RUN_USER_CODE"]: self._run_user_code,
        }

    @property
    def _codes(self) -> Codes:
        return STUB_CODES if self.stub else ROM_CODES

    def feed(self, data: bytes) -> None:
        """Take bytes from the UART's RX and answer what they complete. Never raises for what they hold."""
        for frame in self._frames.feed(data):
            if self._reading:
                self._acknowledged(frame)
            else:
                self._request(frame)

    def _request(self, frame: bytes) -> None:
        if len(frame) < _HEADER.size or frame[0] != _REQUEST:
            return
        _, op, size, check = _HEADER.unpack_from(frame)
        body = frame[_HEADER.size :]
        stub = self.stub
        try:
            if len(body) != size:
                raise LoaderError(self._codes.format)
            answer = self._handler(op)(body, check)
        except (FlashRangeError, struct.error):
            self._fail(op, LoaderError(self._codes.range))
        except OSError:
            self._fail(op, LoaderError(self._codes.flash))
        except LoaderError as error:
            self._fail(op, error)
        else:
            status = bytes(2 if stub else 4)
            self._send(_response(op, answer.value, answer.data + status) * answer.repeat)
            if answer.after:
                answer.after()

    def _handler(self, op: int) -> Callable[[bytes, int], Answer]:
        only = self._stub_only if self.stub else self._rom_only
        return self._common.get(op) or only.get(op) or self._unknown

    def _fail(self, op: int, error: LoaderError) -> None:
        status = (error.code, 0) if self.stub else (1, error.code, 0, 0)
        self._send(_response(op, 0, bytes(status)))

    def _unknown(self, _body: bytes, _check: int) -> Answer:
        raise LoaderError(self._codes.unknown)

    def _accept(self, _body: bytes, _check: int) -> Answer:
        return Answer()

    def _sync(self, _body: bytes, _check: int) -> Answer:
        return Answer(0 if self.stub else ROM_SYNC_VALUE, repeat=_SYNC_ANSWERS)

    def _read_reg(self, body: bytes, _check: int) -> Answer:
        (address,) = struct.unpack("<I", body)
        return Answer(self._registers.read(address))

    def _write_reg(self, body: bytes, _check: int) -> Answer:
        for address, value, mask, _delay_us in struct.iter_unpack("<IIII", body):
            self._registers.write(address, value, mask)
        return Answer()

    def _security_info(self, body: bytes, check: int) -> Answer:
        info = self._registers.security_info()
        return Answer(data=info) if info else self._unknown(body, check)

    def _mem_begin(self, body: bytes, _check: int) -> Answer:
        self._ram_left, *_ = struct.unpack("<IIII", body)
        return Answer()

    def _mem_data(self, body: bytes, check: int) -> Answer:
        data = self._block(body, check)
        if len(data) > self._ram_left:
            raise LoaderError(self._codes.too_much)
        self._ram_left -= len(data)
        return Answer()

    def _mem_end(self, body: bytes, _check: int) -> Answer:
        stay, _entry = struct.unpack("<II", body)
        if self._ram_left:
            raise LoaderError(self._codes.not_enough)
        return Answer(after=None if stay else self._start_stub)

    def _start_stub(self) -> None:
        self.stub = True
        self._download = None
        self._send(slip.encode(b"OHAI"))

    def _flash_begin(self, body: bytes, _check: int) -> Answer:
        return self._begin(body, deflated=False)

    def _deflated_begin(self, body: bytes, _check: int) -> Answer:
        return self._begin(body, deflated=True)

    def _begin(self, body: bytes, deflated: bool) -> Answer:
        size, blocks, block_bytes, address = struct.unpack_from("<IIII", body)
        encrypted = len(body) > _BLOCK_HEADER_BYTES and any(body[_BLOCK_HEADER_BYTES:])
        if encrypted:
            raise LoaderError(self._codes.unknown)
        if block_bytes > _MAX_BLOCK_BYTES:
            raise LoaderError(self._codes.range)
        if not self.stub and not deflated:
            size = max(size, blocks * block_bytes) if size else 0
        writer = Writer(self._flash, self._codes, address, size, erase_first=not self.stub)
        self._download = Download(writer, self._codes, deflated)
        return Answer()

    def _flash_data(self, body: bytes, check: int) -> Answer:
        return self._data(body, check, deflated=False)

    def _deflated_data(self, body: bytes, check: int) -> Answer:
        return self._data(body, check, deflated=True)

    def _data(self, body: bytes, check: int, deflated: bool) -> Answer:
        download = self._download
        if download is None or download.deflated != deflated:
            raise LoaderError(self._codes.not_begun)
        data = self._block(body, check)
        if not self.stub:
            download.block(data)
            return Answer()
        if download.error:
            raise download.error
        return Answer(after=lambda: _block_after_answer(download, data))

    def _block(self, body: bytes, check: int) -> bytes:
        (size,) = struct.unpack_from("<I", body)
        data = body[_BLOCK_HEADER_BYTES:]
        if size != len(data) or size > _MAX_BLOCK_BYTES:
            raise LoaderError(self._codes.format)
        if checksum(data) != check & 0xFF:
            raise LoaderError(self._codes.checksum)
        return data

    def _flash_end(self, body: bytes, _check: int) -> Answer:
        (stay,) = struct.unpack("<I", body)
        download, self._download = self._download, None
        if download is None:
            raise LoaderError(self._codes.not_begun)
        if not self.stub:
            return Answer(after=self._leave)
        download.finish()
        return Answer(after=None if stay else self._back_to_rom)

    def _back_to_rom(self) -> None:
        """A software reset does not sample the strapping pins again: the ROM is back in download mode."""
        self.stub = False

    def _run_user_code(self, _body: bytes, _check: int) -> Answer:
        return Answer(after=self._leave)

    def _md5(self, body: bytes, _check: int) -> Answer:
        address, size, _, _ = struct.unpack("<IIII", body)
        digest = self._flash.md5(address, size)
        return Answer(data=digest if self.stub else digest.hex().encode())

    def _read_flash_slow(self, body: bytes, _check: int) -> Answer:
        address, size = struct.unpack("<II", body)
        if size > READ_FLASH_SLOW_BLOCK_LEN:
            raise LoaderError(self._codes.range)
        return Answer(data=self._flash.read(address, size).ljust(READ_FLASH_SLOW_BLOCK_LEN, b"\0"))

    def _erase_flash(self, _body: bytes, _check: int) -> Answer:
        self._flash.erase(0, self._flash.size)
        return Answer()

    def _erase_region(self, body: bytes, _check: int) -> Answer:
        address, size = struct.unpack("<II", body)
        if address % SECTOR_BYTES or size % SECTOR_BYTES:
            raise LoaderError(self._codes.range)
        self._flash.erase(address, size)
        return Answer()

    def _read_flash(self, body: bytes, _check: int) -> Answer:
        address, size, block_bytes, window = struct.unpack("<IIII", body)
        self._flash.read(address, 0)
        if address + size > self._flash.size or not 0 < block_bytes <= SECTOR_BYTES:
            raise LoaderError(self._codes.range)
        self._reading = _FlashReading(self._flash, address, size, block_bytes, window)
        return Answer(after=lambda: self._stream(0))

    def _acknowledged(self, frame: bytes) -> None:
        """While flash is read, each frame from the host is the count of bytes that it has."""
        if len(frame) == 4:
            self._stream(int.from_bytes(frame, "little"))
        else:
            self._reading = None

    def _stream(self, acknowledged: int) -> None:
        assert self._reading
        for frame in self._reading.next_frames(acknowledged):
            self._send(slip.encode(frame))
        if self._reading.done:
            self._reading = None


class _FlashReading:
    """The stub's READ_FLASH: blocks ahead of the host's acknowledgements, then their MD5."""

    def __init__(self, flash: Flash, address: int, size: int, block_bytes: int, window: int) -> None:
        self.done = False
        self._flash = flash
        self._address = address
        self._size = size
        self._block_bytes = block_bytes
        self._window = max(1, window)
        self._sent = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    def next_frames(self, acknowledged: int) -> list[bytes]:
        """Return the frames to send now. The stub's window counts bytes, not packets as esptool means it."""
        frames = []
        while self._sent < self._size and self._sent - acknowledged < self._window:
            frame = self._flash.read(self._address + self._sent, min(self._block_bytes, self._size - self._sent))
            self._digest.update(frame)
            self._sent += len(frame)
            frames.append(frame)
        if acknowledged >= self._size:
            self.done = True
            frames.append(self._digest.digest())
        return frames


def _response(op: int, value: int, data: bytes) -> bytes:
    return slip.encode(_HEADER.pack(_RESPONSE, op, len(data), value) + data)


def _block_after_answer(download: Download, data: bytes) -> None:
    """The stub acknowledges a block before it writes it; the next command then tells of an error."""
    try:
        download.block(data)
    except LoaderError:
        return
