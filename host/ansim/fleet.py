"""The fleet's settings: fleet.toml in home (nothing secret), and the Wi-Fi networks with their passphrases in keys."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansim import secret_files
from ansim.errors import BadInput, ServiceError
from ansim.home import Home
from ansim.nvs import check_wifi
from ansim.place import ROLES, checked_name
from ansim_fw.core import config

DEFAULT_MQTT_PORT = 8883
DEFAULT_CLIENT_PORT = 4222
MAX_NETWORKS = 8

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_KEYS = ("site", "role", "heartbeat_min", "spread_s", "fall", "broker")
_BROKER_KEYS = ("host", "port", "client_port")


@dataclass(frozen=True)
class WifiNetwork:
    """A network that devices join; an empty passphrase is an open network."""

    ssid: str
    passphrase: str = field(repr=False)


@dataclass(frozen=True)
class Fleet:
    """What all devices of a station have in common.

    Args:
        site: where devices go unless told otherwise.
        host: the broker's name or IPv4 address, as devices reach it.
        port: its MQTT port (TLS); 0: not chosen yet, the broker takes a free one when it first starts.
        client_port: its NATS port (TLS), for receivers; 0: likewise.
        heartbeat_min: minutes between heartbeats of a new device.
        spread_s: over how many seconds a fleet spreads when it comes back; it makes its number of devices divided by
            this many connections a second.
        fall: how a new device is worn: 0 tells no falls, 1 on the body, 2 on the wrist.
        role: a new device's, unless told otherwise.
        wifi: in the order of preference.
    """

    site: str
    host: str = "localhost"
    port: int = DEFAULT_MQTT_PORT
    client_port: int = DEFAULT_CLIENT_PORT
    heartbeat_min: int = config.default("heartbeat_min")
    spread_s: int = config.default("spread_s")
    fall: int = config.default("fall")
    role: str = ROLES[0]
    wifi: tuple[WifiNetwork, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def load(cls, home: Home) -> "Fleet":
        """Load fleet.toml and the Wi-Fi list.

        Raises:
            BadInput: fleet.toml is missing, unreadable, or has something illegal in it; says where.
            ServiceError: the Wi-Fi list is damaged or readable by others.
        """
        try:
            text = home.fleet_file.read_text(encoding="utf-8")
            found = tomllib.loads(text)
        except FileNotFoundError as error:
            raise BadInput(f"{home.fleet_file} does not exist", "Make it first: ansim init") from error
        except OSError as error:
            raise BadInput(
                f"can't read {home.fleet_file}: {error.strerror}", "Check who owns it, and ANSIM_HOME."
            ) from error
        except ValueError as error:
            raise BadInput(
                f"can't read {home.fleet_file}: {error}", "Correct it, or remove it and run: ansim init"
            ) from error
        try:
            return cls(**_fields(found), wifi=_load_wifi(home))
        except BadInput as error:
            raise BadInput(f"{home.fleet_file}: {error.message}", error.hint) from error

    def save(self, home: Home) -> None:
        """Write fleet.toml; the Wi-Fi list is written by save_wifi."""
        secret_files.replace(home.fleet_file, _toml(self).encode())

    def save_wifi(self, home: Home) -> None:
        """Write the Wi-Fi list, mode 0600."""
        networks = [{"ssid": each.ssid, "passphrase": each.passphrase} for each in self.wifi]
        secret_files.replace(home.keys / "wifi.json", json.dumps(networks, indent=1).encode())

    def with_network(self, network: WifiNetwork) -> "Fleet":
        """Return a fleet whose first network is this one; an older entry of the same name goes."""
        others = tuple(each for each in self.wifi if each.ssid != network.ssid)
        return replace(self, wifi=(network, *others))


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST`` or ``HOST:PORT``; the port is 8883 unless given.

    Raises:
        BadInput: not legal.
    """
    host, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit()):
        raise BadInput(f"broker address {text[:80]!r} is not legal", "Write HOST:PORT, like alarm.example.org:8883.")
    _check_host(host)
    return host, _checked_port("port", int(port)) if colon else DEFAULT_MQTT_PORT


