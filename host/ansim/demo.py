"""The whole way once, from nothing, on a virtual board: what happened when."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansim import flash_job
from ansim.client import Console, Deadline
from ansim.errors import DeviceError
from ansim.flash_job import Job, Outcome
from ansim.flasher import Progress
from ansim.sandbox import Sandbox
from ansim.serial_link import open_port
from ansim.virtual import Seen, VirtualBoard

BOARD = "virtual"
CONNECT_S = 30.0
ACKNOWLEDGE_S = 30.0
_HOLD_MS = 150
_STEADY_MS = 1000


@dataclass(frozen=True)
class Moment:
    """Something that happened; ``ms`` is time.monotonic() in milliseconds."""

    ms: float
    text: str


@dataclass
class Timeline:
    """What happened, from nothing to the light on the device."""

    start_ms: float
    setup: list[Moment] = field(default_factory=list)
    alarm: list[Moment] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Add what is now done to the setting up."""
        self.setup.append(Moment(_now_ms(), text))

    @property
    def press_to_acknowledged_ms(self) -> float:
        """From the button going down to the device knowing that the receiver has it."""
        found = {moment.text: moment.ms for moment in self.alarm}
        return found[_ACKNOWLEDGED] - found[_PRESSED]


_PRESSED = "the button goes down"
_COMMITTED = "the receiver has it in its database, and acknowledges"
_ACKNOWLEDGED = "the device knows"
_SHOWN = "the device shows it: long light, tone and vibration"

# Announcements, each with the moment when it came.
Said = list[tuple[float, dict[str, Any]]]

# What the device announces on its console, in the words of the timeline.
_ANNOUNCED = {
    "raised": "the device raises the alarm",
    "journalled": "it is on the device's flash",
    "sent": "it is sent",
    "acknowledged": _ACKNOWLEDGED,
}


def run(folder: Path, on_progress: Progress) -> Timeline:
    """Make a fleet in folder, flash and provision a virtual board, press its button, and follow the alarm.

    Raises:
        AnsimError: something on the way failed; DeviceError when the acknowledgement did not come back.
    """
    timeline = Timeline(_now_ms())
    on_progress("starting broker and receiver", 0, 1)
    with Sandbox(folder) as sandbox:
        timeline.note("fleet made: keys, certificates; broker (nats-server, TLS) and receiver are up")
        board = sandbox.start_board()
        timeline.note(f"virtual board switched on: {board.chip}, MAC {board.mac}, flash empty")
        outcome = flash_job.flash(Job(sandbox.home, board.url, BOARD), on_progress)
        timeline.note(_flashed(outcome))
        with open_port(board.url, sandbox.home) as link, _watching(board) as seen:
            console = Console(link, board.url)
            on_progress("connecting", 0, 1)
            _await_link(console)
            timeline.note("the device is armed and connected: Wi-Fi, TLS, MQTT with its own token")
            on_progress("pressing the button", 0, 1)
            timeline.alarm = _press(sandbox, board, console, seen)
    return timeline


def _press(sandbox: Sandbox, board: VirtualBoard, console: Console, seen: list[Seen]) -> list[Moment]:
    pressing = threading.Thread(target=board.control.press, args=(_HOLD_MS,))
    pressing.start()
    said, alarm_id = _follow(console)
    pressing.join()
    heard = sandbox.receiver.wait_for(lambda event: (event.boot, event.seq) == alarm_id, ACKNOWLEDGE_S)
    if heard is None:
        raise DeviceError("the receiver never had the alarm", "This is a defect: please report it.")
    moments = _on_our_clock(said, alarm_id, heard.ms)
    acknowledged_ms = max(moment.ms for moment in moments)
    moments.append(Moment(heard.ms, _COMMITTED))
    moments.append(Moment(_button_down_ms(seen), _PRESSED))
    moments.append(Moment(_shown_ms(seen, acknowledged_ms), _SHOWN))
    return sorted(moments, key=lambda moment: moment.ms)


