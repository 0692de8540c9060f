"""The rig's program, on a virtual chip: what it is asked for it does at its moment, and no input throws it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from process_kit import children
from rig_kit import BUTTON, BUZZER, LED, LINES, POWER, RESET, VIBRATION, RigBench

from ansim.rig.client import MOMENTS
from ansim.rig.program import program
from ansim_fw.core.json_seq import MAX_REQUEST

_ANSWER_S = 2.0

# What comes over a line that is no request, and what a request must not be.
HOSTILE = {
    b"\x1enot json\n": "not JSON",
    b"\x1e" + b"[" * 190 + b"\n": "not JSON",
    b'\x1e{"id":1,[]:2}\n': "not JSON",
    b"\x1e\xff\xfe\x00\n": "not JSON",
    b"\x1e[1]\n": "a request is an object",
    b'\x1e{"id":true,"cmd":"info"}\n': "a request is an object",
    b'\x1e{"cmd":"info"}\n': "a request is an object",
    b'\x1e{"id":7,"cmd":"explode"}\n': "no such cmd",
    b'\x1e{"id":7,"cmd":["info"]}\n': "no such cmd",
    b'\x1e{"id":7,"cmd":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}\n': "no such cmd",
    b'\x1e{"id":7,"cmd":"press"}\n': "hold_ms must be a whole number",
    b'\x1e{"id":7,"cmd":"press","hold_ms":0}\n': "hold_ms must be a whole number",
    b'\x1e{"id":7,"cmd":"press","hold_ms":1e9}\n': "hold_ms must be a whole number",
    b'\x1e{"id":7,"cmd":"press","hold_ms":99999999999999999999999}\n': "hold_ms must be a whole number",
    b'\x1e{"id":7,"cmd":"button","down":1}\n': "down must be true or false",
    b'\x1e{"id":7,"cmd":"power","on":true,"after_us":-1}\n': "after_us must be a whole number",
    b'\x1e{"id":7,"cmd":"edges","us":"0"}\n': "us must be a list",
    b'\x1e{"id":7,"cmd":"edges","us":[5,5]}\n': "each greater than the one before",
    b'\x1e{"id":7,"cmd":"edges","us":[-1]}\n': "us must be whole numbers",
    b'\x1e{"id":7,"cmd":"edges","us":[null]}\n': "us must be whole numbers",
    b'\x1e{"id":7,"cmd":"bounce"}\n': "an even number of edges",
    b'\x1e{"id":7,"cmd":"listen","seconds":3601}\n': "seconds must be a whole number from 0 to 3600",
    b'\x1e{"id":7,"cmd":"lines","set":[]}\n': "set must be an object",
    b'\x1e{"id":7,"cmd":"lines","set":{"door":[5,1]}}\n': "lines are ",
    b'\x1e{"id":7,"cmd":"lines","set":{"led":[5]}}\n': "a line is [gpio, 0 or 1]",
    b'\x1e{"id":7,"cmd":"lines","set":{"led":[5,2]}}\n': "a line is [gpio, 0 or 1]",
    b'\x1e{"id":7,"cmd":"lines","set":{"led":["5",1]}}\n': "a line is [gpio, 0 or 1]",
    b'\x1e{"id":7,"cmd":"lines","set":{"power":[26,1.0]}}\n': "a line is [gpio, 0 or 1]",
    b'\x1e{"id":7,"cmd":"lines","set":{"led":[5,1],"buzzer":[5,1]}}\n': "a pin is one line's",
    b"\x1e" + b"x" * 5000 + b"\n": "too long",
}


@contextmanager
def standing_still() -> Iterator[None]:
    """Let the programs of this process's chips do nothing meanwhile."""
    pids = children(os.getpid())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def hears(rig: RigBench) -> bool:
    """Ask once, and tell whether there is an answer in time."""
    rig.write(b'\n\x1e{"id":900,"cmd":"info"}\n')
    deadline = time.monotonic() + _ANSWER_S
    while time.monotonic() < deadline:
        if any(said.get("id") == 900 for said in rig.hears_within(_ANSWER_S)):
            return True
    return False


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[RigBench]:
    """A rig that runs, with nothing on its pins."""
    with RigBench(tmp_path) as made:
        yield made


@pytest.fixture
def wired(rig: RigBench) -> RigBench:
    """A rig that knows its lines."""
    rig.wire()
    return rig


def test_it_says_which_program_it_runs(rig: RigBench) -> None:
    info = rig.ask("info")["result"]
    assert info["build"] == program().build
    assert info["lines"] == {}
    assert info["heap_free"] > 50_000


def test_until_it_is_told_its_lines_it_drives_nothing(rig: RigBench) -> None:
    assert rig.bench.told("pin") == []
    for cmd, members in (
        ("press", {"hold_ms": 5}),
        ("button", {"down": True}),
        ("power", {"on": False}),
        ("reset", {}),
    ):
        assert rig.ask(cmd, **members)["error"].startswith("there is no line")
    assert rig.bench.told("pin") == []


