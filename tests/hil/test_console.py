"""The console takes whatever comes, and the alarm path goes on."""

import json
import random
from collections.abc import Callable

import pytest

from ansim.client import Deadline
from unit_under_test import PATIENCE_S, UnitUnderTest

NOISE_BYTES = 10_000_000
# On a line of 115200 baud those take a quarter of an hour.
NOISE_BYTES_IN_LIFE_S_TIME = 500_000


def heap(device: UnitUnderTest) -> int:
    """Free heap after a collection, which the self-test makes."""
    phases = device.console.request("selftest")["phases"]
    return next(phase["value"] for phase in phases if phase["name"] == "heap")


@pytest.mark.needs("press", "wifi")
def test_megabytes_of_noise_stop_nothing_and_take_no_memory(device: UnitUnderTest) -> None:
    before = device.info()
    heap_before = heap(device)
    noise = random.Random(20260214)
    size = NOISE_BYTES if device.has("speed") else NOISE_BYTES_IN_LIFE_S_TIME
    for sent in range(0, size, 100_000):
        device.write(noise.randbytes(100_000))
        if sent % 2_000_000 == 0:
            device.press(60)
            raised = device.announced("raised", kind="sos")
            device.receives(
                lambda event, raised=raised: (event.boot, event.seq) == (raised["boot"], raised["seq"]), "alarm"
            )
            device.announced("acknowledged", seq=raised["seq"])
    after = device.info()
    assert after["boot"] == before["boot"]
    assert after["mode"] == "normal"
    assert heap(device) > heap_before - 4096


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "{",
        "[]",
        "null",
        '"info"',
        "{}",
        '{"id":1}',
        '{"id":"1","cmd":"info"}',
        '{"id":1,"cmd":"explode"}',
        '{"id":1,"cmd":["info"]}',
        '{"id":1,"cmd":"config","set":7}',
        '{"id":1,"cmd":"config","set":{"cancel_s":-1}}',
        '{"id":1,"cmd":"config","set":{"cancel_s":true}}',
        '{"id":1,"cmd":"config","set":{"jwt":"x"}}',
        '{"id":1,"cmd":"config","set":{2:3}}',
        "{[]:1}",
        "[" * 190,
        '{"id":1,"cmd":"' + "x" * 500 + '"}',
    ],
    ids=lambda text: text[:24] or "empty",
)
def test_a_request_that_is_not_legal_gets_an_error(running: UnitUnderTest, request_text: str) -> None:
    nothing_waits(running)
    running.write(b"\x1e" + request_text.encode() + b"\n")
    answer = received(running.console)[0]
    assert answer["ok"] is False
    assert answer["error"]
    assert running.console.request("info")["provisioned"]


def nothing_waits(device: UnitUnderTest) -> None:
    """Take the answers to what was asked twice while the device connected: they come before the one to this."""
    device.console.request("info", timeout_s=PATIENCE_S)


def received(console: "object") -> list[dict[str, object]]:
    """Return the next messages that are not announcements."""
    found: list[dict[str, object]] = []
    deadline = Deadline(PATIENCE_S)
    while not found:
        assert not deadline.expired, f"no answer in {PATIENCE_S:g} s; announced: {list(console._announcements)}"
        found = [message for message in console._receive() if not console._keep(message)]
    return found


def test_settings_are_changed_all_or_none(running: UnitUnderTest) -> None:
    before = running.console.request("config")
    running.write(b"\x1e" + json.dumps({"id": 9, "cmd": "config", "set": {"cancel_s": 5, "nope": 1}}).encode() + b"\n")
    received(running.console)
    assert running.console.request("config") == before


def test_no_secret_is_ever_shown(running: UnitUnderTest) -> None:
    shown = json.dumps([running.console.request(cmd) for cmd in ("info", "config", "selftest")])
    # Not as an assertion's operand: a report would show it.
    has_passphrase = running.sandbox.wifi.passphrase in shown
    assert not has_passphrase
    assert "eyJ" not in shown


def test_a_device_on_duty_is_not_left_by_ctrl_c(running: UnitUnderTest) -> None:
    boot = running.info()["boot"]
    for _ in range(3):
        running.write(b"\r\x03\x03\r\x01\r\x04")
        assert running.info()["boot"] == boot


def test_in_safe_mode_mpremote_gets_to_the_repl(
    device: UnitUnderTest, enter_repl: "Callable[[UnitUnderTest], Callable[..., str]]"
) -> None:
    repl = enter_repl(device)
    assert repl("exec", "print(6 * 7)").strip() == "42"
    assert "ansim_fw" in repl("fs", "ls")