def _follow(console: Console) -> tuple[Said, tuple[int, int]]:
    """Return what the device announces up to the acknowledgement of its alarm, and the alarm's id."""
    said: Said = []
    alarm_id: tuple[int, int] | None = None
    for announced in console.announcements(Deadline(ACKNOWLEDGE_S)):
        said.append((_now_ms(), announced))
        if announced["event"] == "raised" and announced.get("kind") == "sos":
            alarm_id = (announced["boot"], announced["seq"])
        if announced["event"] == "acknowledged" and (announced["boot"], announced["seq"]) == alarm_id:
            return said, alarm_id
    raise DeviceError(
        f"no acknowledgement came back to the device in {ACKNOWLEDGE_S:g} s",
        "Run it again with --keep and read the logs.",
    )


def _on_our_clock(said: Said, alarm_id: tuple[int, int], committed_ms: float) -> list[Moment]:
    """Return the moments of one alarm on this machine's clock.

    An announcement carries the device's own time and comes a little later: the quickest tells how the clocks differ.
    So does the receiver, which can't have the alarm before it was sent.
    """
    mine = [announced for _, announced in said if (announced.get("boot"), announced.get("seq")) == alarm_id]
    sent_ms = next(announced["ms"] for announced in mine if announced["event"] == "sent")
    offset_ms = min(came_ms - announced["ms"] for came_ms, announced in [*said, (committed_ms, {"ms": sent_ms})])
    return [
        Moment(announced["ms"] + offset_ms, _ANNOUNCED[announced["event"]])
        for announced in mine
        if announced["event"] in _ANNOUNCED
    ]


def _await_link(console: Console) -> None:
    deadline = Deadline(CONNECT_S)
    info: dict[str, Any] = {}
    while not deadline.expired:
        info = console.request("info", repeat=True)
        if info["link"] == "up" and info["pending"] == 0:
            return
        next(console.announcements(Deadline(0.2)), None)
    raise DeviceError(
        f"the device did not connect in {CONNECT_S:g} s: {info.get('link_fault') or info.get('link')}",
        "Run it again with --keep and read the logs.",
    )


@contextmanager
def _watching(board: VirtualBoard) -> Iterator[list[Seen]]:
    """Collect what is seen of the board from outside, while the context lasts."""
    seen: list[Seen] = []
    ending = threading.Event()
    ready = threading.Event()

    def collect() -> None:
        while not ending.is_set():
            with board.control.watch(timeout_s=0.2) as events:
                ready.set()
                for event in events:
                    seen.append(event)
                    if ending.is_set():
                        return

    thread = threading.Thread(target=collect)
    thread.start()
    ready.wait(5)
    try:
        yield seen
    finally:
        ending.set()
        thread.join()


def _button_down_ms(seen: list[Seen]) -> float:
    return next(float(event.ms) for event in seen if event.event == "button" and event.details["down"])


def _shown_ms(seen: list[Seen], acknowledged_ms: float) -> float:
    """Wait for the pattern that says acknowledged, all outputs on for two seconds, and return when it began.

    The pattern before it (raised) changes four times a second, so what stays on is the new one.
    """
    deadline = Deadline(ACKNOWLEDGE_S)
    while not deadline.expired:
        changes = [event for event in list(seen) if event.event == "pin" and event.ms >= acknowledged_ms]
        until_ms = [*[float(event.ms) for event in changes[1:]], _now_ms()]
        for change, next_ms in zip(changes, until_ms, strict=False):
            if change.details["value"] == 1 and next_ms - change.ms >= _STEADY_MS:
                return float(change.ms)
        time.sleep(0.01)
    raise DeviceError("the device shows nothing after the acknowledgement", "This is a defect: please report it.")


def _flashed(outcome: Outcome) -> str:
    report = outcome.report
    return (
        f"flashed and provisioned in one session: {outcome.device}, {sum(report.written.values()):,} bytes,"
        f" {report.wire_bytes:,} on the wire; build {outcome.info['build']}"
    )


def _now_ms() -> float:
    return time.monotonic() * 1000
