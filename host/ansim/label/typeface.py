"""The typeface of labels: Noto Sans KR, as the package pylopdf-fonts-ko brings it (SIL Open Font License 1.1)."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont
from pylopdf_fonts_ko import sans_path

# It has one weight; bold letters are drawn with an outline of this width, in ems.
BOLD_EM = 0.035


@dataclass(frozen=True)
class Typeface:
    """A font file and the widths of its characters, in ems."""

    path: Path
    widths: dict[int, float]

    def width(self, text: str) -> float:
        """Return how wide text is, in ems; all its characters are known."""
        return sum(self.widths[ord(character)] for character in text)

    def legible(self, text: str) -> str:
        """Return text with a question mark for each character that the font does not have."""
        return "".join(character if ord(character) in self.widths else "?" for character in text)

    def unknown(self, text: str) -> str:
        """Return the characters of text that the font does not have."""
        return "".join(character for character in text if ord(character) not in self.widths)


@cache
def typeface() -> Typeface:
    """Return the typeface of all labels."""
    path = sans_path()
    with TTFont(path, lazy=True) as font:
        advances = font["hmtx"].metrics
        em = font["head"].unitsPerEm
        widths = {code: advances[glyph][0] / em for code, glyph in font.getBestCmap().items()}
    return Typeface(path, widths)
