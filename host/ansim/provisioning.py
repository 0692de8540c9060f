"""Giving a device its identity: MAC, registry, credentials, and the part of flash that holds them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from ansim import console_key
from ansim.boards import Board
from ansim.credentials import Authority
from ansim.errors import BadInput
from ansim.flasher import FLASH_BAUD
from ansim.fleet import Fleet, WifiNetwork
from ansim.home import Home
from ansim.manifest import Manifest
from ansim.nats_jwt import PublicPart, public_part
from ansim.nvs import Settings, nvs_image
from ansim.passphrase import WIFI_HELP, ask_network, ask_networks
from ansim.payload import Part
from ansim.place import ROLES, checked_household, checked_name
from ansim.registry import PLACE, Identity, Registry
from ansim.signing import Signing
from ansim.station import station_option


@dataclass(frozen=True)
class Wishes:
    """What the technician wants for this device; None: what the device has already, else the fleet's.

    Args:
        manifest: says where devices go, and the four before it are None.
        networks: by name, those that the manifest names and the fleet does not know; see manifest_networks.
    """

    site: str | None = None
    role: str | None = None
    network: WifiNetwork | None = None
    household: str | None = None
    manifest: Manifest | None = None
    networks: Mapping[str, WifiNetwork] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        return self != Wishes()


def wished_network(ssid: str | None) -> WifiNetwork | None:
    """The network that --wifi-ssid names, with its passphrase; None without the option."""
    return None if ssid is None else ask_network(ssid)


def manifest_networks(manifest: Manifest, fleet: Fleet) -> dict[str, WifiNetwork]:
    """The networks that manifest names and fleet does not know, with their passphrases, each asked for once.

    Raises:
        BadInput: as ask_networks.
    """
    known = {network.ssid for network in fleet.wifi}
    return {each.ssid: each for each in ask_networks([name for name in manifest.networks if name not in known])}


baud_option = click.option(
    "--baud",
    type=click.IntRange(9600, 3_000_000),
    default=FLASH_BAUD,
    show_default=True,
    help="Speed of the serial line while flashing.",
)
_OPTIONS = (
    click.option("--site", help="Where the device goes; else it stays where it is, or goes to the fleet's site."),
    click.option("--role", type=click.Choice(ROLES), help="What the device is; else what it is already."),
    click.option(
        "--wifi-ssid",
        metavar="NAME",
        help=f"A Wi-Fi network of this device's own; {WIFI_HELP}.",
    ),
    click.option(
        "--household",
        metavar="REFERENCE",
        help="What the city calls the home that the device goes to; never a person's name. The device isn't told.",
    ),
    station_option,
    baud_option,
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

    def __init__(self, home: Home, board: Board, wishes: Wishes, station: str | None = None) -> None:
        self._board = board
        self._wishes = wishes
        self._fleet = _wished_fleet(Fleet.load(home), wishes)
        self.registry = Registry.open(home.database_url, station)
        self.identity: Identity | None = None
        self.generation = 0
        self._issued: PublicPart | None = None
        try:
            self._authority = self._ready(home)
            self._console_key = console_key.load(home)
        except BaseException:
            self.registry.close()
            raise

    def _ready(self, home: Home) -> Authority:
        """Return what signs credentials, the newest key that a broker goes by, once all is there to begin."""
        if self._wishes.manifest:
            self.registry.begin(self._wishes.manifest)
        return Signing(home, self.registry.credentials).authority()

    def __enter__(self) -> "Provisioner":
        return self

    def __exit__(self, *_: object) -> None:
        self.registry.close()

    def part(self, mac: str) -> Part:
        """Enrol the device with this MAC and return the part of flash that makes it that device.

        The registry knows of it before the device does: a run that is cut short leaves a record and a generation that
        is never used again, and no device without a record.
        """
        self.identity = self._enrolled(mac)
        token = self._authority.device_token(self.identity)
        self._issued = public_part(token)
        self.generation = self.registry.issue(self.identity.device, self._issued)
        settings = self._settings(self.identity, self.generation, token)
        nvs = self._board.partitions.nvs
        return Part("identity", [(nvs.offset, nvs_image(settings, nvs.size))])

    def _enrolled(self, mac: str) -> Identity:
        wishes, role = self._wishes, self._fleet.role
        if wishes.manifest:
            return self.registry.assign(mac, wishes.manifest, board=self._board.name, role=role)
        return self.registry.enroll(
            mac,
            board=self._board.name,
            site=wishes.site or self._fleet.site,
            role=wishes.role or role,
            household=wishes.household or "",
            keep=[name for name in PLACE if getattr(wishes, name) is None],
        )

    def passed(self, action: str, details: dict[str, Any]) -> None:
        """Put into the ledger that the device holds the credential that was issued last, and works."""
        if self.identity:
            self.registry.record(self.identity.device, action, "passed", details, self._issued)

    def written(self, action: str, details: dict[str, Any]) -> None:
        """Put into the ledger that the device holds that credential, and is still to be proven."""
        if self.identity:
            self.registry.record(self.identity.device, action, "written", details, self._issued)

    def failed(self, action: str, details: dict[str, Any]) -> None:
        """Put into the ledger that something went wrong; nothing where no device came to be known."""
        if self.identity:
            self.registry.record(self.identity.device, action, "failed", details)

    def _settings(self, identity: Identity, generation: int, token: str) -> Settings:
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
            wifi=tuple((network.ssid, network.passphrase) for network in self._networks(identity)),
            jwt=token,
            fall=self._fleet.fall,
            console_key=console_key.device_key(self._console_key, identity.mac),
        )

    def _networks(self, identity: Identity) -> tuple[WifiNetwork, ...]:
        """The networks of the device, in the order of preference."""
        if self._wishes.manifest is None:
            return self._fleet.wifi
        ordered = self._wishes.manifest.order_at(identity.place).wifi
        return _with_ordered(self._fleet, self._wishes, ordered).wifi


def _wished_fleet(fleet: Fleet, wishes: Wishes) -> Fleet:
    """Return fleet with what is wished for all devices, which is all legal and enough then.

    Raises:
        BadInput: it is not.
    """
    if fleet.port == 0:
        raise BadInput("the broker has no port yet", "Start it once: ansim broker. Then run this again.")
    if wishes.site is not None:
        checked_name("site", wishes.site)
    checked_household(wishes.household or "")
    if wishes.network:
        fleet = fleet.with_network(wishes.network)
    orders = wishes.manifest.orders if wishes.manifest else ()
    # Each is tried now, or a network that is one too many would show up at a device.
    fleets = [_with_ordered(fleet, wishes, name) for name in {order.wifi for order in orders}]
    if not all(each.wifi for each in (fleets or [fleet])):
        raise BadInput(
            "the device would have no Wi-Fi network to send an alarm over",
            "Name one for this device: --wifi-ssid NAME, or one for the fleet: ansim init --wifi-ssid NAME",
        )
    return fleet


def _with_ordered(fleet: Fleet, wishes: Wishes, name: str) -> Fleet:
    """Return fleet with the network of that name, which an order has, in front; unchanged without a name."""
    if not name:
        return fleet
    known = {network.ssid: network for network in fleet.wifi} | dict(wishes.networks)
    if name not in known:
        raise BadInput(
            f"the manifest names the Wi-Fi '{name}', and nobody was asked for its passphrase",
            f"Add it to the fleet: ansim init --wifi-ssid '{name}'",
        )
    return fleet.with_network(known[name])
