"""The fleet's console key: whole, its own station's business, and another one for each device."""

import dataclasses
from pathlib import Path

import pytest
from test_nvs import NVS_BYTES, settings

from ansim import console_key, credentials
from ansim.errors import ServiceError
from ansim.home import Home
from ansim.nvs import nvs_image

MAC = "02:61:6e:00:00:01"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    credentials.make(made, "localhost")
    return made


def test_a_fleet_keeps_its_key(home: Home) -> None:
    key = console_key.load(home)
    assert len(key) == 32
    assert console_key.FILE in credentials.make(home, "localhost").kept
    assert console_key.load(home) == key


def test_a_fleet_that_was_made_before_gets_one(home: Home) -> None:
    (home.keys / console_key.FILE).unlink()
    with pytest.raises(ServiceError, match="does not exist") as missing:
        console_key.load(home)
    assert "ansim init" in missing.value.hint and "others" in missing.value.hint
    assert credentials.make(home, "localhost").made == [console_key.FILE]


@pytest.mark.parametrize("content", [b"", b"not hex", b"00" * 31, b"00" * 33, b"\xff" * 64])
def test_a_damaged_key_is_told_and_not_shown(home: Home, content: bytes) -> None:
    (home.keys / console_key.FILE).write_bytes(content)
    with pytest.raises(ServiceError, match="is damaged"):
        console_key.load(home)


def test_each_device_has_a_key_of_its_own() -> None:
    fleet = bytes(32)
    keys = {console_key.device_key(fleet, f"02:61:6e:00:00:{number:02x}") for number in range(100)}
    assert len(keys) == 100 and all(len(key) == 32 for key in keys)
    assert console_key.device_key(fleet, MAC) == console_key.device_key(fleet, MAC.upper())
    assert console_key.device_key(bytes([1]) * 32, MAC) not in keys


def test_a_device_gets_its_key_with_its_identity_and_older_ones_have_none() -> None:
    key = console_key.device_key(bytes(32), MAC)
    locked = settings(console_key=key)
    assert key in nvs_image(locked, NVS_BYTES)
    assert b"ckey" not in nvs_image(dataclasses.replace(locked, console_key=b""), NVS_BYTES)
    assert repr(key) not in repr(locked)