def test_lines_begin_at_rest_power_on_and_button_up(wired: RigBench) -> None:
    assert [wired.levels(pin) for pin in (BUTTON, POWER, RESET)] == [[0], [1], [1]]


def test_the_same_lines_again_change_nothing(wired: RigBench) -> None:
    assert wired.ask("power", on=False)["ok"]
    wired.wire()
    assert wired.levels(POWER) == [1, 0]


def test_other_lines_let_go_of_those_before(wired: RigBench) -> None:
    assert wired.ask("button", down=True)["ok"]
    wired.wire({"button": (32, 1)})
    assert wired.levels(BUTTON) == [0, 1, None]
    assert wired.levels(32) == [0]


def test_a_pin_that_the_chip_lacks_is_refused_and_nothing_stays_driven(wired: RigBench) -> None:
    answer = wired.ask("lines", set={"button": (25, 1), "led": (24, 1)})
    assert answer["error"] == "invalid pin"
    assert wired.ask("info")["result"]["lines"] == {}
    assert [wired.levels(pin)[-1] for pin in (BUTTON, POWER, RESET)] == [None, None, None]


def test_a_press_is_as_long_as_it_is_asked_for_and_is_answered_when_it_is_over(wired: RigBench) -> None:
    asked_us = wired.ask("listen", seconds=60)["result"]["us"]
    assert wired.ask("press", hold_ms=120)["ok"]
    wired.hears(event="edge", line="button", on=True)
    up = wired.hears(event="edge", line="button", on=False)
    assert up["us"] >= asked_us + 120_000
    assert wired.levels(BUTTON) == [0, 1, 0]


def test_other_requests_are_answered_while_it_presses(wired: RigBench) -> None:
    wired.write(b'\x1e{"id":500,"cmd":"press","hold_ms":60000}\n')
    assert wired.ask("info")["ok"]
    assert wired.ask("press", hold_ms=5)["error"] == "the button is held down already"
    assert wired.ask("button", down=False)["ok"]
    assert wired.levels(BUTTON) == [0, 1, 0]


def test_a_bounce_has_its_edges_in_order_and_at_their_moments(wired: RigBench) -> None:
    moments = [0, 300, 700, 50_000, 50_200, 50_900]
    asked_us = wired.ask("listen", seconds=60)["result"]["us"]
    assert wired.ask("edges", us=moments[:3])["result"] == {"edges": 3}
    assert wired.ask("edges", us=moments[3:])["result"] == {"edges": 6}
    assert wired.ask("bounce")["ok"]
    seen = [wired.hears(event="edge", line="button") for _ in moments]
    assert [edge["on"] for edge in seen] == [True, False] * 3
    assert all(edge["us"] >= asked_us + moment for edge, moment in zip(seen, moments, strict=True))
    assert wired.ask("bounce")["error"] == "a bounce has an even number of edges"


def test_more_edges_than_fit_are_refused(wired: RigBench) -> None:
    for start in range(0, 200, 20):
        assert wired.ask("edges", us=list(range(start, start + 20)))["ok"]
    assert "us must be a list" in wired.ask("edges", us=[1000])["error"]
    assert wired.ask("bounce")["ok"]


def test_power_goes_at_the_microsecond_that_was_asked_for(wired: RigBench) -> None:
    asked = wired.ask("listen", seconds=60)["result"]["us"]
    assert wired.ask("power", on=False, after_us=150_000)["ok"]
    assert wired.hears(event="edge", line="power", on=False)["us"] >= asked + 150_000
    assert wired.levels(POWER) == [1, 0]


def test_power_that_is_to_go_later_stays_when_it_is_asked_for_again(wired: RigBench) -> None:
    assert wired.ask("power", on=False, after_us=600_000_000)["ok"]
    assert wired.ask("power", on=True)["ok"]
    assert wired.ask("listen", seconds=1)["ok"]
    wired.hears(event="listened")
    assert wired.levels(POWER) == [1]


def test_what_is_due_first_is_done_first(wired: RigBench) -> None:
    assert wired.ask("listen", seconds=60)["ok"]
    assert wired.ask("power", on=False, after_us=1_500_000)["ok"]
    assert wired.ask("press", hold_ms=20)["ok"]
    seen = [wired.hears(event="edge") for _ in range(3)]
    assert [(edge["line"], edge["on"]) for edge in seen] == [("button", True), ("button", False), ("power", False)]


def test_reset_is_pressed_and_let_go(wired: RigBench) -> None:
    assert wired.ask("reset")["ok"]
    assert wired.levels(RESET) == [1, 0, 1]


def test_it_tells_what_its_inputs_see_with_times(wired: RigBench) -> None:
    wired.bench.chip.set_pin(LED, 1)
    assert wired.ask("listen", seconds=60)["result"]["on"] == {
        "button": False,
        "power": True,
        "reset": False,
        "led": True,
        "buzzer": False,
        "vibration": False,
    }
    wired.bench.chip.set_pin(LED, 0)
    wired.bench.chip.set_pin(BUZZER, 0)
    edges = [wired.hears(event="edge") for _ in range(2)]
    assert [(edge["line"], edge["on"]) for edge in edges] == [("led", False), ("buzzer", True)]
    assert edges[0]["us"] <= edges[1]["us"]


