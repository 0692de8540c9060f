"""Giving a device its identity: MAC, registry, credentials, and the part of flash that holds them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from ansim.boards import Board
from ansim.credentials import Authority
from ansim.errors import BadInput
from ansim.flasher import FLASH_BAUD, Part
from ansim.fleet import Fleet, WifiNetwork
from ansim.home import Home
from ansim.nats_jwt import public_part
from ansim.nvs import Settings, nvs_image
from ansim.passphrase import WIFI_HELP, ask_network
from ansim.registry import ROLES, Identity, Registry, checked_name


@dataclass(frozen=True)
class Wishes:
    """What the technician wants for this device; None: what the device has already, else the fleet's."""

    site: str | None = None
    role: str | None = None
    network: WifiNetwork | None = None

    @property
    def any(self) -> bool:
        return self != Wishes()


def wished_network(ssid: str | None) -> WifiNetwork | None:
    """The network that --wifi-ssid names, with its passphrase; None without the option."""
    return None if ssid is None else ask_network(ssid)


_OPTIONS = (
    click.option("--site", help="Where the device goes; else it stays where it is, or goes to the fleet's site."),
    click.option("--role", type=click.Choice(ROLES), help="What the device is; else what it is already."),
    click.option(
        "--wifi-ssid",
        metavar="NAME",
        help=f"A Wi-Fi network of this device's own; {WIFI_HELP}.",
    ),
    click.option(
        "--baud",
        type=click.IntRange(9600, 3_000_000),
        default=FLASH_BAUD,
        show_default=True,
        help="Speed of the serial line while flashing.",
    ),
)


def device_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all commands that give a device its identity."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Provisioner:
    """Issues identities to devices on one board; use it as a context manager, for it keeps the registry open.

    Raises:
        BadInput: ``ansim init`` has not been run, or something in its settings or the wishes is not legal.
        ServiceError: the keys or the registry can't be used.
    """

    def __init__(self, home: Home, board: Board, wishes: Wishes) -> None:
        self._board = board
        self._wishes = wishes
        self._fleet = Fleet.load(home)
        if self._fleet.port == 0:
            raise BadInput("the broker has no port yet", "Start it once: ansim broker. Then run this again.")
        if wishes.site is not None:
            checked_name("site", wishes.site)
        if wishes.network:
            self._fleet = self._fleet.with_network(wishes.network)
        if not self._fleet.wifi:
            raise BadInput(
                "the device would have no Wi-Fi network to send an alarm over",
                "Name one for this device: --wifi-ssid NAME, or one for the fleet: ansim init --wifi-ssid NAME",
            )
        self._authority = Authority.load(home)
        self._registry = Registry.open(home.database_url)
        self.identity: Identity | None = None
        self._token = ""

    def __enter__(self) -> "Provisioner":
        return self

    def __exit__(self, *_: object) -> None:
        self._registry.close()

    def part(self, mac: str) -> Part:
        """Enrol the device with this MAC and return the part of flash that makes it that device.

        The registry knows of it before the device does: a run that is cut short leaves a record and a generation that
        is never used again, and no device without a record.
        """
        known = next((device for device in self._registry.devices() if device.mac == mac), None)
        identity = self._registry.enroll(
            mac,
            board=self._board.name,
            site=self._wishes.site or (known.site if known else self._fleet.site),
            role=self._wishes.role or (known.role if known else self._fleet.role),
        )
        self.identity = identity
        generation = self._registry.next_generation(identity.device)
        self._token = self._authority.device_token(identity)
        issued = public_part(self._token)
        self.record("credential", "issued", {"generation": generation, "key": issued.key, "jti": issued.jti})
        nvs = self._board.partitions.nvs
        return Part("identity", [(nvs.offset, nvs_image(self._settings(identity, generation), nvs.size))])

    def confirm(self) -> None:
        """Note that the device now holds the credential that was issued last."""
        if self.identity:
            issued = public_part(self._token)
            device = self.identity.device
            self._registry.set_credential(device, key=issued.key, jti=issued.jti, issued_at=issued.issued_at)

    def record(self, action: str, result: str, details: dict[str, Any]) -> None:
        """Put what happened into the device's history; nothing where no device came to be known."""
        if self.identity:
            self._registry.record(self.identity.device, action, result, details)

    def _settings(self, identity: Identity, generation: int) -> Settings:
        return Settings(
            device=identity.device,
            site=identity.site,
            role=identity.role,
            host=self._fleet.host,
            port=self._fleet.port,
            generation=generation,
            heartbeat_min=self._fleet.heartbeat_min,
            spread_s=self._fleet.spread_s,
            ca_der=self._authority.ca_der(),
            wifi=tuple((network.ssid, network.passphrase) for network in self._fleet.wifi),
            jwt=self._token,
        )
