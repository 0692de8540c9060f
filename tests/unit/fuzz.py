"""Fuzzes every reader of what comes from a wire or a file: valid inputs, broken in the ways in which inputs break.

Runs on CPython and on MicroPython, with the same inputs for the same seed. As a script, for as long as one likes:

    python tests/unit/fuzz.py ROUNDS [SEED]
    micropython tests/unit/fuzz.py ROUNDS [SEED]
"""

import sys
from binascii import crc32

if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/../../firmware")

from ansim_fw.core import config, event_reader, journal, journal_reader, json_seq, kept, ledger, message, mqtt
from ansim_fw.core.event import ALARM, CANCEL, FAULT, HEARTBEAT, RESTORE, Event

EVENTS = (
    Event(3, 7, ALARM, "sos"),
    Event(3, 8, CANCEL, "", (3, 7)),
    Event(3, 5, ALARM, "fall"),
    Event(3, 9, FAULT, "link_lost", None, {"tries": 3, "why": "tls"}),
    Event(message.MAX_ID, message.MAX_ID, RESTORE, "battery_low"),
    Event(3, message.FIRST_HEARTBEAT_SEQ, HEARTBEAT, "", None, {"battery_mv": 3912, "fw": "0.1.0", "up_s": 3600}),
)
EVENT_MESSAGES = [message.encode_event(one, 42, 1) for one in EVENTS]
COMMANDS = [message.ack(3, 7), message.handled(3, 7), message.set_heartbeat(60), message.identify()]
REQUESTS = [
    b'{"id":1,"cmd":"info"}',
    b'{"id":2,"cmd":"config","set":{"heartbeat_min":60,"cancel_s":30}}',
    b'{"id":3,"cmd":"trigger"}',
    b'{"id":3,"cmd":"trigger","press":5}',
    b'{"id":4,"cmd":"selftest"}',
    b'{"id":5,"cmd":"record","seconds":60}',
]
RECORDS = [journal.record(one, crc32) for one in EVENTS]
PACKETS = [
    b"\x20\x02\x00\x00",
    b"\x90\x03\x00\x01\x00",
    b"\xd0\x00",
    b"\x40\x02\x00\x07",
    b"\x30" + bytes([17 + len(COMMANDS[0])]) + b"\x00\x0fansim/c/AN1/cmd" + COMMANDS[0],
]

# What spoils JSON and text: numbers past every limit, depth, half of UTF-8, names that come twice.
_POISONS = (
    b"9" * 40,
    b"-1",
    b"1e999",
    b"0.5",
    b"NaN",
    b"null",
    b"true",
    b"[" * 60,
    b'{"a":' * 40,
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf0\x9f",
    b"\\u0000",
    b"\\ud800",
    b'"',
    b"\\",
    b'"boot":1,',
    b'"kind":"a\\"b",',
    b'"of":[3,7],',
    b"\x00",
    b"\x1e",
    b"\n",
    b"\x7f\xff\xff\xff",
)


class Dice:
    """Random numbers that are the same on every Python (Park and Miller, CACM 31 (1988), 1192)."""

    def __init__(self, seed: int) -> None:
        self._state = seed % 0x7FFFFFFE + 1

    def below(self, limit: int) -> int:
        self._state = self._state * 48271 % 0x7FFFFFFF
        return (self._state >> 8) % limit

    def choose(self, among: "list | tuple") -> "object":
        return among[self.below(len(among))]