def _check(fleet: Fleet) -> None:
    checked_name("site", fleet.site)
    _check_host(fleet.host)
    _checked_port("port", fleet.port)
    _checked_port("client_port", fleet.client_port)
    _check_setting("heartbeat_min", fleet.heartbeat_min, "It is the number of minutes between two signs of life.")
    _check_setting("spread_s", fleet.spread_s, "It is the seconds over which devices come back after an outage.")
    _check_setting("fall", fleet.fall, "It is how devices are worn: 1 on the body, 2 on the wrist, 0 tells no falls.")
    if fleet.role not in ROLES:
        raise BadInput(
            f"role {str(fleet.role)[:40]!r} is not known{_did_you_mean(str(fleet.role), ROLES)}",
            f"It is one of: {', '.join(ROLES)}.",
        )
    if len(fleet.wifi) > MAX_NETWORKS:
        raise BadInput(f"there are {len(fleet.wifi)} Wi-Fi networks", f"A device takes up to {MAX_NETWORKS}.")
    for network in fleet.wifi:
        check_wifi(network.ssid, network.passphrase)


def _check_setting(name: str, value: object, hint: str) -> None:
    try:
        config.check(name, value)
    except ValueError as error:
        raise BadInput(str(error), hint) from error


def _check_host(host: object) -> None:
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise BadInput(f"broker host {str(host)[:80]!r} is not legal", "Give a DNS name or an IPv4 address.")


def _checked_port(name: str, port: object) -> int:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise BadInput(f"broker {name} {str(port)[:20]} is not legal", "It is 1 to 65535, or 0 for any free one.")
    return port


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return Fleet's arguments from what fleet.toml holds."""
    _only_known(found, _KEYS, "")
    broker = found.get("broker", {})
    if not isinstance(broker, dict):
        raise BadInput("broker must be a table", "Write [broker] on a line of its own, then host and port.")
    _only_known(broker, _BROKER_KEYS, "broker.")
    if not isinstance(found.get("site"), str):
        raise BadInput("site is missing, or is no text", 'Write for example: site = "home"')
    return {**{key: value for key, value in found.items() if key != "broker"}, **broker}


def _only_known(found: Iterable[str], known: tuple[str, ...], prefix: str) -> None:
    for key in found:
        if key not in known:
            raise BadInput(
                f"unknown key {prefix + key[:40]!r}{_did_you_mean(key, known)}", f"Known are: {', '.join(known)}."
            )


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _load_wifi(home: Home) -> tuple[WifiNetwork, ...]:
    path = home.keys / "wifi.json"
    if not path.exists():
        return ()
    try:
        return tuple(
            WifiNetwork(str(each["ssid"]), str(each["passphrase"])) for each in json.loads(secret_files.read(path))
        )
    except (ValueError, TypeError, KeyError):
        # The cause may quote a passphrase, so it is not chained.
        raise ServiceError(
            f"{path} is damaged", "Remove it and add the networks again: ansim init --wifi-ssid NAME"
        ) from None


def _toml(fleet: Fleet) -> str:
    # Every text in it has been checked to need no escapes.
    return (
        "# What the devices of this station have in common. Change it with an editor or with: ansim init\n"
        f'site = "{fleet.site}"\n'
        f'role = "{fleet.role}"\n'
        f"heartbeat_min = {fleet.heartbeat_min}\n"
        f"spread_s = {fleet.spread_s}\n"
        f"fall = {fleet.fall}  # worn on the body (1), on the wrist (2); 0 tells no falls\n"
        "\n"
        "[broker]\n"
        f'host = "{fleet.host}"  # as devices reach it\n'
        f"port = {fleet.port}  # MQTT over TLS, for devices\n"
        f"client_port = {fleet.client_port}  # NATS over TLS, for receivers\n"
    )
