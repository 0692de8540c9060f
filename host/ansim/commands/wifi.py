"""``ansim wifi``: the Wi-Fi networks that a device knows."""

import json
from base64 import b64encode
from typing import Any

import click

from ansim.client import Console, Deadline
from ansim.console_key import change
from ansim.errors import BadInput, DeviceError
from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.passphrase import WIFI_HELP, ask_network
from ansim.show import console_of, json_option, passed, port_option, show_facts, verdict

# A device gives up after 25 s; one that is busy sends what it has to say a little later.
OUTCOME_S = 45.0

_HINTS = {
    "wifi_refused": "The passphrase is another one, or the network takes no new devices. Nothing was changed.",
    "alarm": "The device has an alarm to send, which comes first. Run it again when that is through.",
    "storage": "It can't keep the network: its memory is full or broken. Run: ansim selftest",
}


@click.command()
@port_option
@click.option("--ssid", metavar="NAME", help=f"Join this network, and know it from now on; {WIFI_HELP}.")
@click.option("--remove", metavar="NAME", help="Forget this network.")
@click.option("--list", "lists", is_flag=True, help="Show the networks that it knows; so does no option at all.")
@json_option
def command(port: str, ssid: str | None, remove: str | None, lists: bool, as_json: bool) -> None:
    """Show or change the Wi-Fi networks that a device knows.

    There are 8 at the most. A new one comes first; those before it stay behind it, and the device goes on trying all
    of them. One that refuses is not taken; one that is not in reach here is kept for the place the device goes to.

    \b
    Examples:
      ansim wifi                                show
      ansim wifi --ssid HOME                    asks for the passphrase
      ansim wifi --remove OLD
    """
    if sum((ssid is not None, remove is not None, lists)) > 1:
        raise BadInput("--ssid, --remove and --list are one thing each", "Give one of them.")
    network = None if ssid is None else ask_network(ssid)
    with console_of(port) as console:
        if network is not None:
            with verdict(f"Wi-Fi {network.ssid} on {port}", as_json):
                _show_outcome(join(console, Home.default(), network), as_json)
        elif remove is not None:
            show_facts(change(console, Home.default(), "wifi", {"remove": remove}), as_json)
        else:
            show_facts(console.request("wifi", repeat=True), as_json)


def join(console: Console, home: Home, network: WifiNetwork) -> dict[str, Any]:
    """Have the device join a network; return what came of it (docs/console.md, the announcement ``wifi``).

    Raises:
        DeviceError: it does not take the network, or does not tell.
        what console_key.change raises.
    """
    name, secret = network.ssid.encode(), network.passphrase.encode()
    coded = bytes([len(name)]) + name + bytes([len(secret)]) + secret
    change(console, home, "wifi", {"set": b64encode(coded).decode()})
    for told in console.announcements(Deadline(OUTCOME_S)):
        if told["event"] == "wifi" and told.get("ssid") == network.ssid:
            return _taken(console, told)
    raise DeviceError(
        f"the device on {console.name} did not tell within {OUTCOME_S:g} s whether it joined '{network.ssid}'",
        "See what it knows: ansim wifi --list",
    )


def _taken(console: Console, told: dict[str, Any]) -> dict[str, Any]:
    if told.get("kept") is True:
        return {name: told.get(name) for name in ("ssid", "joined", "kept", "fault")}
    fault = str(told.get("fault"))[:40]
    raise DeviceError(
        f"the device on {console.name} did not take Wi-Fi '{told['ssid']}': {fault}",
        _HINTS.get(fault, "See what it knows: ansim wifi --list"),
    )


def _show_outcome(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
    elif told["joined"]:
        passed(f"joined Wi-Fi {told['ssid']}, which it tries first from now on")
    else:
        passed(f"Wi-Fi {told['ssid']} is kept as the first, but was not joined here ({told['fault']})")