class Breaker:
    """Breaks valid inputs."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._ways = (
            self._truncate,
            self._flip,
            self._repeat,
            self._cut_out,
            self._poison,
            self._replace,
            self._splice,
        )

    def broken(self, samples: "list[bytes]") -> bytes:
        """Return one of samples with one to four breaks; now and then as it is."""
        data = self._dice.choose(samples)
        for _ in range(self._dice.below(5)):
            data = self._dice.choose(self._ways)(data, samples)
        return data

    def _place(self, data: bytes) -> "tuple[int, int]":
        """Return where a piece of data begins and ends."""
        start = self._dice.below(len(data) + 1)
        return start, start + self._dice.below(len(data) + 1 - start)

    def _truncate(self, data: bytes, _samples: "list[bytes]") -> bytes:
        return data[: self._dice.below(len(data) + 1)]

    def _flip(self, data: bytes, _samples: "list[bytes]") -> bytes:
        if not data:
            return data
        flipped = bytearray(data)
        flipped[self._dice.below(len(data))] ^= 1 << self._dice.below(8)
        return bytes(flipped)

    def _repeat(self, data: bytes, _samples: "list[bytes]") -> bytes:
        start, end = self._place(data)
        return data[:end] + data[start:end] * self._dice.below(8) + data[end:]

    def _cut_out(self, data: bytes, _samples: "list[bytes]") -> bytes:
        start, end = self._place(data)
        return data[:start] + data[end:]

    def _poison(self, data: bytes, _samples: "list[bytes]") -> bytes:
        at, _ = self._place(data)
        return data[:at] + self._dice.choose(_POISONS) + data[at:]

    def _replace(self, data: bytes, _samples: "list[bytes]") -> bytes:
        """Put poison in the place of a value: what stands between a colon and the next comma or brace."""
        colons = [at for at in range(len(data)) if data[at] == 0x3A]
        if not colons:
            return data
        start = self._dice.choose(colons) + 1
        end = start
        while end < len(data) and data[end] not in b",}":
            end += 1
        return data[:start] + self._dice.choose(_POISONS) + data[end:]

    def _splice(self, data: bytes, samples: "list[bytes]") -> bytes:
        other = self._dice.choose(samples)
        return data[: self._place(data)[0]] + other[self._place(other)[0] :]


def fuzz_events(rounds: int, seed: int) -> int:
    """Return how many broken messages were taken as events; each of those is a legal one."""
    breaker = Breaker(Dice(seed))
    taken = 0
    for _ in range(rounds):
        data = breaker.broken(EVENT_MESSAGES)
        try:
            found = event_reader.decode_event(data)
        except ValueError:
            continue
        taken += 1
        event = event_reader.to_event(found)
        assert len(data) <= message.MAX_BYTES
        assert 0 <= event.boot <= message.MAX_ID and 0 <= event.seq <= message.MAX_ID
        written = message.encode_event(event, found.get("age_ms", -1), 1)
        again = event_reader.to_event(event_reader.decode_event(written))
        assert (again.boot, again.seq, again.type, again.kind, again.of, again.data) == (
            event.boot,
            event.seq,
            event.type,
            event.kind,
            event.of,
            event.data,
        )
    return taken


def fuzz_commands(rounds: int, seed: int) -> int:
    """Return how many broken messages were taken as commands; each of those is a legal one."""
    breaker = Breaker(Dice(seed))
    taken = 0
    for _ in range(rounds):
        try:
            found = message.decode_command(breaker.broken(COMMANDS))
        except ValueError:
            continue
        taken += 1
        name = found["cmd"]
        assert name in ("ack", "handled", "heartbeat", "identify")
        if name in ("ack", "handled"):
            assert 0 <= found["boot"] <= message.MAX_ID and 0 <= found["seq"] <= message.MAX_ID
        elif name == "heartbeat":
            assert 1 <= found["interval_min"] <= message.MAX_INTERVAL_MIN
    return taken


def fuzz_console(rounds: int, seed: int) -> int:
    """Return how many texts the console's reader found; none is longer than it may be, and it always recovers."""
    dice = Dice(seed)
    breaker = Breaker(dice)
    sequences = [json_seq.frame(one.decode()) for one in REQUESTS]
    reader = json_seq.Reader()
    found = 0
    for _ in range(rounds):
        for byte in breaker.broken(sequences):
            if reader.feed(byte) == json_seq.TEXT:
                found += 1
                assert len(reader.text()) <= json_seq.MAX_REQUEST
    assert texts(reader, sequences[0]) == [REQUESTS[0]]
    return found


def texts(reader: json_seq.Reader, data: bytes) -> "list[bytes]":
    return [reader.text() for byte in data if reader.feed(byte) == json_seq.TEXT]


def fuzz_settings(rounds: int, seed: int) -> int:
    """Return how many settings were taken; each of those is within its limits."""
    dice = Dice(seed)
    values = (-1, 0, 1, 30, 1440, 1441, 1 << 70, True, None, 1.0, "30", [], {}, float("inf"))
    names = tuple(config.LIMITS) + ("", "HEARTBEAT_MIN", "x" * 300, "\u00e9", "__class__")
    taken = 0
    for _ in range(rounds):
        name, value = dice.choose(names), dice.choose(values)
        try:
            checked = config.check(name, value)
        except ValueError as error:
            assert len(str(error)) < 80
            continue
        taken += 1
        assert config.LIMITS[name][0] <= checked <= config.LIMITS[name][1]
    return taken


def fuzz_records(rounds: int, seed: int) -> int:
    """Return how many broken records were read; each of those is one that was written."""
    breaker = Breaker(Dice(seed))
    read = 0
    for _ in range(rounds):
        data = breaker.broken(RECORDS)
        try:
            event = journal_reader.read_record(data, crc32)
        except journal_reader.DamagedError:
            continue
        read += 1
        assert journal.record(event, crc32) == data
    return read


class Shelf:
    """A shelf of broken files, in memory, that fails now and then."""

    def __init__(self, dice: Dice, files: "dict[str, bytes]") -> None:
        self._dice = dice
        self.files = files

    def names(self) -> "list[str]":
        self._may_fail()
        return list(self.files)

    def read(self, name: str) -> bytes:
        self._may_fail()
        return self.files[name]

    def write(self, name: str, data: bytes) -> None:
        self._may_fail()
        self.files[name] = data

    def remove(self, name: str) -> None:
        self._may_fail()
        if name not in self.files:
            raise OSError(2)
        del self.files[name]

    def _may_fail(self) -> None:
        if self._dice.below(20) == 0:
            raise OSError(5)


