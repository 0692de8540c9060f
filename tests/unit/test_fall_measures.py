import binascii
from array import array

from fall_kit import Movement

from ansim_fw.core.fall import features, screen, trees, window

SMALL_INT = 1 << 30
# CRC-32 of what test_the_same_on_every_machine measures: CPython, viper on 64 and on 32 bits.
CHECK = 949062695


def full_ring(movement: Movement, **how: object) -> "array[int]":
    """Return the last samples of a movement as the ring keeps them."""
    return movement.as_array(**how)[-3 * screen.RING :]


def measured(ring: "array[int]", slot: int = 0, have: int = screen.RING) -> features.Features:
    one = features.Features()
    one.compute(ring, slot, have)
    return one


def furthest(one: bytearray, other: bytearray) -> int:
    return max(abs(one[i] - other[i]) for i in range(features.COUNT))


def a_fall() -> Movement:
    return Movement().walk(3).fall().rest(1.4, 90)


def test_the_same_on_every_machine():
    seed = 11
    ring = array("h")
    for _ in range(3 * screen.RING):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        ring.append((seed >> 12) % 65536 - 32768)
    check = 0
    for slot in range(0, screen.RING, 7):
        check = binascii.crc32(measured(ring, slot, screen.RING - slot // 3).values, check)
    assert check == CHECK


def test_the_ring_may_begin_anywhere():
    ring = full_ring(a_fall())
    for slot in (1, 50, 143):
        moved = ring[-3 * slot :] + ring[: -3 * slot]
        assert measured(moved, slot).values == measured(ring).values


def test_turning_the_device_changes_nothing_but_rounding():
    straight = measured(full_ring(a_fall())).values
    for turn in ((90, 0, 0), (37, 205, 111), (300, 10, 77)):
        assert furthest(straight, measured(full_ring(a_fall(), turn=turn)).values) <= 3


def test_gain_changes_nothing_but_rounding():
    straight = measured(full_ring(a_fall())).values
    for gain in (0.85, 1.15):
        assert furthest(straight, measured(full_ring(a_fall(), gain=gain)).values) <= 3


def test_history_that_is_missing_is_not_looked_at():
    ring = full_ring(a_fall())
    have = features.AFTER + 20
    other = array("h", [9999] * 3 * (screen.RING - have)) + ring[-3 * have :]
    assert measured(other, 0, have).values == measured(ring, 0, have).values


def test_stronger_than_a_limit_stops_the_copying():
    samples = array("h", [0, 0, 1000] * 4 + [0, 3000, 0] + [0, 0, 1000] * 3)
    ring = array("h", bytes(6 * screen.RING))
    limit = 2000 * 2000 // 4
    assert screen.take(samples, 0, 8, ring, 142, limit) == -5
    assert list(ring[3 * 2 : 3 * 3]) == [0, 3000, 0]
    assert screen.take(samples, 5, 8, ring, 3, limit) == 3
    assert screen.strength(ring, 2) == 3000 * 3000 // 4


def test_nothing_leaves_31_bits():
    worst = array("h", [-32768] * 3 * screen.RING)
    assert screen.strength(worst, 0) == 3 << 28
    assert window.root(SMALL_INT - 1) == 32767
    lengths = array("H", bytes(2 * 80))
    flipped = array("h", [-32768, -32768, -32768, 32767, 32767, 32767] * (screen.RING // 2))
    window.lengths(flipped, 0, 80, 1, lengths)
    longest = window.fold(lengths, 80, window.MAXIMUM, 0)
    assert longest == 28376
    assert longest * 80 < SMALL_INT and longest << 8 < SMALL_INT and longest * longest < SMALL_INT
    directions = array("h", [-16383] * 6)
    assert window.cosine(directions, 0, directions, 1) in (255, 256)


def test_a_byte_keeps_the_order():
    made = [features.squeeze(value) for value in range(5000)]
    assert made == sorted(made)
    assert made[:64] == list(range(64))
    assert made[-1] == 255
    assert features.squeeze(1 << 20) == 255


def test_trees_lead_to_their_leaves():
    tree = bytes([0, 10, 1, 20, 2, 30, 1, 256 - 2, 3, 256 - 4])
    for values, leaf in (((10, 20, 0), 1), ((10, 21, 0), -2), ((11, 0, 30), 3), ((11, 0, 31), -4)):
        assert trees.score(b"xy" + tree, 2, 1, bytes(values)) == leaf
    assert trees.score(tree * 3, 0, 3, bytes((10, 20, 0))) == 3
