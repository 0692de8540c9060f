"""``ansim broker``: nats-server for devices and receivers."""

import json
import signal
import types

import click

from ansim.broker import Broker
from ansim.errors import AnsimError
from ansim.home import Home
from ansim.terminal import say
from ansim.warden import CHECK_S, Warden


class _Stop(BaseException):
    """Someone asked us to end; no handler of errors on the way may take it for one."""


def _stop(_signal: int, _frame: types.FrameType | None) -> None:
    raise _Stop


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when it is ready.")
def command(as_json: bool) -> None:
    """Run the broker until Ctrl-C. Its ports are in fleet.toml, its log and store in home's broker folder.

    It refuses the devices that the registry retires, and credentials that newer ones took the place of, some seconds
    after the registry knows. On a machine of its own it needs ANSIM_DB for that, and broker.nk in its keys.

    \b
    Examples:
      ansim broker
      ansim broker --json | head -1        its ports, once it is ready
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    home = Home.default()
    try:
        with Broker(home) as broker, Warden(home, broker, _complain) as warden:
            warden.check()
            _announce(broker, warden.follows, as_json)
            while True:
                broker.watch(CHECK_S)
                warden.check()
    except _Stop:
        pass


def _announce(broker: Broker, follows: str, as_json: bool) -> None:
    if as_json:
        ports = {"mqtt_port": broker.mqtt_port, "client_port": broker.client_port}
        click.echo(json.dumps({"ready": True, **ports, "follows": follows}))
    else:
        click.echo(f"Devices reach the broker on port {broker.mqtt_port} (MQTT over TLS),")
        click.echo(f"receivers on port {broker.client_port} (NATS over TLS). Ctrl-C ends it.")
        if follows:
            click.echo(f"Whom it refuses is in the {follows}.")


def _complain(error: AnsimError) -> None:
    say("Attention:", "bold red", f" {error.message}", err=True)
    if error.hint:
        say("Next:", "bold", f" {error.hint}", err=True)
