"""``ansim broker``: nats-server for devices and receivers."""

import json
import signal
import types

import click

from ansim.broker import Broker
from ansim.home import Home


class _Stop(Exception):
    """Someone asked us to end."""


def _stop(_signal: int, _frame: types.FrameType | None) -> None:
    raise _Stop


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when it is ready.")
def command(as_json: bool) -> None:
    """Run the broker until Ctrl-C. Its ports are in fleet.toml, its log and store in home's broker folder.

    \b
    Examples:
      ansim broker
      ansim broker --json | head -1        its ports, once it is ready
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with Broker(Home.default()) as broker:
            if as_json:
                click.echo(
                    json.dumps({"ready": True, "mqtt_port": broker.mqtt_port, "client_port": broker.client_port})
                )
            else:
                click.echo(f"Devices reach the broker on port {broker.mqtt_port} (MQTT over TLS),")
                click.echo(f"receivers on port {broker.client_port} (NATS over TLS). Ctrl-C ends it.")
            broker.wait()
    except _Stop:
        pass
