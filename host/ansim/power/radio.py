"""A radio in virtual time: how long a contact takes on a board's bench, and what comes back over it."""

from typing import Any

from ansim.power.model import Bench
from ansim_fw.core import link_watch
from ansim_fw.core.event import Event

# How "send" is shared out: until the broker has answered, from then until the receiver has, and the switching off.
_UP_SHARE, _ACK_SHARE, _OFF_SHARE = 0.3, 0.45, 0.25
NEVER_MS = 1 << 40


class Radio:
    """Reaches a receiver that is well, every time.

    Attributes:
        on: powered; off_ms: how long switching off takes.
        contacts: how often it was switched on.
    """

    def __init__(self, bench: Bench) -> None:
        self.on = False
        self.contacts = 0
        self.off_ms = round(bench.ms["send"] * _OFF_SHARE)
        self._open_after_ms = round(bench.ms["join"] + bench.ms["handshake"])
        self._up_after_ms = self._open_after_ms + round(bench.ms["send"] * _UP_SHARE)
        self._ack_after_ms = round(bench.ms["send"] * _ACK_SHARE)
        self._since_ms = 0
        self._answers: list[tuple[int, dict[str, Any]]] = []

    def connect(self, now_ms: int) -> None:
        if not self.on:
            self.on = True
            self.contacts += 1
            self._since_ms = now_ms

    def switch_off(self) -> None:
        self.on = False
        self._answers.clear()

    def status(self, now_ms: int) -> int:
        """Return what core/link_watch.py calls it."""
        if not self.on:
            return link_watch.DOWN
        up_ms = now_ms - self._since_ms
        if up_ms >= self._up_after_ms:
            return link_watch.UP
        return link_watch.OPEN if up_ms >= self._open_after_ms else link_watch.BUSY

    def publish(self, event: Event, now_ms: int) -> None:
        """Take an event; the receiver's ack is on its way."""
        answer = {"cmd": "ack", "boot": event.boot, "seq": event.seq}
        self._answers.append((max(now_ms, self._since_ms + self._up_after_ms) + self._ack_after_ms, answer))

    def heard(self, now_ms: int) -> list[dict[str, Any]]:
        """Return commands that have come since."""
        arrived = [answer for at_ms, answer in self._answers if at_ms <= now_ms]
        self._answers = [each for each in self._answers if each[0] > now_ms]
        return arrived

    def next_ms(self, now_ms: int) -> int:
        """Return how long nothing changes here."""
        moments = [at_ms for at_ms, _ in self._answers]
        if self.on:
            moments += [self._since_ms + self._open_after_ms, self._since_ms + self._up_after_ms]
        return min((at_ms - now_ms for at_ms in moments if at_ms > now_ms), default=NEVER_MS)
