"""``ansim provision``: an identity for a device that has its firmware already."""

import json
from collections.abc import Sequence
from dataclasses import replace

import click

from ansim import flash_job
from ansim.flash_job import Job
from ansim.home import Home
from ansim.line import job as line_job
from ansim.line.several import work_on
from ansim.provisioning import Wishes, device_options, wished_network
from ansim.show import board_option, json_option, passed, ports_option, progress, verdict
from ansim.workers import Workers


@click.command()
@ports_option
@board_option
@device_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    ports: tuple[str, ...],
    board: str,
    site: str | None,
    role: str | None,
    wifi_ssid: str | None,
    household: str | None,
    station: str | None,
    baud: int,
    as_json: bool,
) -> None:
    """Give devices their names, credentials and Wi-Fi.

    Firmware and events stay as they are.
    The same device keeps its name for ever; site, role and Wi-Fi can be changed by running it again.

    \b
    Examples:
      ansim provision -p /dev/ttyUSB0 -b esp32_devkit --site seoul-02
      ansim provision -p /dev/ttyUSB0 -p /dev/ttyUSB1 -b esp32_devkit     both at once
      ansim provision -p virtual -b virtual --wifi-ssid HOME
    """
    wishes = Wishes(site, role, wished_network(wifi_ssid), household)
    job = Job(Home.default(), ports[0], board, wishes, baud, station=station)
    if len(ports) > 1:
        context.exit(_provision_all(job, ports, as_json))
    with verdict(f"the device on {job.port} has no new identity", as_json), progress(as_json) as on_progress:
        outcome = flash_job.provision(job, on_progress)
    if as_json:
        click.echo(json.dumps(outcome.as_dict()))
        return
    place = f"site {outcome.info.get('site')}, role {outcome.info.get('role')}"
    passed(f"{outcome.device} on {job.port}: {place}, MAC {outcome.report.mac}")


def _provision_all(job: Job, ports: Sequence[str], as_json: bool) -> int:
    """Do job on all ports at once; return the exit code."""

    def begin(workers: Workers, port: str) -> None:
        workers.start(port, line_job.provision, replace(job, port=port))

    return work_on(ports, job.home, begin, as_json=as_json)
