"""The ROM loader and the flasher stub answer as the real ones, and take anything that comes over the wire."""

import hashlib
import struct
import zlib
from dataclasses import astuple
from functools import reduce
from operator import xor
from pathlib import Path

import pytest
from esptool.loader import ESPLoader
from esptool.util import FatalError
from hypothesis import given
from hypothesis import strategies as st

from ansim.virtual import slip
from ansim.virtual.chip_registers import ChipRegisters, crc8
from ansim.virtual.download import ROM_CODES, STUB_CODES
from ansim.virtual.flash import Flash
from ansim.virtual.rom import RomLoader, checksum

CMD = ESPLoader.ESP_CMDS
SIZE = 1 << 20
MAC = bytes.fromhex("02aabbccddee")
DATA = bytes(range(256)) * 200  # 51,200 bytes: not a multiple of a sector


class Host:
    """Speaks to a loader as a flashing tool does, one command at a time."""

    def __init__(self, flash: Flash, chip: str = "esp32") -> None:
        self.left_to_run = 0
        self.sent = bytearray()
        self.flash = flash
        registers = ChipRegisters(chip, MAC, flash.size, lambda: 115200)
        self.loader = RomLoader(flash, registers, self.sent.extend, self._left)

    def _left(self) -> None:
        self.left_to_run += 1

    def frames(self) -> list[bytes]:
        frames = slip.Deframer(1 << 20).feed(bytes(self.sent))
        self.sent.clear()
        return frames

    def raw(self, op: str, body: bytes = b"", check: int = 0) -> list[bytes]:
        self.loader.feed(slip.encode(struct.pack("<BBHI", 0, CMD[op], len(body), check) + body))
        return self.frames()

    def ask(self, op: str, *words: int, block: bytes | None = None) -> tuple[int, bytes, int]:
        """Return (value, data, error code); 0 is no error."""
        body = struct.pack(f"<{len(words)}I", *words)
        check = 0 if block is None else ESPLoader.checksum(block)
        answer = self.raw(op, body + (block or b""), check)[0]
        direction, opcode, size, value = struct.unpack_from("<BBHI", answer)
        assert (direction, opcode, size) == (1, CMD[op], len(answer) - 8)
        status_size = 2 if self.loader.stub else 4
        data, status = answer[8:-status_size], answer[-status_size:]
        if self.loader.stub:
            return value, data, status[0]
        assert status[0] == bool(status[1])
        return value, data, status[1]

    def error(self, op: str, *words: int, block: bytes | None = None) -> int:
        return self.ask(op, *words, block=block)[2]

    def block(self, op: str, data: bytes, sequence: int = 0) -> int:
        return self.error(op, len(data), sequence, 0, 0, block=data)

    def start_stub(self) -> None:
        assert self.error("MEM_BEGIN", 4, 1, 0x1800, 0x40080000) == 0
        assert self.block("MEM_DATA", b"stub") == 0
        answer, greeting = self.raw("MEM_END", struct.pack("<II", 0, 0x40080000))
        assert answer[8:] == bytes(4)
        assert greeting == b"OHAI"

    def begin_deflated(self, size: int, address: int = 0, blocks: int = 1) -> int:
        return self.error("FLASH_DEFL_BEGIN", size, blocks, 0x4000 if self.loader.stub else 0x400, address)


@pytest.fixture
def rom(tmp_path: Path) -> Host:
    return Host(Flash(tmp_path / "flash.bin", SIZE))


@pytest.fixture
def stub(rom: Host) -> Host:
    rom.start_stub()
    return rom


@given(data=st.binary(max_size=300))
def test_the_checksum_is_the_xor_of_all_bytes(data: bytes) -> None:
    assert checksum(data) == reduce(xor, data, 0xEF)


def test_sync_is_answered_eight_times_and_tells_rom_from_stub(rom: Host) -> None:
    sync = b"\x07\x07\x12\x20" + b"\x55" * 32
    answers = rom.raw("SYNC", sync)
    assert len(answers) == 8
    assert {answer[4:8] for answer in answers} != {bytes(4)}
    rom.start_stub()
    answers = rom.raw("SYNC", sync)
    assert len(answers) == 8
    assert {answer[4:8] for answer in answers} == {bytes(4)}


