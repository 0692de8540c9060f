"""What the line shows: the screen from two metres away, lines in a pipe, events for a program, bells, the summary."""

import io
import json
import string

import pytest
from rich.cells import cell_len
from rich.console import Console

from ansim.errors import AnsimError, BadInput, DeviceError, Interrupted, PortError, ServiceError
from ansim.flash_job import EventsWaiting, ProofFailed
from ansim.flasher import NoChip, WrongBoard
from ansim.line import summary
from ansim.line.faces import LinesFace, ScreenFace, event_of
from ansim.line.floor import Event, Floor, Notice, Socket
from ansim.line.phrases import Phrases
from ansim.line.screen import picture
from ansim.line.sounds import BELLS, GAP_S, Sounds
from ansim.line.told import Asking, Doing, Known, Passed, Trouble
from ansim.line.trouble import DoneAlready, trouble_of
from ansim.line.words import languages, words_of
from ansim.manifest_rows import ManifestFull
from ansim.proof import Phase, Proof
from ansim.proof.advice import ADVICE
from ansim.registry import DeviceInService, DeviceRetired
from ansim.serial_link import PortBusy, PortGone

LANGUAGES = tuple(languages())
ENGLISH, KOREAN = Phrases(words_of("en")), Phrases(words_of("ko"))
WIDTH = 80
SOCKETS = [Socket(f"1-{number}", f"/dev/ttyUSB{number}") for number in range(9)]


def mac(number: int) -> str:
    return f"24:6f:28:00:00:{number:02}"


def busy_floor(sockets: int = 7) -> Floor:
    """A floor on which each thing happens that can be seen."""
    floor = Floor(16, name="jongno", total=200, done={mac(99): "AN000099"})
    there = SOCKETS[:sockets]
    floor.see(there, 0)
    floor.begin(1)
    floor.said("1-0", Doing("writing", 50, 100, "firmware"), 1)
    floor.said("1-1", Asking("press"), 1)
    floor.said("1-2", Asking("confirm"), 1)
    floor.passed("1-3", Passed("AN000012", mac(3), "jongno-01", "pendant", ready=2), 15)
    floor.said("1-4", Known(mac(4)), 1)
    floor.failed("1-4", Trouble("proof", "did not pass: battery", "Charge it.", 4, "AN000013", ("battery",)), 9)
    floor.see([socket for socket in there if socket.key != "1-5"], 16)
    floor.failed("1-6", trouble_of(DoneAlready("it is done", "AN000099")), 16)
    return floor


def shown(floor: Floor, phrases: Phrases, height: int = 50, width: int = WIDTH, now_s: float = 17) -> list[str]:
    console = Console(width=width, height=height, record=True, force_terminal=True, file=io.StringIO())
    console.print(picture(floor, phrases, now_s, width, height))
    return console.export_text().splitlines()


def test_each_socket_says_what_it_is_and_what_to_do_next() -> None:
    lines = shown(busy_floor(), ENGLISH)
    told = "\n".join(lines)
    assert "jongno: 2 of 200 ready" in lines[0]
    assert "1 passed, 1 failed" in lines[0]
    assert "writing firmware 0:16" in told
    assert "41 %" in told
    for word, about, then in (
        ("PRESS", "testing", "Press its button once."),
        ("PRESS", "testing", "Light and sound? Then press its button once more."),
        ("PASS", "AN 000 012-N   jongno-01 pendant", "its label is AN 000 012-N"),
        ("FAIL", "test failed: battery", "Charge or replace the cell"),
        ("REPLUG", "0:16", "put it back in"),
        ("DONE", "was done before: AN 000 099-F", "Take it out"),
    ):
        row = next(at for at, line in enumerate(lines) if word in line and about in line and then in lines[at + 1])
        assert row > 1


