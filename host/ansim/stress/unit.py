"""One device under stress: its console, what it has announced, and what its place saw of it."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from ansim import console_key, flash_job
from ansim.client import Console, Deadline
from ansim.errors import DeviceError
from ansim.flash_job import Job, Prepared
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.places import Place
from ansim.serial_link import watching
from ansim.stress.clock import RunClock
from ansim.stress.oracle import KINDS, EventId
from ansim.stress.scenario import Settings
from ansim.virtual import ControlClient

_LISTEN_S = 0.05
# A device that has no firmware does not answer.
_ASK_S = 10.0
# A device comes back from whatever it was in this time of this machine, or it does not.
RECOVER_S = 60.0
_ASK_AGAIN_S = 0.1
# To wake from a deep sleep is a start of the chip, and none of the device.
_WAKE = "deep_sleep"
# A device's clock, in milliseconds since it started, begins again after twice as long.
_HALF_CLOCK_MS = 1 << 29


@dataclass
class Heard:
    """What a device has announced, in milliseconds of the run.

    Attributes:
        raised: its alarms, in order, with the moment in which it first told of each; kept, acknowledged: of those, when
            it said so.
        cancels: when it said that it cancelled.
        armed_ms: its starts; to wake is none. One that it was not heard to tell of is known by its clock, which begins
            anew, with the first that it says then.
    """

    raised: list[tuple[int, EventId]] = field(default_factory=list)
    kept: dict[EventId, int] = field(default_factory=dict)
    acknowledged: dict[EventId, int] = field(default_factory=dict)
    cancels: list[int] = field(default_factory=list)
    armed_ms: list[int] = field(default_factory=list)
    _last_ms: int = 0
    _armed_unheard: bool = False
    _woken: bool = False

    def take(self, said: dict[str, Any], now_ms: int) -> None:
        """Take in an announcement (docs/console.md)."""
        what = said["event"]
        # Of this one it is how long it may sleep.
        if what != "asleep":
            self._note_start(what, said["ms"], now_ms)
        if what == "cancelled":
            self.cancels.append(now_ms)
        elif said.get("kind") in KINDS:
            event_id = (int(said["boot"]), int(said["seq"]))
            # A device that has no memory for an announcement leaves it out, and what it says next tells as much.
            if what in ("raised", "prealarm", "journalled") and event_id not in {each for _, each in self.raised}:
                self.raised.append((now_ms, event_id))
            if what == "journalled":
                self.kept.setdefault(event_id, now_ms)
            elif what == "acknowledged":
                self.acknowledged.setdefault(event_id, now_ms)

    def _note_start(self, what: str, ms: int, now_ms: int) -> None:
        woken, armed = what == "awake", what == "armed"
        if woken or (armed and self._woken):
            self._woken, self._last_ms = woken, ms
            return
        anew = 0 < self._last_ms - ms < _HALF_CLOCK_MS
        if anew or (armed and not self._armed_unheard):
            self.armed_ms.append(now_ms)
        self._armed_unheard = not armed and (anew or self._armed_unheard)
        self._last_ms = ms

    def since(self, ms: int) -> list[EventId]:
        """Return the alarms that were raised since a moment."""
        return [event_id for at_ms, event_id in self.raised if at_ms >= ms]

    def forget(self) -> None:
        """Begin anew: what was heard is judged."""
        self.raised.clear()
        self.kept.clear()
        self.acknowledged.clear()
        self.cancels.clear()
        self.armed_ms.clear()
        self._armed_unheard = False


class Unit:
    """A device at a place. All but write() is for one thread.

    Attributes:
        name: the device's, once it is prepared; control: its place's stimulus.
        starts: each reset that its place saw: when, and its cause; empty where a place sees none.
    """

    def __init__(self, place: Place, home: Home, clock: RunClock, speed: int) -> None:
        self.place = place
        # All of ControlClient may be called from any thread; of another stimulus nobody says so.
        stimulus: object = place.stimulus
        self.control = cast(ControlClient, stimulus if isinstance(stimulus, ControlClient) else _OneAtATime(stimulus))
        self.speed = speed
        self.clock = clock
        self.name = ""
        self.heard = Heard()
        self.starts: list[tuple[int, str]] = []
        self._home = home
        self._link: Any = None
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        assert self._console, "it is prepared first"
        return self._console

    def prepare(self, prepared: Prepared, settings: Settings) -> None:
        """Flash and provision it, set it, and wait until it is on line.

        Raises:
            AnsimError: it did not come so far; or it holds events and is no test's: it may be somebody's.
        """
        ours = bool(self.place.lacks("boards")) and is_from_a_test(self.place, self._home)
        job = Job(self._home, self.place.url, self.place.board_file, discard_pending=ours)
        self.name = flash_job.flash(job, lambda *_: None, prepared).device
        self._link = self.place.open_port(self._home)
        self._console = Console(self._link, self.place.url)
        self.come_to_rest()
        console_key.change(self.console, self._home, "config", {"set": vars(settings)})
        self.come_to_rest()
        if not self.place.lacks("watch"):
            self._watch()

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
        self.place.close()

    def write(self, data: bytes) -> None:
        """Write bytes to its serial port; from any thread.

        Raises:
            PortGone: the port went away.
        """
        with watching(self.place.url):
            self._link.write(data)

    def real_s(self, device_ms: int) -> float:
        """Return how long so much of the device's time takes, in seconds of this machine."""
        return device_ms / 1000 / self.speed

    def listen(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Take in what it announces until something holds; tell whether it does."""
        deadline = Deadline(timeout_s)
        while not until():
            if deadline.expired:
                return False
            wait = Deadline(min(_LISTEN_S, deadline.remaining_s))
            for said in self.console.announcements(wait):
                self.heard.take(said, self.clock.now_ms())
                if until():
                    return True
        return True

    def pause(self, device_ms: int) -> None:
        """Let so much of the device's time pass, and listen meanwhile."""
        self.listen(lambda: False, self.real_s(device_ms))

    def info(self) -> dict[str, Any]:
        return self.console.request("info", repeat=True, timeout_s=RECOVER_S)

    def come_to_rest(self, sensor: bool = False) -> dict[str, Any]:
        """Wait until it is on line and nothing waits, and return its info.

        Args:
            sensor: it has to trust its motion sensor, too.

        Raises:
            DeviceError: it does not come so far.
        """
        deadline = Deadline(RECOVER_S)
        while True:
            info = self.info()
            trusts = not sensor or info["fall"]["state"] == "ok"
            if info["link"] == "up" and info["pending"] == 0 and trusts:
                return info
            if deadline.expired:
                state = f"link {info['link']} {info['link_fault']}".rstrip() + f", sensor {info['fall']['state']}"
                raise DeviceError(f"after {RECOVER_S:g} s {info['pending']} events wait, {state}")
            self.listen(lambda: False, _ASK_AGAIN_S)

    def level(self) -> dict[str, Any]:
        """Return its info, with what its self-test says is free once garbage is collected as ``heap_free``."""
        phases = self.console.request("selftest", repeat=True, timeout_s=RECOVER_S)["phases"]
        free = next(int(phase["value"]) for phase in phases if phase["name"] == "heap")
        return self.info() | {"heap_free": free}

    def _watch(self) -> None:
        ready = threading.Event()

        def watch() -> None:
            # It ends with the board.
            with contextlib.suppress(DeviceError), self.control.watch() as seen:
                ready.set()
                for each in seen:
                    if each.event == "reset" and each.details["cause"] != _WAKE:
                        self.starts.append((self.clock.of_monotonic(each.ms), str(each.details["cause"])))

        threading.Thread(target=watch, name=f"watch {self.name}", daemon=True).start()
        if not ready.wait(RECOVER_S):
            raise DeviceError(f"the place of {self.name} does not tell what it sees")


def is_from_a_test(place: Place, home: Home) -> bool:
    """Tell whether a run before has left its identity on the device there; its receiver is gone for ever.

    Any other device keeps the events that nobody has acknowledged.
    """
    with contextlib.closing(place.open_port(home)) as link:
        try:
            info = Console(link, place.url).request("info", repeat=True, timeout_s=_ASK_S)
        except DeviceError:
            return False
    return bool(info.get("site") == Fleet.load(home).site)


class _OneAtATime:
    """A stimulus of which one method at a time is called, whoever calls: a fault waits until the button is up."""

    def __init__(self, stimulus: object) -> None:
        self._stimulus = stimulus
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stimulus, name)

        def call(*given: Any, **named: Any) -> Any:
            with self._lock:
                return method(*given, **named)

        return call
