"""What a device costs the registry, and how fast a ledger of 100,000 entries is verified, on SQLite and PostgreSQL."""

import statistics
import tempfile
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from database_kit import KINDS, database_url

from ansim.database import Database
from ansim.ledger import BEGINNING, Entry, hash_of
from ansim.nats_jwt import PublicPart
from ansim.registry import Registry
from ansim.schema import devices, ledger, ledger_head
from figure import Figure

DEVICES = 100
FLEET = 1_000
ENTRIES = 100_000
# Next to nothing of the 3 s that an identity may take.
MOST_MS_A_DEVICE = 60
# 100,000 entries in less than half a minute, also where others work.
LEAST_VERIFIED_PER_S = 4_000
# What the driver fetches at once, and the devices; the whole ledger would be a hundred times that.
MOST_PEAK_MB = 8
AT = datetime(2026, 1, 2, tzinfo=UTC)


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return [figure for kind in KINDS for figure in _measure(kind, database_url(kind, Path(folder)))]


def _measure(kind: str, url: str) -> list[Figure]:
    with Registry.open(url) as registry:
        _work(registry, 0)
        spent_ms = statistics.median(_work(registry, number) for number in range(1, DEVICES))
        _fill(url, len(registry.history()))
        started = time.perf_counter()
        assert registry.verify().entries == ENTRIES
        seconds = time.perf_counter() - started
        tracemalloc.start()
        registry.verify()
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    return [
        Figure(f"{kind}: enrol, issue and pass a device, median", round(spent_ms, 1), "ms", MOST_MS_A_DEVICE),
        Figure(f"{kind}: ledger entries verified", round(ENTRIES / seconds), "/s", LEAST_VERIFIED_PER_S, at_least=True),
        Figure(f"{kind}: memory while 100,000 are verified", round(peak_mb, 1), "MB", MOST_PEAK_MB),
    ]


def _work(registry: Registry, number: int) -> float:
    """Do what one flash does to the registry; return how long that took, in milliseconds."""
    credential = PublicPart(f"U{number:055d}", f"J{number:051d}", AT)
    started = time.perf_counter()
    device = registry.enroll(_mac(number), board="virtual", site="city", role="hub").device
    registry.issue(device, credential)
    registry.record(device, "flash", "passed", _details(), credential)
    return (time.perf_counter() - started) * 1000


def _mac(number: int) -> str:
    return f"24:6f:28:00:{number >> 8:02x}:{number & 255:02x}"


def _details() -> dict[str, object]:
    images = {"MicroPython": "a" * 64, "firmware": "b" * 64}
    return {"build": "0.1.0+0123456789", "micropython": "1.28.0", "images": images, "seconds": 12.5}


def _fill(url: str, first: int) -> None:
    """Append entries as the registry would have, but all in one transaction."""
    database = Database.open(url)
    with database.writing() as connection:
        previous = connection.execute(ledger_head.select()).one().hash if first else BEGINNING
        new: list[dict[str, object]] = []
        rows: list[tuple[str, str, str, dict[str, object]]] = []
        for number in range(DEVICES, FLEET):
            place: dict[str, object] = {"mac": _mac(number), "board": "virtual", "site": "city", "role": "hub"}
            device = f"AN{number + 1:06d}"
            new.append({"number": number + 1, "device": device, "enrolled_at": AT, **place})
            rows.append((device, "enroll", "done", place))
        while first + len(rows) < ENTRIES:
            rows.append((f"AN{len(rows) % FLEET + 1:06d}", "selftest", "passed", _details()))
        connection.execute(devices.insert(), new)
        entries = []
        for seq, row in enumerate(rows, first + 1):
            entry = Entry(seq, AT, "bench", *row, hash="")
            previous = hash_of(entry.as_dict(previous))
            entries.append({**vars(entry), "hash": previous})
        connection.execute(ledger.insert(), entries)
        connection.execute(ledger_head.update().values(seq=ENTRIES, hash=previous))
    database.close()
