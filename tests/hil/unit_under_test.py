"""A device as its technician, its wearer and its receiver meet it."""

import time
from collections.abc import Callable
from typing import Any

from asked import ASKED, CheckedStimulus

from ansim import console_key, flash_job
from ansim.boards import load_board
from ansim.client import Console, Deadline
from ansim.credentials import Authority
from ansim.event import Event
from ansim.flash_job import Job
from ansim.flasher import Flasher, Task
from ansim.fleet import Fleet
from ansim.nats_jwt import public_part
from ansim.nvs import Settings, nvs_image
from ansim.payload import Part, packed
from ansim.places import Place
from ansim.places.virtual import VirtualPlace
from ansim.registry import Registry
from ansim.sandbox import Heard, Sandbox
from ansim.serial_link import OpenPort
from ansim.stress.unit import is_from_a_test
from ansim.virtual import VirtualBoard

BOARD = "virtual"
PATIENCE_S = 30.0
_FINGER_S = 0.1
# What a device announces only where it reaches its receiver.
_OF_THE_LINK = ("sent", "acknowledged")


class UnitUnderTest:
    """A device with the firmware on it, at a place.

    Attributes:
        place: where it is; url: its serial port.
        control: what can be done to it there, as far as the test asked for it.
        name: the device's, once it is flashed.
        console: behind its serial port, while that is open.
    """

    def __init__(self, sandbox: Sandbox, place: Place) -> None:
        self.sandbox = sandbox
        self.place = place
        self.url = place.url
        self.control = CheckedStimulus(place.stimulus)
        self.name = ""
        self._link: Any = None
        self.console: Console = None  # type: ignore[assignment]  # there is one once it is connected

    @classmethod
    def on(cls, sandbox: Sandbox, board: VirtualBoard, board_file: str = BOARD) -> "UnitUnderTest":
        """Return a virtual board as one; board_file is its name or path."""
        return cls(sandbox, VirtualPlace(sandbox, board, board_file))

    @property
    def board(self) -> VirtualBoard:
        """The virtual board that it is; for tests that start boards."""
        ASKED.use("boards")
        assert isinstance(self.place, VirtualPlace)
        return self.place.board

    # The technician

    def flash(self) -> None:
        """Flash and provision in one session; what waits in it from another test is lost."""
        ASKED.use("flash")
        discard = not self.has("boards") and is_from_a_test(self.place, self.sandbox.home)
        job = Job(self.sandbox.home, self.url, self.place.board_file, discard_pending=discard)
        self.name = flash_job.flash(job, lambda *_: None).device

    def write_identity(self, **changes: Any) -> None:
        """Write an identity as provisioning does, with some of nvs.Settings changed."""
        fleet = Fleet.load(self.sandbox.home)
        authority = Authority.load(self.sandbox.home)
        with Registry.open(self.sandbox.home.database_url) as registry:
            identity = registry.get(self.name)
            token = authority.device_token(identity)
            generation = registry.issue(self.name, public_part(token))
        settings: dict[str, Any] = {
            "device": identity.device,
            "site": identity.site,
            "role": identity.role,
            "host": fleet.host,
            "port": fleet.port,
            "generation": generation,
            "heartbeat_min": fleet.heartbeat_min,
            "spread_s": fleet.spread_s,
            "ca_der": authority.ca_der(),
            "wifi": tuple((network.ssid, network.passphrase) for network in fleet.wifi),
            "jwt": token,
            "console_key": console_key.device_key(console_key.load(self.sandbox.home), identity.mac),
        }
        nvs = load_board(self.place.board_file).partitions.nvs
        self._write(Part("identity", [(nvs.offset, nvs_image(Settings(**(settings | changes)), nvs.size))]))

    def erase_identity(self) -> None:
        """Make it a device that was never provisioned."""
        nvs = load_board(self.place.board_file).partitions.nvs
        self._write(Part("identity", [(nvs.offset, b"\xff" * nvs.size)]))

    def _write(self, part: Part) -> None:
        ASKED.use("flash")
        self.disconnect()
        with OpenPort(self.url, self.sandbox.home) as port:
            Flasher(port, load_board(self.place.board_file), lambda *_: None).run(Task([packed(part)]))

    def connect(self) -> None:
        """Open the serial port."""
        self.disconnect()
        self._link = self.place.open_port(self.sandbox.home)
        self.console = Console(self._link, self.url)

    def disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        """Close the port, and the place with it."""
        self.disconnect()
        self.place.close()

    def write(self, data: bytes) -> None:
        """Write bytes to the serial port."""
        self._link.write(data)

    def info(self) -> dict[str, Any]:
        return self.console.request("info", repeat=True, timeout_s=PATIENCE_S)

    def configure(self, **settings: int) -> None:
        console_key.change(self.console, self.sandbox.home, "config", {"set": settings})

    def start_afresh(self) -> None:
        """Put the world and the device back to where a test starts: all is well, nothing waits.

        Done as far as its place can: what nobody can change there is as it was.
        """
        if self.has("radio"):
            self.place.stimulus.wifi(True)
        if self.has("press"):
            self.place.stimulus.button(False)
        if self.has("battery"):
            self.place.stimulus.battery(3900)
        self.disconnect()
        self.restart()
        self.connect()
        self.until_ready()

    def has(self, capability: str) -> bool:
        return not self.place.lacks(capability)

    def restart(self) -> None:
        """Let it start anew, by whatever way there is at its place."""
        if self.has("power"):
            self.place.stimulus.power(False)
            self.place.stimulus.power(True)
        else:
            self.place.stimulus.reset()

    def until_ready(self) -> dict[str, Any]:
        """Wait until it is connected, or where there is no network for it until it answers."""
        with ASKED.only(None):
            return self.until_connected() if self.has("wifi") else self.info()

    def until_connected(self) -> dict[str, Any]:
        ASKED.use("wifi")
        return self.until(lambda info: info["link"] == "up" and info["pending"] == 0, "connected")

    def until(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the device's info is as wanted, and return it."""
        deadline = Deadline(PATIENCE_S)
        while not wanted(info := self.info()):
            assert not deadline.expired, f"not {what} in {PATIENCE_S:g} s: {info}"
            time.sleep(0.02)
        return info

    def announced(self, event: str, **members: Any) -> dict[str, Any]:
        """Wait until the device announces an event with these members, and return it."""
        if event in _OF_THE_LINK:
            ASKED.use("wifi")
        heard = []
        for said in self.console.announcements(Deadline(PATIENCE_S)):
            heard.append(said)
            if said["event"] == event and all(said.get(name) == value for name, value in members.items()):
                return said
        raise AssertionError(f"no '{event}' {members} in {PATIENCE_S:g} s; heard {heard[-20:]}")

    # The wearer

    def press(self, hold_ms: int = 100) -> None:
        """Press the button and take the finger off it: no finger is back in less time than that."""
        self.control.press(hold_ms)
        time.sleep(_FINGER_S)

    def enter_safe_mode(self) -> None:
        """Hold the button from power-on, wait until the alarm that this raises is through, and close the port."""
        self.control.power(False)
        self.control.button(True)
        self.control.power(True)
        self.announced("safe")
        self.control.button(False)
        self.until_connected()
        self.disconnect()

    # The receiver

    def receives(self, wanted: Callable[[Event], bool], what: str) -> Heard:
        """Wait until the receiver has an event of this device."""
        ASKED.use("wifi")
        found = self.sandbox.receiver.wait_for(lambda event: event.device == self.name and wanted(event), PATIENCE_S)
        assert found is not None, f"the receiver has no {what} of {self.name} after {PATIENCE_S:g} s"
        return found

    def rows(self, kind: str) -> list[Event]:
        """Return the receiver's new events of this device of one kind, in order, each id once or the test fails."""
        events = [heard.event for heard in self.sandbox.receiver.heard() if heard.new]
        mine = [event for event in events if event.device == self.name and event.kind == kind]
        assert len({event.id for event in mine}) == len(mine)
        return mine
