"""The registers that flashing tools read: chip type, eFuses with the board's own MAC, crystal, SPI flash."""

from collections.abc import Callable
from typing import Any

from esp32_mock_bootloader import chips, protocol
from esp32_mock_bootloader.registers import read_reg_value, uart_clkdiv_for_chip
from esp32_mock_bootloader.server import SpiPeripheralMock
from esptool.targets import CHIP_DEFS

_WORD = 0xFFFFFFFF
_MAX_WRITTEN = 4096
_CRYSTAL_MHZ = 40
_RTC_8M_MHZ_EFUSE = 128
_JEDEC_VENDOR_AND_TYPE = protocol.MOCK_FLASH_ID & 0xFFFF


def crc8(data: bytes) -> int:
    """The CRC that ESP32 eFuses hold beside the MAC (polynomial 0x8C, reflected, start 0)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


class ChipRegisters:
    """READ_REG and WRITE_REG of one chip.

    Args:
        chip: esptool's name of the chip, such as "esp32".
        mac: its six bytes.
        flash_bytes: size of its flash, a power of two, for the JEDEC id.
        baud: the serial line's rate, which the UART's divider register shows.
    """

    def __init__(self, chip: str, mac: bytes, flash_bytes: int, baud: Callable[[], int]) -> None:
        self._chip = chip
        self._baud = baud
        self._flash_id = (flash_bytes.bit_length() - 1) << 16 | _JEDEC_VENDOR_AND_TYPE
        self._fixed = _identity(chip, mac)
        self._written: dict[int, int] = {}
        self._spi = SpiPeripheralMock(None)
        self._spi.configure_for_chip(chip)
        self._clkdiv_register = getattr(CHIP_DEFS[chip], "UART_CLKDIV_REG", None)

    def read(self, address: int) -> int:
        if self._spi.contains(address):
            value = int(self._spi.read_reg(address))
            return self._flash_id if value == protocol.MOCK_FLASH_ID else value
        if address == self._clkdiv_register:
            return uart_clkdiv_for_chip(self._chip, self._baud(), _CRYSTAL_MHZ) or 0
        for known in (self._written, self._fixed):
            if address in known:
                return known[address]
        return int(read_reg_value(self._chip, address))

    def write(self, address: int, value: int, mask: int) -> None:
        if self._spi.contains(address):
            self._spi.write_reg(address, value, mask)
        elif address in self._written or len(self._written) < _MAX_WRITTEN:
            self._written[address] = (self.read(address) & ~mask & _WORD) | (value & mask)

    def security_info(self) -> bytes | None:
        """The 20 bytes of GET_SECURITY_INFO, or None for a chip that does not know the command."""
        profile = chips.PROFILES[self._chip]
        if not profile.supports_security_info:
            return None
        return bytes(12) + int(profile.image_chip_id).to_bytes(4, "little") + bytes(4)


def _identity(chip: str, mac: bytes) -> dict[int, int]:
    target: Any = CHIP_DEFS[chip]
    high, low = int.from_bytes(mac[:2]), int.from_bytes(mac[2:])
    if chip == "esp32":
        return _esp32_efuses(target, low, crc8(mac) << 16 | high)
    return {target.MAC_EFUSE_REG: low, target.MAC_EFUSE_REG + 4: high}


def _esp32_efuses(target: Any, mac_low: int, mac_high_and_crc: int) -> dict[int, int]:
    """An ESP32-D0WD-V3, revision 3.1, with a 40 MHz crystal: what devkits carry today."""
    base = target.EFUSE_RD_REG_BASE
    calibration = _CRYSTAL_MHZ * 1_000_000 * 40 // (15625 * _RTC_8M_MHZ_EFUSE)
    return {
        base + 4: mac_low,
        base + 8: mac_high_and_crc,
        base + 12: 1 << 15 | 1 << 9,  # first bit of the revision, package 1
        base + 16: _RTC_8M_MHZ_EFUSE,
        base + 20: 1 << 24 | 1 << 20,  # minor revision 1, second bit of the revision
        target.APB_CTL_DATE_ADDR: 1 << target.APB_CTL_DATE_S,  # third bit of the revision
        target.RTCCALICFG1: calibration << target.TIMERS_RTC_CALI_VALUE_S,
    }
