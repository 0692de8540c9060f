"""A device as its technician, its wearer and its receiver meet it."""

import time
from collections.abc import Callable
from typing import Any

from ansim import flash_job
from ansim.boards import load_board
from ansim.client import Console, Deadline
from ansim.credentials import Authority
from ansim.event import Event
from ansim.flash_job import Job
from ansim.flasher import Flasher, Part
from ansim.fleet import Fleet
from ansim.nvs import Settings, nvs_image
from ansim.registry import Registry
from ansim.sandbox import Heard, Sandbox
from ansim.serial_link import open_port
from ansim.virtual import VirtualBoard

BOARD = "virtual"
PATIENCE_S = 30.0
_FINGER_S = 0.1


class UnitUnderTest:
    """One virtual board with the firmware on it."""

    def __init__(self, sandbox: Sandbox, board: VirtualBoard) -> None:
        self.sandbox = sandbox
        self.board = board
        self.control = board.control
        self.name = ""
        self._link: Any = None
        self.console: Console = None  # type: ignore[assignment]  # there is one once it is connected

    # The technician

    def flash(self) -> None:
        """Flash and provision in one session."""
        self.name = flash_job.flash(Job(self.sandbox.home, self.board.url, BOARD), lambda *_: None).device

    def write_identity(self, **changes: Any) -> None:
        """Write an identity as provisioning does, with some of nvs.Settings changed."""
        fleet = Fleet.load(self.sandbox.home)
        authority = Authority.load(self.sandbox.home)
        with Registry.open(self.sandbox.home.database_url) as registry:
            identity = next(each for each in registry.devices() if each.device == self.name)
            generation = registry.next_generation(self.name)
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
            "jwt": authority.device_token(identity),
        }
        board = load_board(BOARD)
        nvs = board.partitions.nvs
        part = Part("identity", [(nvs.offset, nvs_image(Settings(**(settings | changes)), nvs.size))])
        self.disconnect()
        with open_port(self.board.url, self.sandbox.home) as link:
            Flasher(link, self.board.url, board, lambda *_: None).run([part], lambda _mac: [], lambda _read: None)

    def connect(self) -> None:
        """Open the serial port."""
        self.disconnect()
        self._link = open_port(self.board.url, self.sandbox.home)
        self.console = Console(self._link, self.board.url)

    def disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        self.disconnect()

    def write(self, data: bytes) -> None:
        """Write bytes to the serial port."""
        self._link.write(data)

    def info(self) -> dict[str, Any]:
        return self.console.request("info", repeat=True, timeout_s=PATIENCE_S)

    def configure(self, **settings: int) -> None:
        self.console.request("config", {"set": settings})

    def start_afresh(self) -> None:
        """Put the world and the device back to where a test starts: all is well, nothing waits."""
        self.control.wifi(True)
        self.control.button(False)
        self.control.battery(3900)
        self.control.power(False)
        self.control.power(True)
        self.connect()
        self.until_connected()

    def until_connected(self) -> dict[str, Any]:
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
        found = self.sandbox.receiver.wait_for(lambda event: event.device == self.name and wanted(event), PATIENCE_S)
        assert found is not None, f"the receiver has no {what} of {self.name} after {PATIENCE_S:g} s"
        return found

    def rows(self, kind: str) -> list[Event]:
        """Return the receiver's new events of this device of one kind, in order, each id once or the test fails."""
        events = [heard.event for heard in self.sandbox.receiver.heard() if heard.new]
        mine = [event for event in events if event.device == self.name and event.kind == kind]
        assert len({event.id for event in mine}) == len(mine)
        return mine
