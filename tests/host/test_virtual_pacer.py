"""A paced line carries bytes no faster and no slower than its baud rate."""

from hypothesis import given
from hypothesis import strategies as st

from ansim.virtual.pacer import BITS_PER_BYTE, Pacer


def test_nothing_arrives_before_its_bits_have_passed() -> None:
    pacer = Pacer()
    pacer.push(b"x" * 1152, 115200, now=10.0)
    assert pacer.take(10.0) == b""
    assert len(pacer.take(10.05)) in range(500, 577)
    pacer.take(10.0999)
    assert pacer.waiting_bytes > 0
    pacer.take(10.1001)
    assert pacer.waiting_bytes == 0


@given(
    pieces=st.lists(st.binary(max_size=3000), max_size=10),
    baud=st.sampled_from([9600, 115200, 921600]),
    gap_s=st.floats(0, 0.2),
)
def test_bytes_keep_their_order_and_the_line_its_rate(pieces: list[bytes], baud: int, gap_s: float) -> None:
    pacer, arrived, now = Pacer(), b"", 0.0
    for piece in pieces:
        pacer.push(piece, baud, now)
        now += gap_s
        arrived += pacer.take(now)
        assert len(arrived) <= now * baud / BITS_PER_BYTE + 1
    last_due = now
    while (due := pacer.next_due) is not None:
        last_due = due
        arrived += pacer.take(due)
    assert arrived == b"".join(pieces)
    longest_wait = len(pieces) * gap_s + len(arrived) * BITS_PER_BYTE / baud
    assert last_due <= longest_wait + 1e-6


def test_a_late_reader_gets_all_that_has_arrived_meanwhile() -> None:
    pacer = Pacer()
    pacer.push(b"a" * 100, 115200, now=0.0)
    assert pacer.take(5.0) == b"a" * 100
    pacer.push(b"b", 115200, now=5.0)
    assert pacer.next_due is not None and pacer.next_due > 5.0


def test_a_purge_drops_what_is_on_the_line() -> None:
    pacer = Pacer()
    pacer.push(b"a" * 100, 9600, now=0.0)
    pacer.purge()
    assert (pacer.next_due, pacer.waiting_bytes, pacer.take(10.0)) == (None, 0, b"")
