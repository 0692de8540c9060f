"""A device's console (docs/console.md) from the host's side: requests, answers, announcements."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import serial

from ansim.errors import BadInput, DeviceError
from ansim.serial_link import watching
from ansim_fw.core import json_seq

MAX_ANSWER_BYTES = 4096
MAX_KEPT_ANNOUNCEMENTS = 256
ANSWER_S = 5.0
REPEAT_S = 1.0
# What a device says that watches a movement or connects at this moment, and has the memory again in a few seconds.
_FOR_NOW = "no memory"


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
    """The console behind an open port; name is the port's, for messages.

    Attributes:
        who: what is there, for messages; silence_hint: what to try when it does not answer.
    """

    who = "device"
    silence_hint = "Is it flashed and switched on? A device in the REPL answers after a reset. To flash it: ansim flash"

    def __init__(self, link: serial.SerialBase, name: str) -> None:
        self.name = name
        self._link = link
        self._reader = SequenceReader()
        self._last_id = 0
        self._announcements: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT_ANNOUNCEMENTS)

    def request(
        self,
        cmd: str,
        members: dict[str, Any] | None = None,
        *,
        timeout_s: float = ANSWER_S,
        repeat: bool = False,
        again: bool = False,
        seal: Callable[[bytes], bytes] = bytes,
    ) -> dict[str, Any]:
        """Send a request and return the result in its answer.

        Args:
            repeat: ask again every second, as a device that is just starting hears nothing; only for requests that
                change nothing and are quick.
            again: ask again if it has no memory at this moment, as with repeat; only for requests that change nothing.
            seal: makes of the request what is sent, see console_key.py.

        Raises:
            BadInput: the request is longer than a device takes.
            DeviceError: it refuses, or gives no answer in time.
            PortError: the port went away.
        """
        self._last_id += 1
        plain = json.dumps({"id": self._last_id, "cmd": cmd, **(members or {})}, separators=(",", ":"))
        text = seal(plain.encode()).decode()
        if len(text.encode()) > json_seq.MAX_REQUEST:
            raise BadInput(f"the request {cmd} is longer than {json_seq.MAX_REQUEST} bytes", "Ask for less at once.")
        deadline = Deadline(timeout_s)
        refused: dict[str, Any] | None = None
        while not deadline.expired:
            self._send(text)
            answer = self._answer(Deadline(min(REPEAT_S, deadline.remaining_s)) if repeat else deadline)
            if answer and not ((repeat or again) and answer.get("error") == _FOR_NOW):
                return self._result(cmd, answer)
            if answer:
                refused = answer
                self._let_pass(Deadline(min(REPEAT_S, deadline.remaining_s)))
        if refused:
            return self._result(cmd, refused)
        raise DeviceError(f"the {self.who} on {self.name} does not answer '{cmd}' ({timeout_s:g} s)", self.silence_hint)

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

    def _let_pass(self, deadline: Deadline) -> None:
        while self._answer(deadline):
            pass

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
        raise DeviceError(f"the {self.who} on {self.name} refuses '{cmd}': {said}", str(answer.get("hint", ""))[:200])
