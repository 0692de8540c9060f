"""``ansim flash``: MicroPython, firmware and identity onto a device, in one go."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from ansim import flash_job
from ansim.flash_job import Job, Outcome
from ansim.home import Home
from ansim.line import job as line_job
from ansim.line.several import work_on
from ansim.provisioning import Wishes, device_options, wished_network
from ansim.show import board_option, json_option, passed, ports_option, progress, verdict
from ansim.workers import Workers


@click.command()
@ports_option
@board_option
@click.option("--micropython", type=click.Path(path_type=Path), help="MicroPython's .bin file; fetched if left out.")
@device_options
@click.option("--discard-pending", is_flag=True, help="Flash even if events that nobody acknowledged are lost.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    ports: tuple[str, ...],
    board: str,
    micropython: Path | None,
    site: str | None,
    role: str | None,
    wifi_ssid: str | None,
    household: str | None,
    station: str | None,
    baud: int,
    discard_pending: bool,
    as_json: bool,
) -> None:
    """Flash devices and wait until they run. What is on one already is not written again.

    After ``ansim init`` the device also gets its identity: the same device keeps its name for ever.

    \b
    Examples:
      ansim flash --board esp32_devkit                     the only board on USB
      ansim flash -p /dev/ttyUSB0 -b esp32_devkit --role hub
      ansim flash -p /dev/ttyUSB0 -p /dev/ttyUSB1 -b esp32_devkit     both at once
      ansim flash -p virtual -b virtual --json
      ansim flash -b esp32_devkit --micropython ESP32_GENERIC-20240602-v1.23.0.bin
    """
    wishes = Wishes(site, role, wished_network(wifi_ssid), household)
    job = Job(Home.default(), ports[0], board, wishes, baud, micropython, discard_pending, station)
    if len(ports) > 1:
        context.exit(_flash_all(job, ports, as_json))
    with verdict(f"{job.port} (board {board}) is not ready for use", as_json), progress(as_json) as on_progress:
        outcome = flash_job.flash(job, on_progress)
    if as_json:
        click.echo(json.dumps(outcome.as_dict()))
    else:
        _show(outcome, job.port)


def _flash_all(job: Job, ports: Sequence[str], as_json: bool) -> int:
    """Do job on all ports at once; return the exit code."""
    with progress(as_json) as on_progress:
        on_progress("building", 0, 1)
        prepared = flash_job.prepare(job.home, job.board, job.micropython)

    def begin(workers: Workers, port: str) -> None:
        workers.start(port, line_job.flash, replace(job, port=port), prepared)

    return work_on(ports, job.home, begin, as_json=as_json)


def _show(outcome: Outcome, port: str) -> None:
    report = outcome.report
    for name, size in report.written.items():
        unchanged = report.unchanged[name]
        click.echo(f"{name:<12} {size:>9,} bytes written, {unchanged:,} were there already")
    click.echo(f"{'wire':<12} {report.wire_bytes:>9,} bytes sent for {report.compressed_bytes:,} compressed")
    if outcome.discarded:
        click.echo(f"{'lost':<12} {outcome.discarded:>9,} events that nobody had acknowledged")
    if not outcome.device:
        click.echo(
            "Firmware only: this station has no fleet. To give the device an identity: ansim init, ansim provision"
        )
    name = outcome.device or f"the device with MAC {report.mac}"
    passed(f"{name} on {port} runs {outcome.info.get('build')} ({report.seconds:.1f} s of flashing)")
