"""The console's client: it finds answers among boot logs and noise, and says what to do when none comes."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.client import MAX_ANSWER_BYTES, REPEAT_S, Console, Deadline, SequenceReader
from ansim.errors import BadInput, DeviceError, PortError
from ansim.home import Home
from ansim.serial_link import open_port

BOOT_LOG = b"rst:0x1 (POWERON_RESET),boot:0x13\r\nload:0x3fff0030,len:4728\r\n\xff\xfe\x00 garbage \x1e broken\n"
objects = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20), max_size=4)


def frame(value: object) -> bytes:
    return b"\x1e" + json.dumps(value).encode() + b"\r\n"


@given(st.lists(objects), st.integers(1, 50))
def test_every_object_is_found_however_the_bytes_arrive(sent: list[dict[str, object]], size: int) -> None:
    stream = b"".join(b"noise without end" + frame(value) for value in sent)
    reader = SequenceReader()
    found = [value for at in range(0, len(stream), size) for value in reader.feed(stream[at : at + size])]
    assert found == sent


@given(st.binary(max_size=3000), objects)
def test_after_any_noise_the_next_object_is_found(noise: bytes, value: dict[str, object]) -> None:
    reader = SequenceReader()
    reader.feed(noise)
    assert reader.feed(frame(value)) == [value]


def test_ten_megabytes_of_one_text_are_held_in_four_kilobytes() -> None:
    reader = SequenceReader()
    for _ in range(10_000):
        assert reader.feed(b"\x1e" if _ == 0 else b"x" * 1000) == []
        assert len(reader._text or b"") <= MAX_ANSWER_BYTES
    assert reader.feed(frame({"id": 1})) == [{"id": 1}]


@pytest.mark.parametrize("text", [b"[1]", b"7", b"{", b'"x"', b"[" * 4000, b"\xff\xff"])
def test_what_is_no_object_is_dropped(text: bytes) -> None:
    assert SequenceReader().feed(b"\x1e" + text + b"\n") == []


def test_a_deadline_expires() -> None:
    assert Deadline(0).expired
    assert 59 < Deadline(60).remaining_s <= 60


class Line:
    """A serial line with somebody at the other end who answers each request with what reply says; None cuts it."""

    def __init__(self, home: Home) -> None:
        self.far, self._near = os.openpty()
        self.path = os.ttyname(self._near)
        self.link = open_port(self.path, home)
        self.console = Console(self.link, self.path)
        self.reply: Callable[[dict[str, object]], bytes | None] = lambda _: b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        reader = SequenceReader()
        try:
            while data := os.read(self.far, 1000):
                for request in reader.feed(data):
                    answer = self.reply(request)
                    if answer is None:
                        os.close(self.far)
                        return  # its number is another file's from now on
                    os.write(self.far, answer)
        except OSError:
            return  # the test is over

    def close(self) -> None:
        self.link.close()
        os.close(self._near)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(Home(tmp_path))
    yield made
    made.close()


def test_an_answer_is_found_behind_a_boot_log_and_announcements_are_kept(line: Line) -> None:
    armed = {"event": "armed", "ms": 412}
    line.reply = lambda request: BOOT_LOG + frame(armed) + frame({"id": request["id"], "ok": True, "result": {"n": 1}})
    assert line.console.request("info") == {"n": 1}
    assert next(line.console.announcements(Deadline(5))) == armed


def test_an_answer_to_another_question_is_not_taken(line: Line) -> None:
    def reply(request: dict[str, object]) -> bytes:
        late = {"id": 99, "ok": True, "result": {"late": 1}}
        return frame(late) + frame({"id": request["id"], "ok": True, "result": {}})

    line.reply = reply
    assert line.console.request("info") == {}


def test_a_device_that_only_now_starts_is_asked_again(line: Line) -> None:
    asked = []

    def reply(request: dict[str, object]) -> bytes:
        asked.append(request["id"])
        return frame({"id": request["id"], "ok": True, "result": {}}) if len(asked) == 2 else b""

    line.reply = reply
    assert line.console.request("info", repeat=True, timeout_s=20) == {}


def refusing(asked: list[object], times: int) -> Callable[[dict[str, object]], bytes]:
    """A device that has no memory for its first answers."""

    def reply(request: dict[str, object]) -> bytes:
        asked.append(request["id"])
        if len(asked) <= times:
            return frame({"id": request["id"], "ok": False, "error": "no memory", "hint": "Ask again."})
        return frame({"id": request["id"], "ok": True, "result": {}})

    return reply


@pytest.mark.parametrize("how", [{"repeat": True}, {"again": True}], ids=str)
def test_a_device_without_memory_at_this_moment_is_asked_again(line: Line, how: dict[str, bool]) -> None:
    asked: list[object] = []
    line.reply = refusing(asked, 2)
    assert line.console.request("info", timeout_s=20, **how) == {}
    assert len(asked) == 3


def test_what_takes_long_is_asked_once(line: Line) -> None:
    asked: list[object] = []
    line.reply = lambda request: asked.append(request["id"]) or b""
    with pytest.raises(DeviceError, match="does not answer"):
        line.console.request("selftest", timeout_s=1.5 * REPEAT_S, again=True)
    assert len(asked) == 1


def test_a_device_that_goes_on_without_memory_is_believed_in_the_end(line: Line) -> None:
    line.reply = refusing([], 1000)
    with pytest.raises(DeviceError, match="refuses 'info': no memory"):
        line.console.request("info", repeat=True, timeout_s=2.5 * REPEAT_S)


def test_what_may_change_something_is_not_asked_again(line: Line) -> None:
    asked: list[object] = []
    line.reply = refusing(asked, 1)
    with pytest.raises(DeviceError, match="refuses 'trigger': no memory"):
        line.console.request("trigger", timeout_s=20)
    assert len(asked) == 1


def test_a_refusal_is_told_in_the_devices_own_words(line: Line) -> None:
    line.reply = lambda request: frame({"id": request["id"], "ok": False, "error": "too late", "hint": "wait"})
    with pytest.raises(DeviceError, match=f"{line.path} refuses 'trigger': too late") as caught:
        line.console.request("trigger")
    assert (caught.value.hint, caught.value.exit_code) == ("wait", 4)


def test_silence_says_which_port_and_how_to_flash_it(line: Line) -> None:
    with pytest.raises(DeviceError, match=f"{line.path} does not answer 'info'") as caught:
        line.console.request("info", timeout_s=0.1)
    assert "ansim flash" in caught.value.hint


def test_a_request_longer_than_a_device_takes_is_not_sent(line: Line) -> None:
    with pytest.raises(BadInput, match="longer than 200 bytes"):
        line.console.request("config", {"set": {"name": "x" * 200}})


def test_a_line_that_is_cut_is_a_port_error(line: Line) -> None:
    line.reply = lambda _: None
    with pytest.raises(PortError, match="went away"):
        line.console.request("info")


def test_announcements_end_at_their_deadline(line: Line) -> None:
    assert list(line.console.announcements(Deadline(0.05))) == []