def test_in_korean_nothing_is_left_in_english_but_names_and_what_the_tool_said() -> None:
    told = shown(busy_floor(), KOREAN)
    assert "200대 중 2대 완료" in told[0]
    assert any("합격" in line and "AN 000 012-N" in line for line in told)
    assert any("배터리를 충전하거나" in line for line in told)
    assert not any(word in "\n".join(told) for word in ("PASS", "FAIL", "press", "Take it out", "busy"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("height", [50, 24, 12, 8])
def test_no_line_is_wider_than_the_terminal_and_no_more_lines_than_it_has(language: str, height: int) -> None:
    lines = shown(busy_floor(9), Phrases(words_of(language)), height)
    assert max(map(cell_len, lines)) <= WIDTH
    assert len(lines) <= height


def test_where_not_all_fit_those_that_wait_for_hands_are_shown_and_the_rest_is_counted() -> None:
    told = "\n".join(shown(busy_floor(9), ENGLISH, height=9))
    for wanted in ("Press its button once.", "Light and sound?", "put it back in", "Charge or replace"):
        assert wanted in told
    assert "4 more sockets do not fit" in told


def test_a_socket_that_is_empty_again_still_says_which_board_was_there() -> None:
    floor = busy_floor()
    floor.see([socket for socket in SOCKETS[:7] if socket.key not in ("1-3", "1-4", "1-5")], 20)
    told = "\n".join(shown(floor, ENGLISH))
    assert "The last one: AN 000 012-N PASS" in told
    assert "The last one: AN 000 013-J test failed: battery" in told


def test_a_board_is_ready_even_if_its_label_did_not_come_and_the_row_says_what_then() -> None:
    floor = busy_floor()
    floor.passed("1-0", Passed("AN000014", mac(0), "s", "hub", unlabelled="can't write /dev/usb/lp0"), 18)
    told = "\n".join(shown(floor, ENGLISH))
    assert "No label came: take it out and write AN 000 014-Z on it." in told
    assert "can't write /dev/usb/lp0" in told
    assert any("AN000014" in line and "ansim label" in line for line in summary.lines(floor, ENGLISH))


def test_what_nobody_tried_stands_beside_the_verdict() -> None:
    floor = busy_floor()
    floor.passed("1-0", Passed("AN000014", mac(0), "s", "hub", untried=("button", "outputs")), 18)
    assert "(not tried: button, light and sound)" in "\n".join(shown(floor, ENGLISH))
    assert "(검사 안 함: 버튼, 불빛과 소리)" in "\n".join(shown(floor, KOREAN))


def test_what_a_device_says_moves_no_cursor() -> None:
    floor = busy_floor()
    floor.failed("1-0", Trouble("device", "it says \x1b[2Jno", "look\r", 4), 17)
    assert "it says ?[2Jno. look?" in "\n".join(shown(floor, ENGLISH))


def test_while_the_line_ends_the_screen_says_what_it_waits_for() -> None:
    floor = busy_floor()
    floor.stop()
    assert "ENDING: 4 boards on their way" in shown(floor, ENGLISH)[1]


def test_a_terminal_shows_the_screen_and_rings_for_a_press(monkeypatch: pytest.MonkeyPatch) -> None:
    # A dumb one rings no bell.
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=WIDTH, height=40)
    floor = busy_floor()
    with ScreenFace(terminal, ENGLISH, sounds=True) as face:
        face.tell(Notice(Event.ASKED, floor.rows[1]))
        for turn in range(20):
            face.show(floor, 17 + turn / 10)
    assert "Press its button once." in out.getvalue()
    assert out.getvalue().count("\a") == BELLS[Event.ASKED]


def test_bells_of_two_boards_are_heard_apart() -> None:
    sounds = Sounds()
    sounds.hear(Event.FAILED)
    sounds.hear(Event.PASSED)
    sounds.hear(Event.STEP)
    rung = [tick / 100 for tick in range(1000) if sounds.due(tick / 100)]
    gaps = [later - earlier for earlier, later in zip(rung, rung[1:], strict=False)]
    assert len(rung) == BELLS[Event.FAILED] + BELLS[Event.PASSED]
    assert gaps[-1] > gaps[0] >= GAP_S


def test_in_a_pipe_each_step_is_a_line_and_each_end_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    floor = Floor(8)
    face = LinesFace(ENGLISH)
    notices = floor.see(SOCKETS[:2], 0) + floor.begin(1)
    notices += [*floor.said("1-0", Doing("writing", 1, 9), 1), *floor.said("1-0", Doing("writing", 2, 9), 2)]
    notices += [*floor.said("1-0", Asking("press"), 3), *floor.passed("1-0", Passed("AN000012", mac(0), "s", "hub"), 4)]
    notices += floor.failed("1-1", Trouble("silent", "no ESP32 answers on /dev/ttyUSB1", "Check the cable.", 4), 5)
    for notice in notices:
        face.tell(notice)
    said = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()[2:4]) for line in said] == ["writing", "PRESS Press", "PASS AN", "FAIL no"]
    assert "no ESP32 answers on /dev/ttyUSB1. Check the cable." in said[-1]


