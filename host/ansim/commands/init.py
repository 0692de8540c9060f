"""``ansim init``: the keys and the settings of a fleet."""

import json
import sys
from dataclasses import replace

import click

from ansim import credentials
from ansim.fleet import Fleet, parse_address
from ansim.home import Home
from ansim.passphrase import WIFI_HELP, ask_network

DEFAULT_SITE = "home"
# Others were signed with them, so a new one would not be the same (docs/security.md).
_NOT_MADE_ANEW = ("operator.nk", "system.nk", "account.nk", "broker.nk", "ca.key")


@click.command()
@click.option("--site", help=f"Where devices go unless told otherwise ({DEFAULT_SITE}).")
@click.option("--broker", metavar="HOST[:PORT]", help="The broker, as devices reach it (localhost:8883).")
@click.option(
    "--wifi-ssid",
    metavar="NAME",
    help=f"Add a Wi-Fi network; {WIFI_HELP}.",
)
@click.option("--yes", is_flag=True, help="Ask nothing; take what is not given from the defaults.")
@click.option("--json", "as_json", is_flag=True, help="Ask nothing; print one JSON object.")
def command(site: str | None, broker: str | None, wifi_ssid: str | None, yes: bool, as_json: bool) -> None:
    """Make the fleet's keys, certificates and settings. What exists is kept, so it is safe to run again.

    \b
    Examples:
      ansim init --site seoul-01 --broker alarms.example.org --wifi-ssid HOME
      ANSIM_WIFI_PASSPHRASE=... ansim init --yes --wifi-ssid HOME
    """
    home = Home.default()
    asks = sys.stdin.isatty() and not (yes or as_json)
    fleet = _fleet(home, site, broker, asks)
    if wifi_ssid is not None:
        fleet = fleet.with_network(ask_network(wifi_ssid))
        fleet.save_wifi(home)
    result = credentials.make(home, fleet.host)
    fleet.save(home)
    _show(home, fleet, result, as_json)


def _fleet(home: Home, site: str | None, broker: str | None, asks: bool) -> Fleet:
    """Return the fleet as it is, or a new one, with what was given changed."""
    if home.fleet_file.exists():
        fleet = Fleet.load(home)
    else:
        fleet = Fleet(site=DEFAULT_SITE)
        if asks:
            site = site or click.prompt("Site", default=DEFAULT_SITE)
            broker = broker or click.prompt("Broker, as devices reach it", default=f"{fleet.host}:{fleet.port}")
    if site is not None:
        fleet = replace(fleet, site=site)
    if broker is not None:
        host, port = parse_address(broker)
        fleet = replace(fleet, host=host, port=port)
    return fleet


def _show(home: Home, fleet: Fleet, result: credentials.Made, as_json: bool) -> None:
    networks = [each.ssid for each in fleet.wifi]
    absent = [name for name in _NOT_MADE_ANEW if not (home.keys / name).exists()]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": True,
                    "home": str(home.path),
                    "site": fleet.site,
                    "broker": f"{fleet.host}:{fleet.port}",
                    "wifi": networks,
                    "made": result.made,
                    "kept": result.kept,
                    "absent": absent,
                }
            )
        )
        return
    click.echo(f"Home      {home.path}")
    click.echo(f"Site      {fleet.site}")
    click.echo(f"Broker    {fleet.host}:{fleet.port}")
    click.echo(f"Wi-Fi     {', '.join(networks) or 'none yet: ansim init --wifi-ssid NAME'}")
    click.echo(f"Keys      {len(result.made)} files made, {len(result.kept)} kept as they were")
    if absent:
        click.echo(f"Absent    {', '.join(absent)}: not made anew; put your copy back to use it")
    if "broker.nk" in result.made and "operator.nk" not in result.made:
        click.echo("The broker can refuse devices without operator.nk once it has broker.nk and the new operator.jwt:")
        click.echo("copy both to its keys, and start it again.")
    if "operator.nk" in result.made:
        click.echo("Keep a copy of the keys folder in a safe place: without it no device can be provisioned again.")
