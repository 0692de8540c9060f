"""Payloads: what a part becomes before it goes over the wire."""

import hashlib
import pickle
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ansim.payload import BLOCK_BYTES, PIECE_BYTES, Part, packed

SEGMENTS = st.lists(
    st.tuples(st.integers(0, 3 * PIECE_BYTES).map(lambda at: at * 4), st.integers(1, 2 * PIECE_BYTES)), max_size=3
)


@settings(max_examples=25, deadline=None)
@given(SEGMENTS, st.integers(0, 255))
def test_the_pieces_are_the_part_in_order_and_end_where_flash_is_erased_at_once(
    shapes: list[tuple[int, int]], fill: int
) -> None:
    segments = [(offset, bytes([fill, 7]) * (size // 2) + bytes(size % 2)) for offset, size in shapes]
    pieces = list(packed(Part("part", segments)).pieces)
    for offset, data in segments:
        padded = data + b"\xff" * (-len(data) % 4)
        end = offset + len(padded)
        content = b""
        while len(content) < len(padded):
            piece = pieces.pop(0)
            assert piece.offset == offset + len(content)
            assert (piece.offset + piece.size) % PIECE_BYTES == 0 or piece.offset + piece.size == end
            content += piece.content
        assert content == padded
    assert pieces == []


def test_a_piece_tells_its_md5_that_of_its_first_sector_and_how_much_a_block_of_it_makes() -> None:
    noise = random.Random(1).randbytes(100_000)
    (piece,) = packed(Part("part", [(0, noise + bytes(100_000))])).pieces
    assert piece.md5 == hashlib.md5(noise + bytes(100_000)).hexdigest()
    assert (piece.sector_size, piece.sector_md5) == (4096, hashlib.md5(noise[:4096]).hexdigest())
    assert 100_000 <= piece.block_size <= 100_000 + BLOCK_BYTES
    assert len(piece.compressed) < 101_000


def test_a_payload_keeps_the_parts_name_and_can_be_sent_to_another_process() -> None:
    part = Part("part", [(0, b"abcd" * 5000), (0x10000, b"efgh")])
    payload = packed(part)
    assert (payload.name, payload.size) == ("part", 20_004)
    assert pickle.loads(pickle.dumps(payload)) == payload
    assert payload.compressed_size < 1000
