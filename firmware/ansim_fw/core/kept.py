"""What a pendant's RTC memory keeps over deep sleep.

A block is "AK", its version (2 bytes), the numbers (4 bytes each, little endian) of NUMBERS, the ledger, the alarms
and the ages; the texts (quick, untold, sensor_fault, reset), each its length and room for the longest; the CRC-32 of
all that. It is the same size always. The module that decides after a wake whether anything else is loaded loads this.
"""

from array import array

from micropython import const

from ansim_fw.core import ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Crc32 = Callable[[bytes], int]

# Another one whenever a field comes, goes or changes its meaning.
_MAGIC = b"AK\x03\x00"
_CRC_BYTES = const(4)
_MAX = const(0x3FFFFFFF)
_DAY_MS = const(86400000)

MAX_QUICK = const(64)
MAX_UNTOLD = const(72)
# What is kept of alarms that an operator may still close, and of events that wait; more are kept without it.
ALARMS = const(4)
AGES = const(8)
_ALARM_WORDS = const(3)
_AGE_WORDS = const(2)

# Each field with its lowest and highest value; time in milliseconds or seconds, as its name says.
NUMBERS = (
    ("boot", 0, _MAX),
    ("seq", 0, 0x1FFFFFFF),
    ("beat_seq", 0x20000000, _MAX),
    ("up_s", 0, _MAX),
    ("up_ms", 0, 999),
    ("retries", 0, _MAX),
    ("jitter", 1, _MAX),
    # From keeping until the app is needed, until a heartbeat is due, until the network is tried again (0: it is not).
    ("app_ms", 0, _DAY_MS),
    ("beat_ms", 0, _DAY_MS),
    ("again_ms", 0, _DAY_MS),
    ("beat_owed", 0, 1),
    # What went by since keeping; how long the last sleep was to be, and the RTC clock at its beginning.
    ("passed_ms", 0, _MAX),
    ("asked_ms", 0, _DAY_MS),
    ("asleep_low", 0, _MAX),
    ("asleep_high", 0, _MAX),
    # Settings, within core/config.py's limits.
    ("heartbeat_min", 1, 1440),
    ("cancel_s", 0, 120),
    ("spread_s", 0, 300),
    ("prealarm_s", 0, 60),
    ("fall", 0, 2),
    # Bits of core/link_watch.py and core/supply.py.
    ("link_told", 0, 0xFF),
    ("supply_told", 0, 7),
    ("failing_s", 0, _MAX),
    ("contact_failed", 0, 1),
    ("doubt_ms", 0, 60000),
    ("presses_left", 0, 20000),
    ("presses_ms", 0, 29999),
    ("presses_spent", 0, 1),
    ("journal_failed", 0, 1),
    ("stuck", 0, 1),
    ("waiting", 0, 64),
    # The radio rests until again_ms are over: its cell broke down.
    ("rests_radio", 0, 1),
    # For the wake module: what wakes, what calls the detector, and for how long it was quiet.
    ("wake_mg", 0, 0xFFFF),
    ("impact_mg", 0, 0xFFFF),
    ("quiet_ms", 0, _MAX),
)
_FIRST_LEDGER = const(35)
_FIRST_ALARM = const(51)
_FIRST_AGE = const(63)
_WORDS = const(79)
# The most bytes of each text.
_FAULT = const(24)
_RESET = const(16)
SIZE = const(4 + 4 * 79 + 4 + 64 + 72 + 24 + 16 + 4)
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_NONE = const(0xFFFFFFFF)
# Acknowledged alarms are forgotten after an hour.
_ALARM_S = const(3600)


class Kept:
    """What survives a deep sleep. A fresh one is of a device that starts.

    Attributes:
        alarms: (boot, seq, age_s) of acknowledged alarms that nobody closed; ages: (seq, age_s) of events that wait.
        quick: at most MAX_QUICK bytes that mean something to the link alone; untold: at most MAX_UNTOLD bytes, events
            that are in no journal, see core/keeping.py; sensor_fault, reset: in small letters.
        ledger: what was counted since the cold start.
        the others: as NUMBERS has them.
    """

    # setattr() gives them their values.
    if TYPE_CHECKING:
        boot: int
        seq: int
        beat_seq: int
        up_s: int
        up_ms: int
        retries: int
        jitter: int
        app_ms: int
        beat_ms: int
        again_ms: int
        beat_owed: int
        passed_ms: int
        asked_ms: int
        asleep_low: int
        asleep_high: int
        heartbeat_min: int
        cancel_s: int
        spread_s: int
        prealarm_s: int
        fall: int
        link_told: int
        supply_told: int
        failing_s: int
        contact_failed: int
        doubt_ms: int
        presses_left: int
        presses_ms: int
        presses_spent: int
        journal_failed: int
        stuck: int
        waiting: int
        rests_radio: int
        wake_mg: int
        impact_mg: int
        quiet_ms: int

    def __init__(self) -> None:
        for name, low, _ in NUMBERS:
            setattr(self, name, low)
        self.quick = b""
        self.untold = b""
        self.sensor_fault = ""
        self.reset = ""
        self.ledger = ledger.Ledger()
        self.alarms: list[tuple[int, int, int]] = []
        self.ages: list[tuple[int, int]] = []

    def sleeps(self, now_ms: int, asked_ms: int) -> None:
        """Note that deep sleep begins.

        Args:
            now_ms: a clock that goes on in deep sleep.
            asked_ms: what the timer is set to.
        """
        self.asked_ms = min(asked_ms, _DAY_MS)
        self.asleep_low = now_ms & _MAX
        self.asleep_high = now_ms >> 30 & _MAX

    def woke(self, now_ms: int, reason: int) -> int:
        """Count a wake and the time asleep, and return that, in ms.

        The clock may have jumped: no sleep is longer than asked for and a tenth, and none that the timer ended was
        shorter than nine tenths of it.

        Args:
            now_ms: of the same clock.
            reason: TIMER, BUTTON, MOTION or OTHER of the ledger.
        """
        slept_ms = now_ms - (self.asleep_high << 30 | self.asleep_low)
        tenth_ms = self.asked_ms // 10
        least_ms = self.asked_ms - tenth_ms if reason == ledger.TIMER else 0
        slept_ms = min(max(slept_ms, least_ms), self.asked_ms + tenth_ms)
        self.ledger.woke(reason)
        self.pass_time(ledger.DEEP, slept_ms)
        self.quiet_ms = 0 if reason == ledger.MOTION else min(self.quiet_ms + slept_ms, _MAX)
        return slept_ms

    def pass_time(self, state: int, elapsed_ms: int) -> None:
        """Note time in DEEP, LIGHT or CPU of the ledger, before the app runs."""
        self.ledger.pass_time(state, elapsed_ms)
        self.passed_ms = min(self.passed_ms + elapsed_ms, _MAX)

    def left_ms(self) -> int:
        """Return how long the app is not needed."""
        return max(self.app_ms - self.passed_ms, 0)

    def settings(self) -> "dict[str, int]":
        """Return the settings, as core/config.py names them."""
        names = ("heartbeat_min", "cancel_s", "spread_s", "prealarm_s", "fall")
        return {name: getattr(self, name) for name in names}