def test_the_efuses_hold_the_boards_own_mac_and_its_crc(rom: Host) -> None:
    low, high = (rom.ask("READ_REG", 0x3FF5A000 + offset)[0] for offset in (4, 8))
    assert struct.pack(">HI", high & 0xFFFF, low) == MAC
    assert high >> 16 == crc8(MAC)


def test_the_crc_is_that_of_a_known_efuse() -> None:
    # https://docs.espressif.com/projects/esptool/en/latest/esp32/espefuse/summary-cmd.html
    # "MAC: ... 94:b9:7e:5a:6e:58 (CRC 0xe2 OK)"
    assert crc8(bytes.fromhex("94b97e5a6e58")) == 0xE2


def test_an_esp32_does_not_know_get_security_info_and_an_esp32c3_does(tmp_path: Path) -> None:
    flash = Flash(tmp_path / "flash.bin", SIZE)
    assert Host(flash).error("GET_SECURITY_INFO") == 0x05
    _, info, error = Host(flash, "esp32c3").ask("GET_SECURITY_INFO")
    assert (len(info), info[12], error) == (20, 5, 0)


def test_written_registers_are_read_back_through_their_mask(rom: Host) -> None:
    rom.ask("WRITE_REG", 0x3FF48074, 0xFFFFFFFF, 0x0000FF00, 0)
    assert rom.ask("READ_REG", 0x3FF48074)[0] == 0xFF00


