"""A device's console (docs/console.md) from the host's side: requests, answers, announcements."""

import json
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import serial

from ansim.errors import BadInput, DeviceError
from ansim.serial_link import watching
from ansim_fw.core import json_seq

MAX_ANSWER_BYTES = 4096
MAX_KEPT_ANNOUNCEMENTS = 256
ANSWER_S = 5.0
REPEAT_S = 1.0


class Deadline:
    """A moment in the future."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._at - time.monotonic())

    @property
    def expired(self) -> bool:
        return self.remaining_s == 0.0


class SequenceReader:
    """Finds the JSON objects of an RFC 7464 sequence in a stream that also carries boot logs and noise.

    Holds at most MAX_ANSWER_BYTES; what is longer, broken, or no object is dropped.
    """

    def __init__(self) -> None:
        self._text: bytearray | None = None

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes and return the objects that they complete."""
        found = []
        for number, piece in enumerate(data.split(b"\x1e")):
            if number:
                self._text = bytearray()
            if self._text is None:
                continue
            text, ended, _ = piece.partition(b"\n")
            self._text += text
            if ended:
                found += _objects(bytes(self._text))
            if ended or len(self._text) > MAX_ANSWER_BYTES:
                self._text = None
        return found


def _objects(text: bytes) -> list[dict[str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [value] if isinstance(value, dict) else []


class Console:
    """The console behind an open port; name is the port's, for messages."""

    def __init__(self, link: serial.SerialBase, name: str) -> None:
        self.name = name
        self._link = link
        self._reader = SequenceReader()
        self._last_id = 0
        self._announcements: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT_ANNOUNCEMENTS)

    def request(
        self, cmd: str, members: dict[str, Any] | None = None, *, timeout_s: float = ANSWER_S, repeat: bool = False
    ) -> dict[str, Any]:
        """Send a request and return the result in its answer.

        Args:
            repeat: ask again every second, as a device that is just starting hears nothing; only for requests that
                change nothing.

        Raises:
            BadInput: the request is longer than a device takes.
            DeviceError: it refuses, or gives no answer in time.
            PortError: the port went away.
        """
        self._last_id += 1
        text = json.dumps({"id": self._last_id, "cmd": cmd, **(members or {})}, separators=(",", ":"))
        if len(text.encode()) > json_seq.MAX_REQUEST:
            raise BadInput(f"the request {cmd} is longer than {json_seq.MAX_REQUEST} bytes", "Ask for less at once.")
        deadline = Deadline(timeout_s)
        while not deadline.expired:
            self._send(text)
            wait = Deadline(min(REPEAT_S, deadline.remaining_s)) if repeat else deadline
            if answer := self._answer(wait):
                return self._result(cmd, answer)
        raise DeviceError(
            f"the device on {self.name} does not answer '{cmd}' ({timeout_s:g} s)",
            "Is it flashed and switched on? A device in the REPL answers after a reset. To flash it: ansim flash",
        )

    def announcements(self, deadline: Deadline | None = None) -> Iterator[dict[str, Any]]:
        """What the device says unasked, as it comes, until deadline (without one: for ever).

        Raises:
            PortError: the port went away.
        """
        while not (deadline and deadline.expired):
            while self._announcements:
                yield self._announcements.popleft()
            for message in self._receive():
                self._keep(message)

    def _send(self, text: str) -> None:
        with watching(self.name):
            self._link.write(json_seq.frame(text))
            self._link.flush()

    def _receive(self) -> list[dict[str, Any]]:
        with watching(self.name):
            return self._reader.feed(self._link.read(min(max(1, self._link.in_waiting), MAX_ANSWER_BYTES)))

    def _answer(self, deadline: Deadline) -> dict[str, Any] | None:
        while not deadline.expired:
            answers = [message for message in self._receive() if not self._keep(message)]
            for answer in answers:
                if answer.get("id") == self._last_id:
                    return answer
        return None

    def _keep(self, message: dict[str, Any]) -> bool:
        """Keep message if it is an announcement."""
        if isinstance(message.get("event"), str):
            self._announcements.append(message)
            return True
        return False

    def _result(self, cmd: str, answer: dict[str, Any]) -> dict[str, Any]:
        result = answer.get("result")
        if answer.get("ok") is True and isinstance(result, dict):
            return result
        said = str(answer.get("error", "an answer without a result"))[:200]
        raise DeviceError(f"the device on {self.name} refuses '{cmd}': {said}", str(answer.get("hint", ""))[:200])
