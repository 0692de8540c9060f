"""What a label says: nothing secret, and nothing of the person who lives with the device."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ansim.errors import BadInput
from ansim.label.typeface import typeface
from ansim.label.words import languages
from ansim.registry import Identity
from ansim.serial_number import in_groups, with_letter

MAX_TEXT = 40


@dataclass(frozen=True)
class Content:
    """One label.

    Args:
        code: what its QR code holds.
        number: the same, as people read it.
        caption: what the number is.
        titles: what the device is, a line a language.
        text: a line of the city's, such as a telephone number; may be empty.
        details: lines for technicians, the most important one first.
    """

    code: str
    number: str
    caption: str
    titles: tuple[str, ...]
    text: str
    details: tuple[str, ...]


def content_of(identity: Identity, codes: Sequence[str], text: str, day: date) -> Content:
    """Return what the label of identity says in the languages with these codes; text is from checked_text.

    Raises:
        BadInput: the device's name is no serial number.
    """
    words = [languages()[code] for code in codes]
    return Content(
        code=with_letter(identity.device),
        number=in_groups(identity.device),
        caption=" · ".join(each.number for each in words),
        titles=tuple(each.roles[identity.role] for each in words),
        text=text,
        details=(identity.mac, f"{identity.site} · {day.isoformat()}", typeface().legible(identity.board)),
    )


def checked_text(text: str) -> str:
    """Return text as it may stand on a label.

    Raises:
        BadInput: too long, or characters that can't be printed.
    """
    # macOS takes syllables of Hangul apart, and a line of their letters is not legible.
    text = unicodedata.normalize("NFC", text.strip())
    if len(text) > MAX_TEXT or not text.isprintable():
        raise BadInput(f"--text {text[:MAX_TEXT]!r} is not legal", f"Use up to {MAX_TEXT} printable characters.")
    if unknown := typeface().unknown(text):
        raise BadInput(f"the labels' typeface has no {unknown!r}", "Write --text in Korean, English or digits.")
    return text
