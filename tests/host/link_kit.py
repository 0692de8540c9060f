"""The firmware's link on a virtual chip by itself: woken, connected, and asleep again, with what each of it took."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqtt_device import identity

from ansim.boards import load_board
from ansim.broker import Broker
from ansim.credentials import Authority
from ansim.home import Home
from ansim.image import build_firmware, filesystem_image
from ansim.nvs import Settings, nvs_image
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ
from chip_kit import NVS, VFS, Bench, flash_content

NETWORK = ("home", "a passphrase")
CHANNEL = 9

# What the loop does of it. An event is published as soon as the link takes one, and its ack ends the wake.
_PROGRAM = """
import select, time
from ansim_fw.hal.link import Link, STATE_NAMES
from ansim_fw.hal.settings import Identity, Settings
poller = select.poll()
link = Link(Identity(Settings()), poller)
seen = []
heard = []
def go(ends, limit_ms=60000):
    started = before = time.ticks_ms()
    while not ends():
        now = time.ticks_ms()
        if time.ticks_diff(now, started) > limit_ms:
            raise RuntimeError(seen)
        link.poll(time.ticks_diff(now, before))
        before = now
        heard.extend(link.commands)
        link.commands.clear()
        if not seen or seen[-1] != STATE_NAMES[link.state]:
            seen.append(STATE_NAMES[link.state])
        for _ in poller.ipoll(10):
            pass
def at(*states):
    return STATE_NAMES[link.state] in states
def wake(seq):
    payload = '{"v":1,"boot":3,"seq":%d,"type":"heartbeat","try":1,"data":{"interval_min":60}}' % seq
    link.connect()
    go(lambda: at("mqtt", "up", "off"))
    if not at("off"):
        link.publish(payload.encode())
    go(lambda: any([each["cmd"] == "ack" and each["seq"] == seq for each in heard]) or at("off"))
"""


@dataclass(frozen=True)
class Wake:
    """What one wake took, up to the ack of its event or the failure.

    Attributes:
        states: those of the link, in order; heard: the commands; fault: why it failed, empty if it did not.
        kept: what the link keeps for the next wake.
        channels, leases, names, connections, flights: channels listened on, addresses by DHCP, name servers asked,
            TCP connections, and flights sent on the last of these.
    """

    states: list[str]
    heard: list[dict[str, Any]]
    fault: str
    kept: bytes
    channels: int
    leases: int
    names: int
    connections: int
    flights: int


class LinkBench(Bench):
    """A chip with the firmware's modules and an identity, in reach of a network; nothing runs by itself."""

    def __init__(self, folder: Path, home: Home, port: int, networks: tuple[tuple[str, str], ...], speed: int) -> None:
        super().__init__(folder, _flash(home, port, networks), speed)
        self.chip.air.set_network(*NETWORK, channel=CHANNEL)
        self._seq = FIRST_HEARTBEAT_SEQ
        self.chip.power_on()
        self.sees(">>> ")
        self.raw_repl()
        self.run("import machine; machine.RTC().datetime((2026, 11, 1, 0, 0, 0, 0, 0))")

    def start(self, kept: bytes | None) -> None:
        """Let the chip sleep for a moment, and make a link; kept: what it kept, None: it keeps nothing, as a hub's."""
        self.chip.write(b"import machine; machine.deepsleep(10)\x04")
        self.sees(">>> ")
        self.raw_repl()
        self.run(_PROGRAM)
        if kept is not None:
            self.run(f"link.use_quick({kept!r})")

    def clock_s(self) -> int:
        """Return what time it is on the chip, in seconds."""
        return int(self.run("print(time.time())"))

    def wake(self, between: str = "") -> Wake:
        """Connect, send an event, and wait until it is acknowledged, or until the link fails.

        Args:
            between: a statement of the program that is carried out after connect().
        """
        air, station = self.chip.air, self.chip.services.station
        before = air.traffic.figures() | {"channels": station.scanned, "leases": station.leases}
        self._seq += 1
        self.run(f"seen.clear(); heard.clear(); {between or 'pass'}\nwake({self._seq})")
        states, heard, fault = json.loads(self.run("import json; print(json.dumps((seen, heard, link.fault)))"))
        figures = air.traffic.figures() | {"channels": station.scanned, "leases": station.leases}
        passed = {name: figures[name] - before[name] for name in figures}
        last = air.traffic.recent()[-1]["flights_out"] if passed["connections"] else 0
        return Wake(
            states=states,
            heard=heard,
            fault=fault,
            kept=self.kept(),
            channels=passed["channels"],
            leases=passed["leases"],
            names=passed["names"],
            connections=passed["connections"],
            flights=int(str(last)),
        )

    def kept(self) -> bytes:
        return bytes.fromhex(self.run("print(link.quick().hex())"))


@contextmanager
def link_bench(
    folder: Path, home: Home, broker: Broker, networks: tuple[tuple[str, str], ...] = (NETWORK,), speed: int = 1
) -> Iterator[LinkBench]:
    """Make a bench whose chip's time runs speed times faster than life."""
    with LinkBench(folder, home, broker.mqtt_port, networks, speed) as made:
        yield made


def _flash(home: Home, port: int, networks: tuple[tuple[str, str], ...]) -> bytes:
    board = load_board("virtual")
    who = identity()
    authority = Authority.load(home)
    settings = Settings(
        device=who.device,
        site=who.site,
        role="pendant",
        host="localhost",
        port=port,
        generation=1,
        heartbeat_min=60,
        spread_s=0,
        ca_der=authority.ca_der(),
        wifi=networks,
        jwt=authority.device_token(who),
    )
    flash = flash_content()
    nvs = nvs_image(settings, NVS[1])
    flash[NVS[0] : NVS[0] + len(nvs)] = nvs
    modules = {name: data for name, data in build_firmware(board, home).modules.items() if "/drivers/" not in name}
    for offset, data in filesystem_image(modules, VFS[1]):
        flash[VFS[0] + offset : VFS[0] + offset + len(data)] = data
    return bytes(flash)
