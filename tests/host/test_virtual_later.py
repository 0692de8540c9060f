"""Stimuli at a moment of the chip's time, the supply, and the counts: the control channel and the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_virtual_control import converse, hello

from ansim.cli import cli
from ansim.errors import BadInput, DeviceError
from ansim.virtual import Seen, VirtualBoard

DEADLINE_S = 20
HOUR_MS = 3_600_000
SUPPLY_GPIO = 32  # boards/virtual.toml; active high
# Sleeps for an hour, again and again; the button (ext0, low) wakes it, too.
SLEEPER = (
    "import machine, esp32\nesp32.wake_on_ext0(machine.Pin(33, machine.Pin.IN, machine.Pin.PULL_UP), 0)\n"
    f"machine.deepsleep({HOUR_MS})"
)
# Shows the level of the supply on a pin, from the first moment on.
SUPPLIED = (
    "import machine, time\nsupply = machine.Pin(32, machine.Pin.IN)\n"
    "out = machine.Pin(25, machine.Pin.OUT, value=supply())\n"
    "while True:\n  out(supply()); time.sleep_ms(10)"
)


def until(board: VirtualBoard, wanted: Callable[[Seen], bool], act: Callable[[], None]) -> Seen:
    """Act, and return what the board then does that is wanted."""
    with board.control.watch(timeout_s=DEADLINE_S) as events:
        act()
        for seen in events:
            if wanted(seen):
                return seen
    raise AssertionError("it did not come")


def test_a_board_has_its_supply_until_it_is_taken_away(start_booting_board: Callable[..., VirtualBoard]) -> None:
    board = start_booting_board({"main.py": SUPPLIED})
    control = board.control
    assert control.status()["supply"] is True
    until(board, lambda seen: (seen.event, seen.details.get("value")) == ("pin", 0), lambda: control.supply(False))
    assert control.status()["supply"] is False
    until(board, lambda seen: (seen.event, seen.details.get("value")) == ("pin", 1), lambda: control.supply(True))


def test_a_board_without_a_supply_pin_refuses(start_virtual_board: Callable[..., VirtualBoard]) -> None:
    board = start_virtual_board(board="esp32_devkit")
    with pytest.raises(DeviceError, match="can't tell whether it is supplied"):
        board.control.supply(False)


def test_stimuli_come_in_the_chip_s_time_and_are_told(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    board = start_booting_board({"main.py": SLEEPER}, skip_sleep=True)
    later = board.control.later(after_ms=5 * HOUR_MS + HOUR_MS // 2)
    seen = until(board, lambda seen: seen.event == "stimulus", lambda: later.battery(3400))
    assert seen.details == {"do": "battery"}
    assert 5 * HOUR_MS < seen.chip_ms < 7 * HOUR_MS
    assert board.control.status()["chip_ms"] >= seen.chip_ms


def test_a_press_as_the_board_falls_asleep_wakes_it(start_booting_board: Callable[..., VirtualBoard]) -> None:
    board = start_booting_board({"main.py": SLEEPER}, skip_sleep=True)
    press = board.control.later(on="asleep").press
    woken = until(board, lambda seen: seen.event == "ran" and seen.details["wake"] == 2, lambda: press(200))
    assert woken.details["began"] == "deep_sleep"
    assert board.control.stats()["chip"]["began"]["deep_sleep"] >= 1


def test_power_that_goes_later_is_gone_before_more_time_is_skipped(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    board = start_booting_board({"main.py": SLEEPER}, skip_sleep=True)
    power = board.control.later(after_ms=3 * HOUR_MS).power
    ordered_ms = []

    def order() -> None:
        # Its time jumps meanwhile.
        ordered_ms.append(board.control.status()["chip_ms"])
        power(False)
        ordered_ms.append(board.control.status()["chip_ms"])

    seen = until(board, lambda seen: seen.event == "state", order)
    assert seen.details == {"state": "off"}
    assert ordered_ms[0] + 3 * HOUR_MS <= seen.chip_ms < ordered_ms[1] + 4 * HOUR_MS


def test_a_brownout_needs_a_weak_cell_alone(start_booting_board: Callable[..., VirtualBoard]) -> None:
    program = "import network, time\nnetwork.WLAN().active(True)\nwhile True: time.sleep_ms(100)"
    board = start_booting_board({"main.py": program})
    board.control.battery(2900)
    assert board.control.status()["chip_state"]["reset_cause"] == "power_on", "it has a supply"
    seen = until(board, lambda seen: seen.event == "reset", lambda: board.control.supply(False))
    assert seen.details == {"cause": "brownout"}


def test_a_press_is_answered_when_it_is_up_though_time_jumps(start_booting_board: Callable[..., VirtualBoard]) -> None:
    program = SLEEPER.replace("esp32.wake_on_ext0", "(lambda *_: None)")
    board = start_booting_board({"main.py": program}, skip_sleep=True)
    with board.control.watch(timeout_s=DEADLINE_S) as events:
        board.control.press(600_000)
        held = [next(seen for seen in events if seen.event == "button") for _ in range(2)]
    assert held[1].chip_ms - held[0].chip_ms >= 600_000
    assert board.control.status()["button_down"] is False


WRONG_REQUESTS = {
    b'{"cmd":"later","after_ms":5}': "do must be a request",
    b'{"cmd":"later","after_ms":5,"do":{}}': "unknown command 'None'",
    b'{"cmd":"later","after_ms":5,"do":{"cmd":"status"}}': "unknown command 'status'",
    b'{"cmd":"later","after_ms":5,"do":{"cmd":"later","after_ms":5,"do":{"cmd":"reset"}}}': "unknown command 'later'",
    b'{"cmd":"later","after_ms":5,"do":{"cmd":["press"]}}': "unknown command",
    b'{"cmd":"later","after_ms":5,"do":{"cmd":"press","hold_ms":0}}': "hold_ms must be a whole number",
    b'{"cmd":"later","do":{"cmd":"reset"}}': "after_ms must be a whole number from 0 to 34560000000",
    b'{"cmd":"later","after_ms":-1,"do":{"cmd":"reset"}}': "after_ms must be a whole number",
    b'{"cmd":"later","after_ms":34560000001,"do":{"cmd":"reset"}}': "after_ms must be a whole number",
    b'{"cmd":"later","after_ms":true,"on":"sleep","do":{"cmd":"reset"}}': "after_ms must be a whole number",
    b'{"cmd":"later","on":"never","do":{"cmd":"reset"}}': "on must be one of sleep, asleep, wake",
    b'{"cmd":"later","on":["sleep"],"do":{"cmd":"reset"}}': "on must be one of",
    b'{"cmd":"supply","on":1}': "on must be true or false",
}


def test_each_wrong_request_is_answered_and_the_next_one_served(virtual_board: VirtualBoard) -> None:
    _, *refused, status = converse(virtual_board, hello(virtual_board), *WRONG_REQUESTS, b'{"cmd":"status"}')
    for answer, (request, complaint) in zip(refused, WRONG_REQUESTS.items(), strict=True):
        assert not answer["ok"], request
        assert complaint in answer["error"]
    assert status["result"]["waiting"] == 0


def test_no_more_waits_than_a_board_can_bear(virtual_board: VirtualBoard) -> None:
    one = b'{"cmd":"later","on":"sleep","do":{"cmd":"rssi","dbm":-60}}'
    answers = converse(virtual_board, hello(virtual_board), *[one] * 1001, b'{"cmd":"status"}')
    assert all(answer["ok"] for answer in answers[:1001])
    assert answers[1001]["error"] == "1000 stimuli are waiting already"
    assert answers[1002]["result"]["waiting"] == 1000
    with pytest.raises(DeviceError, match="a recording that waits has at most 60000 samples"):
        virtual_board.control.later(on="sleep").play([0, 0, 1000] * 60_001)


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, ["virtual", *words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("virtual_board")
def test_the_command_line_says_what_comes_when() -> None:
    assert run("supply", "off") == "virtual: supply off\n"
    assert run("press", "--on", "sleep") == "virtual: button pressed for 150 ms, at its next 'sleep'\n"
    late = "virtual: battery at 3300 mV, after 3600000 ms of its time\n"
    assert run("battery", "3300", "--after-ms", "3600000") == late
    status = json.loads(run("status", "--json"))
    assert status["waiting"] == 2
    assert status["supply"] is False


@pytest.mark.usefixtures("home")
def test_a_board_that_skips_its_sleep_says_so() -> None:
    try:
        run("start", "--skip-sleep")
        assert json.loads(run("status", "--json"))["skips_sleep"] is True
    finally:
        run("stop", "--all")


def test_a_recording_that_is_none_is_refused_before_it_could_wait(virtual_board: VirtualBoard, tmp_path: Path) -> None:
    recording = tmp_path / "walk.csv"
    recording.write_text("x,y,z\n")
    done = CliRunner().invoke(cli, ["virtual", "motion", "play", str(recording), "--on", "sleep"])
    assert isinstance(done.exception, BadInput)
    assert virtual_board.control.status()["waiting"] == 0
