"""What the fall detector costs on MicroPython, as JSON. ``fall_cost.py FIRMWARE`` takes a packed model on stdin."""

import array
import binascii
import gc
import json
import sys
import time

sys.path.insert(0, sys.argv[1])

import micropython

from ansim_fw.core.fall import detector, features, model, screen

BATCH = 16
RATE_HZ = 50
SECONDS = 120
# Of the loop by which two machines are compared; bench_fall_cost.py knows an ESP32's time for as many.
TURNS = 20_000
REPEATS = 20


def moving(seconds):
    """Someone who moves without rest, with an impact every two seconds: batches of array('h'), in mg."""
    chance = 1
    batches = []
    for first in range(0, seconds * RATE_HZ, BATCH):
        batch = array.array("h", bytes(6 * BATCH))
        for i in range(3 * BATCH):
            chance = (chance * 1103515245 + 12345) & 0x3FFFFFFF
            batch[i] = 550 + (chance >> 16) % 300
        if first // BATCH % 6 == 0:
            batch[9] = -5000
        batches.append(batch)
    return batches


def plain_take(samples, first, end, ring, slot, limit):
    """What screen.take does, as one would write it without viper."""
    to = 3 * slot
    for sample in range(first, end):
        at = 3 * sample
        x = samples[at]
        y = samples[at + 1]
        z = samples[at + 2]
        ring[to] = x
        ring[to + 1] = y
        ring[to + 2] = z
        to += 3
        if to == 3 * screen.RING:
            to = 0
        if ((x * x) >> 2) + ((y * y) >> 2) + ((z * z) >> 2) > limit:
            return first - sample - 1
    return end - first


def screened(take, batches, limit):
    """Return what take answers to batches, and what the ring holds in the end."""
    ring = array.array("h", bytes(6 * screen.RING))
    answers = [take(batch, 0, BATCH, ring, i * BATCH % screen.RING, limit) for i, batch in enumerate(batches)]
    return answers, list(ring)


def screening_ns(take, batches, limit):
    """Return nanoseconds a sample."""
    ring = array.array("h", bytes(6 * screen.RING))
    begun = time.ticks_us()
    for batch in batches:
        take(batch, 0, BATCH, ring, 0, limit)
    return 1000 * time.ticks_diff(time.ticks_us(), begun) / (BATCH * len(batches))


def best(measure, times=9):
    """Return the least of some measurements: what else the machine does only adds to it."""
    return min(measure() for _ in range(times))


def turns_plain(count):
    total = 0
    i = 0
    while i < count:
        total = (total + i) & 0xFFFF
        i += 1
    return total


@micropython.viper
def turns_viper(count: int) -> int:
    total = 0
    i = 0
    while i < count:
        total = (total + i) & 0xFFFF
        i += 1
    return total


def timed_us(function, *arguments):
    begun = time.ticks_us()
    function(*arguments)
    return time.ticks_diff(time.ticks_us(), begun)


def many(function, count, *arguments):
    for _ in range(count):
        function(*arguments)


def fed(watching, batches):
    """Feed batches; return the number of windows that were judged."""
    judged = 0
    for batch in batches:
        if watching.feed(batch, BATCH) & detector.DECIDED:
            judged += 1
    return judged


def allocated(watching, batches):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    fed(watching, batches)
    taken = gc.mem_alloc() - before
    gc.enable()
    return taken


def main():
    batches = moving(SECONDS)
    loaded = model.load(sys.stdin.buffer.read(), binascii.crc32)
    watching = detector.Detector(loaded)
    limit = 1 << 28
    assert screened(screen.take, batches, limit) == screened(plain_take, batches, limit)
    measures = features.Features()
    ring = array.array("h", bytes(6 * screen.RING))
    for i in range(9):
        ring[3 * BATCH * i : 3 * BATCH * (i + 1)] = batches[i]
    print(
        json.dumps(
            {
                "viper_ns": best(lambda: screening_ns(screen.take, batches, limit)),
                "plain_ns": best(lambda: screening_ns(plain_take, batches, limit)),
                "features_us": best(lambda: timed_us(many, measures.compute, 100, ring, 0, screen.RING) / 100),
                "score_us": best(lambda: timed_us(many, loaded.score, 100, measures.values) / 100),
                "feed_us_a_second": best(lambda: timed_us(fed, watching, batches) / SECONDS),
                "decisions_a_second": fed(watching, batches) / SECONDS,
                "allocated": allocated(watching, batches),
                "batches": len(batches),
                "turns_plain_us": best(lambda: timed_us(turns_plain, TURNS)),
                "turns_viper_us": best(lambda: timed_us(turns_viper, REPEATS * TURNS) / REPEATS),
            }
        )
    )


main()