def test_each_pulse_is_told_however_short_it_is(wired: RigBench) -> None:
    assert wired.ask("listen", seconds=60)["ok"]
    for _ in range(50):
        wired.bench.chip.set_pin(LED, 1)
        wired.bench.chip.set_pin(LED, 0)
        assert [wired.hears(event="edge")["on"] for _ in range(2)] == [True, False]


def test_after_more_edges_than_interrupts_are_kept_it_knows_the_level_again(wired: RigBench) -> None:
    assert wired.ask("listen", seconds=60)["ok"]
    with standing_still():
        for number in range(101):
            wired.bench.chip.set_pin(LED, 1 - number % 2)
    # Of 51 rises and 50 falls it keeps eight, which end as they began.
    heard = [wired.hears(event="edge")["on"] for _ in range(9)]
    assert all(on != before for before, on in pairwise(heard))
    assert heard[-1] is True


def test_nobody_who_does_not_listen_is_told(wired: RigBench) -> None:
    wired.bench.chip.set_pin(LED, 1)
    assert wired.ask("listen", seconds=1)["ok"]
    wired.hears(event="listened")
    wired.bench.chip.set_pin(LED, 0)
    assert wired.ask("info")["ok"]
    assert not [told for told in wired.said if told.get("event") == "edge"]


def test_it_tells_a_wire_that_is_not_there(wired: RigBench) -> None:
    wired.bench.chip.set_pin(LED, 0)
    wired.bench.chip.set_pin(BUZZER, 0)
    found = wired.ask("check")["result"]
    assert found["led"] == {"on": False, "driven": True}
    assert found["buzzer"] == {"on": True, "driven": True}
    assert found["vibration"]["driven"] is False
    assert found["power"] == {"on": True, "follows": True}
    assert [wired.levels(pin) for pin in (BUTTON, POWER, RESET)] == [[0], [1], [1]]


@pytest.mark.parametrize("pin", [LED, VIBRATION])
def test_a_line_that_loses_its_wire_goes_off(wired: RigBench, pin: int) -> None:
    wired.bench.chip.set_pin(pin, 1)
    assert wired.ask("listen", seconds=60)["ok"]
    wired.bench.chip.set_pin(pin, 2)
    assert wired.hears(event="edge")["on"] is False


def test_whatever_comes_over_the_line_is_answered_by_one_refusal_and_stops_nothing(wired: RigBench) -> None:
    for text, error in HOSTILE.items():
        wired.write(text)
        assert error in wired.hears(ok=False)["error"], text
    assert wired.ask("info")["ok"]
    assert wired.levels(POWER) == [1]


def test_noise_is_not_answered_and_stops_nothing(wired: RigBench) -> None:
    wired.write(b"\r\x03\x03\x01\x04\x02hello\n\x00\xff" * 20)
    wired.write(b"IMPROV\x01\x03\xc8" + b"x" * 20)
    assert wired.ask("listen", seconds=1)["ok"]
    wired.hears(event="listened")
    assert wired.ask("info")["ok"]
    assert wired.said == []
    assert b"Traceback" not in wired.bench.output
    assert len(wired.bench.told("reset")) == 1


@pytest.mark.parametrize("seed", range(3))
def test_random_requests_and_noise_leave_a_rig_that_answers_and_never_restarts(wired: RigBench, seed: int) -> None:
    random = Random(seed)
    pieces = [text for text in HOSTILE if len(text) < 200] + [b"\x1e", b"\n", b"\x03", b"IMPROV\x01", b"{", b'"', b"\\"]
    for _ in range(40):
        noise = b"".join(random.choice(pieces) for _ in range(random.randrange(8))) + random.randbytes(
            random.randrange(60)
        )
        at = random.randrange(len(noise) + 1)
        wired.write(noise[at:] + noise[:at])
        assert any(hears(wired) for _ in range(3))
    assert wired.ask("info")["result"]["lines"]
    assert b"Traceback" not in wired.bench.output
    assert len(wired.bench.told("reset")) == 1


def test_half_a_packet_of_another_protocol_swallows_no_request_after_a_silence(rig: RigBench) -> None:
    rig.write(b"IMPROV\x01\x03\xc0half")
    assert any(hears(rig) for _ in range(3))


def test_the_longest_request_that_a_host_sends_fits() -> None:
    assert len(json.dumps({"id": 99999, "cmd": "lines", "set": LINES}, separators=(",", ":"))) <= MAX_REQUEST
    moments = list(range(600_000_000 - MOMENTS, 600_000_000))
    assert len(json.dumps({"id": 99999, "cmd": "edges", "us": moments}, separators=(",", ":"))) <= MAX_REQUEST