def fuzz_journals(rounds: int, seed: int) -> int:
    """Return how many events were found on broken shelves; none is there that was not written, none twice."""
    dice = Dice(seed)
    breaker = Breaker(dice)
    written = {journal.name_of(one): message.encode_event(one, -1, 1) for one in EVENTS}
    count = 0
    for _ in range(rounds):
        shelves = (Shelf(dice, _files(dice, breaker)), Shelf(dice, _files(dice, breaker)))
        kept = journal.Journal(shelves, crc32)
        found, damaged = kept.load()
        assert isinstance(damaged, bool)
        names = [journal.name_of(one) for one in found]
        assert names == sorted(set(names))
        assert all(message.encode_event(one, -1, 1) == written[journal.name_of(one)] for one in found)
        kept.mend()
        for one in found:
            kept.forget(one)
        count += len(found)
    return count


def _files(dice: Dice, breaker: Breaker) -> "dict[str, bytes]":
    files = {}
    for event in EVENTS:
        if dice.below(4):
            name = journal.name_of(event)
            data = journal.record(event, crc32) if dice.below(2) else breaker.broken(RECORDS)
            files[name if dice.below(8) else name[dice.below(16) :]] = data
    return files


def fuzz_packets(rounds: int, seed: int) -> int:
    """Return how many packets were cut out of broken streams; none is longer than it may be."""
    dice = Dice(seed)
    breaker = Breaker(dice)
    return sum([_read_stream(dice, _stream(dice, breaker)) for _ in range(rounds)])


def _stream(dice: Dice, breaker: Breaker) -> bytes:
    return b"".join([breaker.broken(PACKETS) for _ in range(1 + dice.below(12))])


def _read_stream(dice: Dice, stream: bytes) -> int:
    """Read a stream in pieces as a connection does: until it is refused, and no further."""
    reader = mqtt.Reader()
    found = at = bodies = 0
    try:
        while at < len(stream):
            piece = stream[at : at + 1 + dice.below(mqtt.READ_BYTES)]
            at += len(piece)
            reader.feed(piece, len(piece))
            packet = reader.next()
            while packet is not None:
                found += 1
                bodies += len(packet[2])
                assert len(packet[2]) <= mqtt.MAX_PACKET and bodies <= at
                _take(*packet)
                packet = reader.next()
    except ValueError:
        pass
    return found


def _take(kind: int, flags: int, body: bytes) -> None:
    if kind == mqtt.PUBLISH:
        message.decode_command(mqtt.payload_of(flags, body))


def full_kept() -> kept.Kept:
    """Return one with something in every field."""
    one = kept.Kept()
    for at in range(len(kept.NUMBERS)):
        name, low, high = kept.NUMBERS[at]
        setattr(one, name, min(low + 3 * at + 1, high))
    for at in range(ledger.NUMBERS):
        one.ledger.numbers[at] = 100 + at
    one.quick = bytes(range(kept.MAX_QUICK))
    one.untold = bytes(range(kept.MAX_UNTOLD))
    one.sensor_fault = "sensor_saturated"
    one.reset = "watchdog"
    one.alarms = [(3, at, 60 * at) for at in range(kept.ALARMS)]
    one.ages = [(at, 7 * at) for at in range(kept.AGES)]
    return one


def sealed(block: bytes) -> bytes:
    """Return a block of RTC memory with the CRC-32 that it needs."""
    return block + crc32(block).to_bytes(4, "little")


def fuzz_kept(rounds: int, seed: int) -> int:
    """Return how many blocks of RTC memory were taken, though a bit or a number of each is another one."""
    dice = Dice(seed)
    good = kept.pack(full_kept(), crc32)[:-4]
    taken = 0
    for _ in range(rounds):
        block = bytearray(good)
        for _ in range(1 + dice.below(3)):
            block[dice.below(len(block))] = dice.choose((0, 1, 0x3F, 0x7F, 0xFF, dice.below(256)))
        found = kept.unpack(sealed(bytes(block)), crc32)
        if found is None:
            continue
        taken += 1
        assert kept.unpack(kept.pack(found, crc32), crc32) is not None
        for name, low, high in kept.NUMBERS:
            assert low <= getattr(found, name) <= high
    return taken


FUZZERS = (
    fuzz_events,
    fuzz_commands,
    fuzz_console,
    fuzz_settings,
    fuzz_records,
    fuzz_journals,
    fuzz_packets,
    fuzz_kept,
)


def main(rounds: int, seed: int) -> None:
    for fuzzer in FUZZERS:
        print(fuzzer.__name__, rounds, "inputs,", fuzzer(rounds, seed), "taken")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
