"""What is written to flash, compressed once and sent to any number of boards."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ansim.image import Segment

# A piece is compared, sent and checked by itself, so a session that is cut short loses one of them. The official image
# in pieces of 256 KiB compresses to 0.06 % more than in one, in pieces of 64 KiB to 0.5 %; and at each one's end the
# line waits until the chip has written the last block. Flash erases 64 KiB at once, so a piece ends at a multiple.
PIECE_BYTES = 256 * 1024
SECTOR_BYTES = 4096
# esptool's stub takes blocks of this size.
BLOCK_BYTES = 16 * 1024
_LEVEL = 9
_WORD_BYTES = 4


@dataclass(frozen=True)
class Part:
    """One thing that is written, with the segments of flash it consists of."""

    name: str
    segments: Sequence[Segment] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(len(data) for _, data in self.segments)

    @property
    def sha256(self) -> str:
        """The SHA-256 over each segment's offset, as eight bytes, and its data."""
        digest = hashlib.sha256()
        for offset, data in self.segments:
            digest.update(offset.to_bytes(8, "big") + data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Piece:
    """A range of flash as it goes over the wire.

    Attributes:
        offset, size: the range, in bytes.
        md5, sector_md5: of its content, and of the first sector of it, as hex digits.
        compressed: its content as a zlib stream of its own.
        block_size: the most bytes of content that a block of BLOCK_BYTES of that stream holds.
    """

    offset: int
    size: int
    md5: str
    sector_md5: str
    compressed: bytes = field(repr=False)
    block_size: int

    @property
    def sector_size(self) -> int:
        """How many bytes sector_md5 covers."""
        return min(self.size, SECTOR_BYTES)

    @property
    def content(self) -> bytes:
        return zlib.decompress(self.compressed)


@dataclass(frozen=True)
class Payload:
    """A part, compressed."""

    name: str
    pieces: tuple[Piece, ...] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    @property
    def compressed_size(self) -> int:
        return sum(len(piece.compressed) for piece in self.pieces)


def packed(part: Part) -> Payload:
    """Cut a part into pieces and compress each; segments are filled up with 0xFF to whole words, as esptool does."""
    return Payload(part.name, tuple(_piece(*cut) for segment in part.segments for cut in _cuts(segment)))


def _cuts(segment: Segment) -> Iterator[Segment]:
    offset, data = segment
    data += b"\xff" * (-len(data) % _WORD_BYTES)
    start = 0
    while start < len(data):
        end = start + PIECE_BYTES - (offset + start) % PIECE_BYTES
        yield offset + start, data[start:end]
        start = end


def _piece(offset: int, content: bytes) -> Piece:
    compressed = zlib.compress(content, _LEVEL)
    return Piece(
        offset=offset,
        size=len(content),
        md5=_md5(content),
        sector_md5=_md5(content[:SECTOR_BYTES]),
        compressed=compressed,
        block_size=_largest_block(compressed),
    )


def _largest_block(compressed: bytes) -> int:
    inflating = zlib.decompressobj()
    starts = range(0, len(compressed), BLOCK_BYTES)
    return max(len(inflating.decompress(compressed[start : start + BLOCK_BYTES])) for start in starts)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
