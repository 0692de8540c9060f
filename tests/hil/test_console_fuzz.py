"""Requests that are broken in every way get an answer or none, and the device stays on duty through them."""

from base64 import b64encode

import fuzz
from improv_client import REQUEST_INFO, REQUEST_STATE, RPC, SEND_WIFI, packet, settings

from unit_under_test import UnitUnderTest

REQUESTS = 300
AT_ONCE = 10
# What changes nothing that matters to the test, however it is broken.
SAMPLES = [
    *[sample for sample in fuzz.REQUESTS if b"info" in sample or b"config" in sample],
    b'{"id":5,"cmd":' + b"[" * 80 + b"]" * 80 + b"}",
    b'{"id":6,"cmd":"config","set":' + b'{"a":' * 25 + b"1" + b"}" * 25 + b"}",
]

NETWORK = settings("home", "a passphrase")
# What a device takes from anybody while nobody relies on it.
CHANGES = [
    *[b"\x1e" + sample + b"\n" for sample in SAMPLES],
    b'\x1e{"id":7,"cmd":"wifi","set":"' + b64encode(NETWORK) + b'"}\n',
    b'\x1e{"id":8,"cmd":"wifi","remove":"home"}\n',
    b'\x1e{"id":9,"cmd":"challenge"}\n',
    *[packet(RPC, bytes([command, 0])) for command in (REQUEST_STATE, REQUEST_INFO)],
    packet(RPC, bytes([SEND_WIFI, len(NETWORK)]) + NETWORK),
]


def test_broken_requests_never_stop_a_device_on_duty(device: UnitUnderTest) -> None:
    survives(device, [b"\x1e" + sample + b"\n" for sample in SAMPLES])


def test_broken_changes_and_packets_never_stop_a_device_that_takes_them(blank: UnitUnderTest) -> None:
    survives(blank, CHANGES)


def survives(device: UnitUnderTest, samples: list[bytes]) -> None:
    # Far from the ids of what is sent broken: the answer to that is not to be taken for another.
    device.console._last_id = 1 << 20
    before = device.info()
    breaker = fuzz.Breaker(fuzz.Dice(20260214))
    for _ in range(REQUESTS // AT_ONCE):
        for _ in range(AT_ONCE):
            device.write(breaker.broken(samples))
        # Its answer comes after those to what was sent before it.
        after = device.info()
        told = [announcement["event"] for announcement in device.console._announcements]
        assert "error" not in told, device.console._announcements
    assert after["boot"] == before["boot"]
    assert after["mode"] == "normal"
    assert after["up_s"] >= before["up_s"]