def test_events_for_a_program_tell_socket_port_device_and_why() -> None:
    floor = busy_floor()
    floor.failed("1-0", Trouble("silent", "no ESP32 answers", "Check the cable.", 4), 17)
    events = [event_of(Notice(Event.FAILED, row)) for row in floor.rows]
    assert json.loads(json.dumps(events)) == events
    assert (
        events[0] | {"event": "failed", "socket": 1, "port": "/dev/ttyUSB0", "kind": "silent", "exit_code": 4}
        == events[0]
    )
    assert events[4]["phases"] == ["battery"]


def test_the_summary_counts_names_what_is_not_ready_and_gives_the_exit_code() -> None:
    floor = busy_floor()
    told = summary.lines(floor, ENGLISH)
    assert told[0] == "1 passed, 1 failed"
    assert any("AN 000 013-J" in line and "Charge it." in line for line in told)
    assert summary.exit_code(floor) == 4
    as_dict = summary.as_dict(floor)
    assert (as_dict["ok"], as_dict["passed"], as_dict["failed"]) == (False, 1, 1)
    assert as_dict["manifest"] == {"name": "jongno", "total": 200, "ready": 2}
    assert {board["device"] for board in as_dict["boards"]} == {"AN000012", "AN000013"}


def test_a_line_without_a_board_says_so() -> None:
    assert summary.lines(Floor(8), ENGLISH) == ["In this run no board passed or failed."]
    assert summary.exit_code(Floor(8)) == 0


def test_boards_that_were_left_lying_are_an_interruption() -> None:
    floor = Floor(1)
    floor.see(SOCKETS[:2], 0)
    floor.begin(1)
    floor.stop()
    floor.passed("1-0", Passed("AN000001", mac(0)), 2)
    assert floor.over
    assert summary.exit_code(floor) == 130


ERRORS: list[tuple[AnsimError, str]] = [
    (WrongBoard("x"), "wrong_board"),
    (NoChip("x"), "silent"),
    (EventsWaiting("x"), "events"),
    (DeviceRetired("x"), "retired"),
    (DeviceInService("x"), "in_service"),
    (ManifestFull("x"), "spare"),
    (DoneAlready("x", "AN000001"), "already"),
    (ProofFailed("x"), "proof"),
    (PortBusy("x"), "busy"),
    (PortGone("x"), "port"),
    (PortError("x"), "port"),
    (DeviceError("x"), "device"),
    (ServiceError("x"), "service"),
    (BadInput("x"), "input"),
    (Interrupted(), "stopped"),
    (AnsimError("x"), "defect"),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=[kind for _, kind in ERRORS])
def test_each_error_has_a_next_step_in_each_language(error: AnsimError, kind: str) -> None:
    trouble = trouble_of(error)
    assert trouble.kind == kind
    assert trouble.exit_code == error.exit_code
    for words in languages().values():
        assert words.troubles[kind].next


def test_a_failed_proof_names_its_device_and_phases() -> None:
    phases = (Phase("identity", True), Phase("battery", False, "3.1 V", "3.4 V", "Charge it."))
    trouble = trouble_of(ProofFailed("did not pass", "Charge it.", Proof("AN000013", phases, "none")))
    assert (trouble.device, trouble.phases) == ("AN000013", ("battery",))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_phase_of_a_proof_has_words(language: str) -> None:
    assert languages()[language].phases.keys() == ADVICE.keys()


def _blanks(words: object) -> object:
    """The same shape, with the names of the blanks instead of texts."""
    if isinstance(words, str):
        return sorted(name for _, name, _, _ in string.Formatter().parse(words) if name)
    if hasattr(words, "items"):
        return {key: _blanks(value) for key, value in words.items()}
    return {key: _blanks(value) for key, value in vars(words).items()}


def test_all_languages_say_the_same_things_with_the_same_blanks() -> None:
    shapes = [_blanks(words) for words in languages().values()]
    assert shapes[1:] == shapes[:-1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_advice_is_cut_off_at_eighty_columns(language: str) -> None:
    phrases = Phrases(words_of(language))
    words = languages()[language]
    room = WIDTH - 5 - cell_len(phrases.badge("empty"))
    fixed = [advice.next for advice in (*words.troubles.values(), *words.phases.values())]
    fixed += [text.format(label="AN 000 012-N", what="") for text in words.next.values()]
    assert [text for text in fixed if cell_len(text) > room] == []


def test_the_environment_chooses_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert words_of(None) is languages()["en"]
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert words_of(None) is languages()["ko"]
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert words_of(None) is languages()["en"]
    assert words_of("ko") is languages()["ko"]
