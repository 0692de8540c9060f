"""A Wi-Fi passphrase from where nobody else reads it: the environment, a pipe or a question; never the arguments."""

import os
import sys
from collections.abc import Sequence

import click

from ansim.errors import BadInput
from ansim.fleet import WifiNetwork
from ansim.nvs import check_wifi

WIFI_VARIABLE = "ANSIM_WIFI_PASSPHRASE"
WIFI_HELP = f"asks for its passphrase, or takes it from {WIFI_VARIABLE} or a pipe"


def ask_network(ssid: str) -> WifiNetwork:
    """The Wi-Fi network called ssid with its passphrase; an empty one is an open network.

    Raises:
        BadInput: name or passphrase is not legal, or there is nobody to ask.
    """
    # The name first, so that nobody types a passphrase in vain.
    check_wifi(ssid, "")
    passphrase = os.environ.get(WIFI_VARIABLE)
    if passphrase is None:
        passphrase = _asked(ssid) if sys.stdin.isatty() else _piped(ssid)
    check_wifi(ssid, passphrase)
    return WifiNetwork(ssid, passphrase)


def ask_networks(ssids: Sequence[str]) -> list[WifiNetwork]:
    """The Wi-Fi networks called ssids with their passphrases; a pipe has a line for each.

    Raises:
        BadInput: as ask_network, or the environment has one passphrase for several networks.
    """
    if len(ssids) > 1 and WIFI_VARIABLE in os.environ:
        raise BadInput(
            f"{WIFI_VARIABLE} is one passphrase, and there are {len(ssids)} Wi-Fi networks: {', '.join(ssids)}",
            "Pipe one a line, in this order, or add them to the fleet: ansim init --wifi-ssid NAME",
        )
    return [ask_network(ssid) for ssid in ssids]


def _asked(ssid: str) -> str:
    question = f"Passphrase of {ssid} (empty: an open network)"
    return str(click.prompt(question, default="", hide_input=True, show_default=False, err=True))


def _piped(ssid: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise BadInput(
            f"there is no passphrase for Wi-Fi '{ssid}', and no terminal to ask for it",
            f"Set {WIFI_VARIABLE}, or pipe it in; an empty line is an open network.",
        )
    return line.rstrip("\r\n")
