import binascii

import fall_kit

from ansim_fw.core.fall import model
from ansim_fw.core.fall.features import COUNT

TOLD = {
    "placement": "wrist",
    "version": 513,
    "wake_mg": 250,
    "impact_mg": 1400,
    "suspect": -300,
    "certain": 700,
    "still": 20,
    "same": 240,
    "moved_loss": 50,
    "blocks": 8,
    "trees": [{"features": [0, 1, COUNT - 1], "thresholds": [1, 2, 3], "leaves": [1, -2, 3, -4]}],
}


def is_refused(data: bytes) -> bool:
    try:
        model.load(data, binascii.crc32)
    except ValueError:
        return True
    return False


def sealed(data: bytes) -> bytes:
    return data + binascii.crc32(data).to_bytes(4, "little")


def test_a_model_is_read_as_it_was_packed():
    read = model.load(fall_kit.pack(TOLD), binascii.crc32)
    for name in fall_kit.FIELDS.split():
        assert getattr(read, name) == TOLD[name]
    assert read.placement == model.WRIST
    assert read.score(bytes(COUNT)) == 1


def test_a_damaged_model_is_refused():
    whole = fall_kit.pack(TOLD)
    for at in range(len(whole)):
        assert is_refused(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert is_refused(whole[:at])
    assert is_refused(whole + b"\x00")


def test_a_model_of_another_format_is_refused():
    body = fall_kit.pack(TOLD)[:-4]
    assert is_refused(sealed(b"FOUL" + body[4:]))
    assert is_refused(sealed(body[:4] + bytes([model.FORMAT + 1]) + body[5:]))


def test_a_model_that_leads_beyond_itself_is_refused():
    body = fall_kit.pack(TOLD)[:-4]
    for at in (22, 24, 26):
        assert is_refused(sealed(body[:at] + bytes([COUNT]) + body[at + 1 :]))
    assert is_refused(sealed(body[:20] + bytes([2]) + body[21:]))
    assert is_refused(sealed(body[:21] + bytes([COUNT + 1]) + body[22:]))
    assert is_refused(sealed(b"FALL"))


def test_the_models_of_the_repository_are_what_a_device_takes():
    assert fall_kit.model("fall_waist").placement == model.WAIST
    assert fall_kit.model("fall_wrist").placement == model.WRIST
    for name in ("fall_waist", "fall_wrist"):
        one = fall_kit.model(name)
        assert one.suspect <= one.certain
        assert 0 < one.wake_mg < one.impact_mg
