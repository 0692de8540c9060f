"""``ansim provision``: an identity for a device that has its firmware already."""

import json

import click

from ansim import flash_job
from ansim.flash_job import Job
from ansim.home import Home
from ansim.provisioning import Wishes, device_options, wished_network
from ansim.show import board_option, json_option, passed, port_option, progress, verdict


@click.command()
@port_option
@board_option
@device_options
@json_option
def command(
    port: str, board: str, site: str | None, role: str | None, wifi_ssid: str | None, baud: int, as_json: bool
) -> None:
    """Give a device its name, credentials and Wi-Fi.

    Firmware and events stay as they are.
    The same device keeps its name for ever; site, role and Wi-Fi can be changed by running it again.

    \b
    Examples:
      ansim provision -p /dev/ttyUSB0 -b esp32_devkit --site seoul-02
      ansim provision -p virtual -b virtual --wifi-ssid HOME
    """
    wishes = Wishes(site, role, wished_network(wifi_ssid))
    with verdict(f"the device on {port} has no new identity", as_json), progress(as_json) as on_progress:
        outcome = flash_job.provision(Job(Home.default(), port, board, wishes, baud), on_progress)
    if as_json:
        click.echo(json.dumps(outcome.as_dict()))
        return
    place = f"site {outcome.info.get('site')}, role {outcome.info.get('role')}"
    passed(f"{outcome.device} on {port}: {place}, MAC {outcome.report.mac}")
