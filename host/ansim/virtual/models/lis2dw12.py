"""ST LIS2DW12 accelerometer: identity, control registers and the output of an even acceleration.

Register map and reset values: data sheet DS12306 (LIS2DW12), sections 7 and 8. FIFO and interrupts are not modelled.
"""

from ansim.virtual.models.part import RegisterPart

ADDRESS = 0x19

_WHO_AM_I, _CTRL1, _CTRL2, _CTRL6, _STATUS, _OUT_X_L = 0x0F, 0x20, 0x21, 0x25, 0x27, 0x28
_ID = 0x44
_IF_ADD_INC, _SOFT_RESET = 0x04, 0x40
_AFTER_RESET = {_WHO_AM_I: _ID, _CTRL2: _IF_ADD_INC}
_WRITABLE = frozenset({*range(0x20, 0x26), 0x2E, *range(0x30, 0x37), *range(0x3C, 0x40)})
# Full scale 2 g is 16 bits, left-justified: 2^15 counts for 2000 mg, halved by each step of FS.
_COUNTS_AT_2G, _FULL_SCALE_MG = 32768, 2000


class Lis2dw12(RegisterPart):
    """The part with SA0 high.

    Attributes:
        acceleration_mg: (x, y, z), what its data registers say while it is on; at rest gravity points along z.
    """

    def __init__(self) -> None:
        super().__init__(0x40, _AFTER_RESET, _WRITABLE)
        self.acceleration_mg = (0, 0, 1000)

    def _load(self, register: int) -> int:
        on = self._registers[_CTRL1] & 0xF0
        if register == _STATUS:
            return 0x01 if on else 0
        if on and _OUT_X_L <= register < _OUT_X_L + 6:
            return self._output()[register - _OUT_X_L]
        return super()._load(register)

    def _store(self, register: int, value: int) -> None:
        super()._store(register, value)
        if register == _CTRL2 and value & _SOFT_RESET:
            self._registers[:] = bytes(len(self._registers))
            for known, reset in _AFTER_RESET.items():
                self._registers[known] = reset

    def _advance(self) -> None:
        if self._registers[_CTRL2] & _IF_ADD_INC:
            super()._advance()

    def _output(self) -> bytes:
        full_mg = _FULL_SCALE_MG << (self._registers[_CTRL6] >> 4 & 3)
        counts = [round(mg * _COUNTS_AT_2G / full_mg) for mg in self.acceleration_mg]
        # 14 bits in high-performance mode; the low two read as 0.
        kept = [max(-_COUNTS_AT_2G, min(value, _COUNTS_AT_2G - 1)) & ~3 for value in counts]
        return b"".join(value.to_bytes(2, "little", signed=True) for value in kept)
