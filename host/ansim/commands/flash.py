"""``ansim flash``: MicroPython, firmware and identity onto a device, in one go."""

import json
from pathlib import Path

import click

from ansim import flash_job
from ansim.flash_job import Job, Outcome
from ansim.home import Home
from ansim.provisioning import Wishes, device_options, wished_network
from ansim.show import board_option, json_option, passed, port_option, progress, verdict


@click.command()
@port_option
@board_option
@click.option("--micropython", type=click.Path(path_type=Path), help="MicroPython's .bin file; fetched if left out.")
@device_options
@click.option("--discard-pending", is_flag=True, help="Flash even if events that nobody acknowledged are lost.")
@json_option
def command(
    port: str,
    board: str,
    micropython: Path | None,
    site: str | None,
    role: str | None,
    wifi_ssid: str | None,
    baud: int,
    discard_pending: bool,
    as_json: bool,
) -> None:
    """Flash a device and wait until it runs. What is on it already is not written again.

    After ``ansim init`` the device also gets its identity: the same device keeps its name for ever.

    \b
    Examples:
      ansim flash --board esp32_devkit                     the only board on USB
      ansim flash -p /dev/ttyUSB0 -b esp32_devkit --role hub
      ansim flash -p virtual -b virtual --json
      ansim flash -b esp32_devkit --micropython ESP32_GENERIC-20240602-v1.23.0.bin
    """
    wishes = Wishes(site, role, wished_network(wifi_ssid))
    job = Job(Home.default(), port, board, wishes, baud, micropython, discard_pending)
    with verdict(f"{port} (board {board}) is not ready for use", as_json), progress(as_json) as on_progress:
        outcome = flash_job.flash(job, on_progress)
    if as_json:
        click.echo(json.dumps(outcome.as_dict()))
    else:
        _show(outcome, port)


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
