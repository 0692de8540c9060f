"""The number on a label: read aloud, typed or scanned with a mistake, it is never that of another device."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansim.errors import BadInput
from ansim.serial_number import check_letter, device_read, in_groups, serial_of, with_letter

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
numbers = st.one_of(st.integers(0, 999_999), st.integers(0, 999_999_999)).map(lambda number: f"AN{number:06d}")


def is_refused(text: str) -> bool:
    try:
        device_read(text, letter_needed=True)
    except BadInput:
        return True
    return False


@pytest.mark.parametrize(
    ("digits", "letter"), [("12345678", "Z"), ("54362315", "K"), ("000000", "T")], ids=["DNI", "Perl", "zero"]
)
def test_the_letter_is_that_of_spains_identity_numbers(digits: str, letter: str) -> None:
    assert check_letter(f"AN{digits}") == letter


@given(numbers)
def test_a_label_is_read_back(device: str) -> None:
    assert device_read(with_letter(device), letter_needed=True) == device
    assert device_read(in_groups(device), letter_needed=True) == device
    assert device_read(device) == device


@given(numbers)
def test_every_single_wrong_character_is_noticed(device: str) -> None:
    label = device + check_letter(device)
    for at, right in enumerate(label):
        for wrong in CHARACTERS.replace(right, ""):
            assert is_refused(label[:at] + wrong + label[at + 1 :])


@given(numbers)
def test_any_two_characters_that_changed_places_are_noticed(device: str) -> None:
    label = device + check_letter(device)
    for first in range(len(label)):
        for second in range(first + 1, len(label)):
            if label[first] != label[second]:
                swapped = list(label)
                swapped[first], swapped[second] = swapped[second], swapped[first]
                assert is_refused("".join(swapped))


@given(numbers, st.data())
def test_a_digit_that_was_not_read_is_noticed(device: str, data: st.DataObject) -> None:
    assume(len(device) == len("AN000123"))
    at = data.draw(st.integers(2, len(device) - 1))
    assert is_refused(device[:at] + device[at + 1 :] + check_letter(device))


@pytest.mark.parametrize(
    "heard",
    [
        "AN000123-P",
        "an000123p",
        " AN 000 123 - P ",
        "AN.000.123.P",
        "AN\u2013000123\u2212P",
        "\uff21\uff2e\uff10\uff10\uff10\uff11\uff12\uff13\uff30",  # as a Korean or Japanese input method types it
    ],
)
def test_how_a_person_or_a_scanner_writes_it_does_not_matter(heard: str) -> None:
    assert device_read(heard, letter_needed=True) == "AN000123"


@pytest.mark.parametrize(
    ("typed", "device"), [("무000123-ㅖ", "AN000123"), ("무000124-ㅇ", "AN000124"), ("무000001ㄱ", "AN000001")]
)
def test_a_scanner_may_type_while_the_keyboard_is_set_to_hangul(typed: str, device: str) -> None:
    assert device_read(typed, letter_needed=True) == device


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AN",
        "000123P",
        "AN00123P",
        "AN0001234P",
        "AN000123PP",
        "AN00O123P",
        "AN000123-P" + " " * 40,
        "AN\u0663\u0663\u0663\u0663\u0663\u0663",
    ],
)
def test_what_is_no_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="is no serial number") as caught:
        device_read(text)
    assert "AN000123-P" in caught.value.hint


def test_a_wrong_letter_says_which_number_was_read() -> None:
    with pytest.raises(BadInput, match="AN000132-P is the number of no device"):
        device_read("an 000 132 p")


def test_a_number_read_without_its_letter_is_asked_for_again() -> None:
    with pytest.raises(BadInput, match="AN000123 has no check letter"):
        device_read("AN000123", letter_needed=True)


def test_groups_are_easily_read_aloud() -> None:
    assert in_groups("AN000123") == "AN 000 123-P"
    assert in_groups("AN1234567").startswith("AN 1 234 567-")


def test_only_a_serial_number_has_a_letter() -> None:
    assert serial_of("AN001234") == 1234
    with pytest.raises(BadInput, match="is no serial number"):
        check_letter("bench-1")
