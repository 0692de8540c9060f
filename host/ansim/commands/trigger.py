"""``ansim trigger``: a test alarm."""

import json
from typing import Any

import click

from ansim.client import Console, Deadline
from ansim.errors import DeviceError
from ansim.show import console_of, json_option, passed, port_option, verdict


@click.command()
@port_option
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), help="Wait this many seconds for the receiver's ack.")
@json_option
def command(port: str, wait_s: float | None, as_json: bool) -> None:
    """Raise a test alarm on a device.

    With --wait, exit code 4 unless a receiver acknowledges it in time.

    \b
    Examples:
      ansim trigger
      ansim trigger -p virtual --wait 10
    """
    with verdict(f"test alarm of the device on {port}", as_json), console_of(port) as console:
        raised = console.request("trigger")
        if wait_s is not None:
            _await_ack(console, raised, wait_s)
    if as_json:
        click.echo(json.dumps({**raised, "acknowledged": wait_s is not None}))
        return
    outcome = "raised; --wait waits for its acknowledgement" if wait_s is None else "acknowledged by the receiver"
    passed(f"test alarm {raised.get('boot')}/{raised.get('seq')} {outcome}")


def _await_ack(console: Console, raised: dict[str, Any], wait_s: float) -> None:
    for told in console.announcements(Deadline(wait_s)):
        if told["event"] == "acknowledged" and all(told.get(key) == raised.get(key) for key in ("boot", "seq")):
            return
    raise DeviceError(
        f"no receiver acknowledged the test alarm of the device on {console.name} within {wait_s:g} s",
        "Its link: ansim info. The other side: is ansim broker running, and ansim receive?",
    )
