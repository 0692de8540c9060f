"""Requests that are broken in every way get an answer or none, and the device stays on duty through them."""

import fuzz

from unit_under_test import UnitUnderTest

REQUESTS = 300
AT_ONCE = 10
# What changes nothing that matters to the test, however it is broken.
SAMPLES = [
    *[sample for sample in fuzz.REQUESTS if b"info" in sample or b"config" in sample],
    b'{"id":5,"cmd":' + b"[" * 80 + b"]" * 80 + b"}",
    b'{"id":6,"cmd":"config","set":' + b'{"a":' * 25 + b"1" + b"}" * 25 + b"}",
]


def test_broken_requests_never_stop_a_device_on_duty(device: UnitUnderTest) -> None:
    before = device.info()
    breaker = fuzz.Breaker(fuzz.Dice(20260214))
    for _ in range(REQUESTS // AT_ONCE):
        for _ in range(AT_ONCE):
            device.write(b"\x1e" + breaker.broken(SAMPLES) + b"\n")
        # Its answer comes after those to what was sent before it.
        after = device.info()
        told = [announcement["event"] for announcement in device.console._announcements]
        assert "error" not in told
    assert after["boot"] == before["boot"]
    assert after["mode"] == "normal"
    assert after["up_s"] >= before["up_s"]