@pytest.mark.parametrize("address", [0, 0x10000, 0x1234])
def test_deflated_data_arrives_in_flash_across_sectors(stub: Host, address: int) -> None:
    stub.flash.program(0, bytes(SIZE))
    packed = zlib.compress(DATA, 9)
    assert stub.begin_deflated(len(DATA), address) == 0
    for start in range(0, len(packed), 100):
        assert stub.block("FLASH_DEFL_DATA", packed[start : start + 100]) == 0
    assert stub.error("FLASH_DEFL_END", 1) == 0
    assert stub.flash.read(address, len(DATA)) == DATA
    before, after = address - address % 4096, -(-(address + len(DATA)) // 4096) * 4096
    assert stub.flash.read(before, address - before) == b"\xff" * (address - before)
    assert stub.flash.read(address + len(DATA), 4) == (b"\xff" * 4)
    assert stub.flash.read(after, 4) == bytes(4)


def test_rom_erases_before_it_writes_and_pads(rom: Host) -> None:
    rom.flash.program(0, bytes(SIZE))
    packed = zlib.compress(DATA, 9)
    assert rom.begin_deflated(0xC800, 0x1000) == 0
    assert rom.flash.read(0x1000, 0xD000) == b"\xff" * 0xD000
    assert rom.block("FLASH_DEFL_DATA", packed) == 0
    assert rom.flash.read(0x1000, len(DATA)) == DATA
    assert rom.error("FLASH_BEGIN", 0x500, 2, 0x400, 0x20000) == 0
    assert [rom.block("FLASH_DATA", bytes([n]) * 0x400, n) for n in (1, 2)] == [0, 0]
    assert rom.flash.read(0x20000, 0x801) == b"\1" * 0x400 + b"\2" * 0x400 + b"\xff"


def test_padding_of_the_stubs_last_block_is_not_written(stub: Host) -> None:
    stub.flash.program(0x1000, bytes(0x2000))
    assert stub.error("FLASH_BEGIN", 0x1000, 1, 0x4000, 0x1000) == 0
    assert stub.block("FLASH_DATA", b"a" * 0x1000 + b"\xff" * 0x3000) == 0
    assert stub.error("FLASH_END", 1) == 0
    assert stub.flash.read(0x1000, 0x2000) == b"a" * 0x1000 + bytes(0x1000)


@pytest.mark.parametrize(("loader", "status"), [("rom", b"\x01\x07\0\0"), ("stub", b"\xc1\0")])
def test_a_wrong_checksum_is_an_error_and_the_block_can_be_sent_again(
    loader: str, status: bytes, request: pytest.FixtureRequest
) -> None:
    host: Host = request.getfixturevalue(loader)
    packed = zlib.compress(DATA, 9)
    host.begin_deflated(0xC800)
    body = struct.pack("<IIII", len(packed), 0, 0, 0) + packed
    answer = host.raw("FLASH_DEFL_DATA", body, ESPLoader.checksum(packed) ^ 1)[0]
    assert answer[8:] == status
    assert host.block("FLASH_DEFL_DATA", packed) == 0
    assert host.flash.read(0, len(DATA)) == DATA


def test_esptool_has_a_text_for_every_error() -> None:
    statuses = [bytes((1, code)) for code in astuple(ROM_CODES)] + [bytes((code, 0)) for code in astuple(STUB_CODES)]
    for status in statuses:
        assert "Unknown result" not in str(FatalError.WithResult("it failed", status))


def test_rom_tells_of_a_broken_deflate_stream_at_once(rom: Host) -> None:
    rom.begin_deflated(0x400)
    assert rom.block("FLASH_DEFL_DATA", b"not deflated at all") == 0x0B
    rom.begin_deflated(0x400)
    assert rom.block("FLASH_DEFL_DATA", zlib.compress(b"a" * 100)[:-1] + b"\0") == 0x0C


def test_the_stub_acknowledges_first_and_tells_of_a_broken_stream_at_the_next_command(stub: Host) -> None:
    stub.begin_deflated(1000)
    assert stub.block("FLASH_DEFL_DATA", b"not deflated at all") == 0
    assert stub.block("FLASH_DEFL_DATA", b"more") == 0xC7
    assert stub.error("FLASH_DEFL_END", 1) == 0xC7


def test_too_much_and_too_little_data_are_errors(stub: Host) -> None:
    stub.begin_deflated(100)
    stub.block("FLASH_DEFL_DATA", zlib.compress(bytes(1 << 24)))
    assert stub.error("FLASH_DEFL_END", 1) == 0xC9
    stub.begin_deflated(100)
    stub.block("FLASH_DEFL_DATA", zlib.compress(bytes(50)))
    assert stub.error("FLASH_DEFL_END", 1) == 0xC8
    stub.begin_deflated(50)
    stub.block("FLASH_DEFL_DATA", zlib.compress(bytes(50))[:-2])
    assert stub.error("FLASH_DEFL_END", 1) == 0xC8


def test_data_without_a_begin_is_refused(stub: Host) -> None:
    assert stub.block("FLASH_DATA", b"data") == 0xC6
    assert stub.error("FLASH_END", 1) == 0xC6
    stub.begin_deflated(100)
    assert stub.block("FLASH_DATA", b"data") == 0xC6


@pytest.mark.parametrize("loader", ["rom", "stub"])
def test_nothing_beyond_the_flash_is_touched(loader: str, request: pytest.FixtureRequest) -> None:
    host: Host = request.getfixturevalue(loader)
    assert host.begin_deflated(0x1000, SIZE) != 0
    assert host.error("FLASH_BEGIN", 0x1000, 4, 0x400, SIZE - 0x800) != 0
    assert host.error("SPI_FLASH_MD5", SIZE - 1, 2, 0, 0) != 0
    assert host.error("READ_FLASH", SIZE - 1, 2, 0x1000, 64) != 0
    assert host.error("ERASE_REGION", SIZE, 0x1000) != 0
    assert host.flash.path.stat().st_size == SIZE


def test_md5_is_text_from_the_rom_and_binary_from_the_stub(rom: Host) -> None:
    rom.flash.program(0x100, DATA)
    digest = hashlib.md5(DATA).digest()
    assert rom.ask("SPI_FLASH_MD5", 0x100, len(DATA), 0, 0)[1] == digest.hex().encode()
    rom.start_stub()
    assert rom.ask("SPI_FLASH_MD5", 0x100, len(DATA), 0, 0)[1] == digest


def test_rom_and_stub_read_flash_each_in_its_way(rom: Host) -> None:
    rom.flash.program(0, DATA)
    assert rom.ask("READ_FLASH_SLOW", 10, 20) == (0, DATA[10:30] + bytes(44), 0)
    assert rom.error("READ_FLASH", 0, 20, 0x1000, 64) == 0x05
    rom.start_stub()
    assert rom.error("READ_FLASH_SLOW", 10, 20) == 0xFF


def test_the_stub_streams_flash_as_it_is_acknowledged(stub: Host) -> None:
    stub.flash.program(0, DATA)
    answer, *frames = stub.raw("READ_FLASH", struct.pack("<IIII", 0, len(DATA), 0x1000, 64))
    assert answer[8:] == b"\0\0"
    got = b""
    while len(got) < len(DATA):
        assert len(frames) == 1, "one block is on its way at a time"
        got += frames[0]
        stub.loader.feed(slip.encode(struct.pack("<I", len(got))))
        frames = stub.frames()
    assert got == DATA
    assert frames == [hashlib.md5(DATA).digest()]
    assert stub.error("ERASE_REGION", 0, 0x1000) == 0, "commands are taken again"


def test_erasing_needs_whole_sectors(stub: Host) -> None:
    stub.flash.program(0, bytes(SIZE))
    assert stub.error("ERASE_REGION", 1, 0x1000) != 0
    assert stub.error("ERASE_REGION", 0, 0x1001) != 0
    assert stub.error("ERASE_REGION", 0x1000, 0x1000) == 0
    assert stub.flash.read(0xFFF, 0x1002) == b"\0" + b"\xff" * 0x1000 + b"\0"
    assert stub.error("ERASE_FLASH") == 0
    assert stub.flash.read(0, SIZE) == b"\xff" * SIZE


def test_leaving_the_loader_runs_what_is_in_flash(rom: Host) -> None:
    assert rom.error("FLASH_BEGIN", 0, 0, 0x400, 0) == 0
    assert rom.error("FLASH_END", 1) == 0
    assert rom.left_to_run == 1


def test_the_stub_stays_goes_back_to_the_rom_or_runs_the_flash(stub: Host) -> None:
    stub.error("FLASH_BEGIN", 0, 0, 0x4000, 0)
    assert stub.error("FLASH_END", 1) == 0
    assert stub.loader.stub
    stub.error("FLASH_BEGIN", 0, 0, 0x4000, 0)
    stub.raw("FLASH_END", struct.pack("<I", 0))
    assert not stub.loader.stub
    assert stub.left_to_run == 0
    stub.start_stub()
    stub.raw("RUN_USER_CODE")
    assert stub.left_to_run == 1


def test_flash_encryption_is_refused_and_not_silently_left_out(stub: Host) -> None:
    assert stub.error("FLASH_DEFL_BEGIN", 100, 1, 0x4000, 0, 1) == 0xFF


REQUESTS = st.tuples(st.sampled_from(sorted(CMD.values())), st.binary(max_size=64), st.integers(0, 255))


@given(requests=st.lists(REQUESTS, max_size=20), noise=st.binary(max_size=200), stub_runs=st.booleans())
def test_no_request_and_no_noise_stops_the_loader(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[tuple[int, bytes, int]],
    noise: bytes,
    stub_runs: bool,
) -> None:
    path = tmp_path_factory.mktemp("rom") / "flash.bin"
    host = Host(Flash(path, 0x10000))
    if stub_runs:
        host.start_stub()
    for opcode, body, check in requests:
        host.loader.feed(slip.encode(struct.pack("<BBHI", 0, opcode, len(body), check) + body))
        host.loader.feed(noise)
    assert path.stat().st_size == 0x10000
    host.loader.feed(slip.END + slip.encode(b"") + slip.encode(bytes(3)))  # ends a reading that was begun
    host.frames()
    assert len(host.raw("SYNC", b"\x07\x07\x12\x20" + b"\x55" * 32)) == 8
    host.flash.close()
    path.unlink()


def test_memory_stays_bounded_under_endless_noise(rom: Host) -> None:
    for _ in range(160):
        rom.loader.feed(b"\xc0" + bytes(1 << 16))
    rom.sent.clear()
    assert len(rom.raw("SYNC", b"\x07\x07\x12\x20" + b"\x55" * 32)) == 8
