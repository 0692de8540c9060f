"""Serial numbers as people read them: a device's name and a check letter, such as ``AN000123-P``.

The letter is that of Spain's national identity numbers (DNI, NIF): the number modulo 23 picks one of 23 letters, with
no I, O or U among them. 23 is a prime of which 10 is a primitive root, so one wrong digit, two digits that changed
places (neighbours or not) and a wrong letter are always noticed. Of ISO/IEC 7064's systems for letters and digits,
MOD 37,36 overlooks one in 185 swaps of neighbours in numbers like ours, and MOD 37-2 needs an asterisk.
"""

import re
import string
import unicodedata

from ansim.errors import BadInput

_PREFIX = "AN"
_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
# Six digits; a longer one starts with none of the zeros that fill up a shorter one.
_DIGITS = r"[0-9]{6}|[1-9][0-9]{6,8}"
_DEVICE = re.compile(rf"{_PREFIX}({_DIGITS})")
_READ = re.compile(rf"({_PREFIX}(?:{_DIGITS}))([A-Z]?)")
_BETWEEN = re.compile(r"[\s\-_.\u2010-\u2015\u2212]")
_MAX_READ = 40
# A scanner types as a keyboard does: where Hangul is switched on, its AN arrives as 무. The keys of the Korean layout
# (KS X 5002, dubeolsik) from A to Z, then those that differ with the shift key.
_KEYS = dict(zip("ㅁㅠㅊㅇㄷㄹㅎㅗㅑㅓㅏㅣㅡㅜㅐㅔㅂㄱㄴㅅㅕㅍㅈㅌㅛㅋ", string.ascii_uppercase, strict=True))
_KEYS |= dict(zip("ㅃㅉㄸㄲㅆㅒㅖ", "QWERTOP", strict=True))
_LATIN = str.maketrans({unicodedata.normalize("NFKD", jamo): letter for jamo, letter in _KEYS.items()})


def check_letter(device: str) -> str:
    """Return the check letter of device, a name such as ``AN000123``.

    Raises:
        BadInput: it is no serial number.
    """
    return _LETTERS[serial_of(device) % len(_LETTERS)]


def with_letter(device: str) -> str:
    """Return what a label says of device: ``AN000123`` is ``AN000123-P``."""
    return f"{device}-{check_letter(device)}"


def in_groups(device: str) -> str:
    """Return with_letter(device) in groups that are easily read aloud: ``AN 000 123-P``."""
    prefix, digits = device[: len(_PREFIX)], device[len(_PREFIX) :]
    first = len(digits) % 3 or 3
    groups = [digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))]
    return " ".join((prefix, *groups)) + f"-{check_letter(device)}"


def device_read(text: str, *, letter_needed: bool = False) -> str:
    """Return the name of the device whose number somebody read, typed or scanned: ``an 000 123 p`` is ``AN000123``.

    Case does not matter, nor do blanks, dashes and dots, nor that a keyboard was set to Hangul; a check letter is
    checked where there is one.

    Raises:
        BadInput: no serial number, or not the letter that belongs to it.
    """
    found = _match(text)
    if not found:
        raise _no_serial(text)
    device, letter = found.groups()
    if letter_needed and not letter:
        raise BadInput(f"{device} has no check letter", "Read the whole number again, with the letter at its end.")
    if letter and letter != check_letter(device):
        raise BadInput(
            f"{device}-{letter} is the number of no device", "A digit or the letter is wrong: read it again, slowly."
        )
    return device


def device_named(text: str) -> str:
    """Return text as the name of a device: a serial number as device_read takes it; any other text as it is.

    Raises:
        BadInput: a serial number, but not the letter that belongs to it.
    """
    return device_read(text) if _match(text) else text


def serial_of(device: str) -> int:
    """Return the number in device: ``AN000123`` is 123.

    Raises:
        BadInput: it is no serial number.
    """
    found = _DEVICE.fullmatch(device)
    if not found:
        raise _no_serial(device)
    return int(found[1])


def _match(text: str) -> re.Match[str] | None:
    if len(text) > _MAX_READ:
        return None
    latin = unicodedata.normalize("NFKD", text).translate(_LATIN)
    return _READ.fullmatch(_BETWEEN.sub("", latin).upper())


def _no_serial(text: str) -> BadInput:
    return BadInput(f"{text[:_MAX_READ]!r} is no serial number", "It looks like AN000123-P; the letter is its check.")