def pack(kept: Kept, crc32: "Crc32") -> bytes:
    """Return the block of SIZE bytes; of too many alarms or ages the last ones."""
    words = array("I", [_NONE] * _WORDS)
    for at in range(len(NUMBERS)):
        words[at] = getattr(kept, NUMBERS[at][0])
    for at in range(ledger.NUMBERS):
        words[_FIRST_LEDGER + at] = kept.ledger.numbers[at]
    _fill(words, _FIRST_ALARM, kept.alarms[-ALARMS:])
    _fill(words, _FIRST_AGE, kept.ages[-AGES:])
    block = bytearray(_MAGIC)
    block += bytes(words)
    for text, most in (
        (kept.quick, MAX_QUICK),
        (kept.untold, MAX_UNTOLD),
        (kept.sensor_fault.encode(), _FAULT),
        (kept.reset.encode(), _RESET),
    ):
        block += bytes((len(text),)) + text + bytes(most - len(text))
    whole = bytes(block)
    return whole + crc32(whole).to_bytes(_CRC_BYTES, "little")


def unpack(data: bytes, crc32: "Crc32") -> "Kept | None":
    """Return what a block says; None if it is damaged, of another version, or says what can't be."""
    end = SIZE - _CRC_BYTES
    if len(data) != SIZE or data[:4] != _MAGIC or crc32(data[:end]).to_bytes(_CRC_BYTES, "little") != data[end:]:
        return None
    kept = Kept()
    words = array("I", data[4 : 4 + 4 * _WORDS])
    whole = _take_numbers(kept, words) and _take_lists(kept, words) and _take_texts(kept, data)
    return kept if whole else None


def _fill(words: "array[int]", at: int, rows: "Sequence[tuple[int, ...]]") -> None:
    for row in rows:
        for number in row:
            words[at] = number
            at += 1


def _take_numbers(kept: Kept, words: "array[int]") -> bool:
    for at in range(len(NUMBERS)):
        name, low, high = NUMBERS[at]
        if not low <= words[at] <= high:
            return False
        setattr(kept, name, words[at])
    for at in range(ledger.NUMBERS):
        if words[_FIRST_LEDGER + at] > (ledger.MOST_S if at <= ledger.RADIO else ledger.MOST_TIMES):
            return False
        kept.ledger.numbers[at] = words[_FIRST_LEDGER + at]
    return True


def _take_lists(kept: Kept, words: "array[int]") -> bool:
    for at in range(_FIRST_ALARM, _FIRST_AGE, _ALARM_WORDS):
        boot, seq, age_s = words[at], words[at + 1], words[at + 2]
        if boot == _NONE:
            break
        if boot > _MAX or seq > _MAX or age_s > _ALARM_S:
            return False
        kept.alarms.append((boot, seq, age_s))
    for at in range(_FIRST_AGE, _WORDS, _AGE_WORDS):
        seq, age_s = words[at], words[at + 1]
        if seq == _NONE:
            break
        if seq > _MAX or age_s > _MAX:
            return False
        kept.ages.append((seq, age_s))
    return True


def _take_texts(kept: Kept, data: bytes) -> bool:
    at = 4 + 4 * _WORDS
    texts = []
    for most in (MAX_QUICK, MAX_UNTOLD, _FAULT, _RESET):
        if data[at] > most:
            return False
        texts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + most
    quick, untold, sensor_fault, reset = texts
    for letter in sensor_fault + reset:
        if letter not in _LETTERS:
            return False
    kept.quick, kept.untold = quick, untold
    kept.sensor_fault, kept.reset = sensor_fault.decode(), reset.decode()
    return True
