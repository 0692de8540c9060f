"""What the console does when an answer finds no memory on its way out."""

import sys
from types import ModuleType

import pytest

from ansim_fw import answers
from ansim_fw.core import json_seq

ANSWER = {"id": 7, "ok": True, "result": {}}


class ShortOfMemory:
    """A console, a device and its requests in one, whose first answers find no memory."""

    def __init__(self, failures: int) -> None:
        self.happened: list[str] = []
        self._failures = failures
        self.reader = self

    def text(self) -> bytes:
        return b"{}"

    def answer(self, _text: bytes, _duty: object) -> dict[str, object]:
        self.happened.append("done")
        return dict(ANSWER)

    def make_room(self) -> None:
        self.happened.append("room")

    def attend(self) -> None:
        pass

    def write(self, message: dict[str, object]) -> None:
        assert "ansim_fw.requests" not in sys.modules, "what answered gives its memory back first"
        if self._failures:
            self._failures -= 1
            raise MemoryError
        assert message == ANSWER
        self.happened.append("told")


def serve(short: ShortOfMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = ModuleType("ansim_fw.requests")
    requests.answer = short.answer  # type: ignore[attr-defined]  # it is made up here
    monkeypatch.setitem(sys.modules, "ansim_fw.requests", requests)
    answers.serve(short, short, json_seq.TEXT)  # type: ignore[arg-type]  # has what it asks of both


def test_an_answer_that_finds_no_memory_is_told_all_the_same_and_its_request_done_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = ShortOfMemory(failures=1)
    serve(short, monkeypatch)
    assert short.happened == ["done", "room", "told"]


def test_who_finds_none_again_is_the_loop_s_business(monkeypatch: pytest.MonkeyPatch) -> None:
    short = ShortOfMemory(failures=2)
    with pytest.raises(MemoryError):
        serve(short, monkeypatch)
    assert short.happened == ["done", "room"]
