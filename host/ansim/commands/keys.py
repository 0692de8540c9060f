"""``ansim keys``: the keys that sign devices' tokens."""

import dataclasses
import json

import click
from rich.console import Console
from rich.table import Table

from ansim.home import Home
from ansim.registry import Registry
from ansim.show import json_option, passed
from ansim.signing import Signing, SigningKey
from ansim.terminal import say


@click.group()
def command() -> None:
    """The keys that sign the tokens of devices and receivers.

    A new key signs what is provisioned from then on; what older keys signed stays valid until they are dropped. To
    change keys, broker.nk must be in this home's keys; to sign with one, its signing-*.nk.

    \b
    Examples:
      ansim keys list
      ansim keys rotate
      ansim keys drop ACJ6DS42
    """


@command.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """List the keys, the newest last.

    Its devices hold, or may hold, a token that it signed.
    """
    with _registry() as registry:
        found = Signing(Home.default(), registry.credentials).keys()
    if as_json:
        click.echo(json.dumps({"ok": True, "keys": [dataclasses.asdict(each) for each in found]}))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("key", "devices", "receiver", "here", "state"):
        table.add_column(name, no_wrap=True)
    for each in found:
        yes_or_no = ("yes" if each.receiver else "no", "yes" if each.here else "no")
        table.add_row(each.id, f"{len(each.devices):,}", *yes_or_no, _state(each))
    Console(emoji=False).print(table)


@command.command()
@json_option
def rotate(as_json: bool) -> None:
    """Make a new key. It signs new tokens once a broker goes by it; all older tokens stay valid.

    Before an old key is dropped, copy the new signing-*.nk to other stations, and receiver.creds to other receivers.
    """
    with _registry() as registry:
        signing = Signing(Home.default(), registry.credentials)
        made = signing.rotate()
        taken = signing.wait_until_taken()
        renewed = taken and signing.renew_receiver()
    if as_json:
        shown = {"ok": True, "key": made.id, "taken": taken, "receiver_renewed": renewed}
        click.echo(json.dumps(shown))
        return
    passed(f"{made.id} is the fleet's newest key, in signing-{made.id}.nk; keep a copy in a safe place")
    if not taken:
        say("Next:", "bold", " no broker has taken it yet; stations sign with the older key until one that runs does")
    if renewed:
        say("Next:", "bold", " receiver.creds is new, too: restart the receivers before an older key is dropped")


@command.command()
@click.argument("key")
@click.option("--stolen", is_flag=True, help="Cut off the devices that hold its tokens, too.")
@json_option
def drop(key: str, stolen: bool, as_json: bool) -> None:
    """Have the broker refuse all that KEY signed.

    Who uses such a token is disconnected. Refused while devices in service hold tokens of it. A receiver on another
    machine that has no newer receiver.creds is cut off, and takes no alarms until it has one.

    \b
    Examples:
      ansim keys drop ACJ6DS42
      ansim keys drop ACJ6DS42 --stolen     the devices it signed for must all be provisioned again
    """
    with _registry() as registry:
        signing = Signing(Home.default(), registry.credentials)
        found = signing.named(key)
        signing.drop(found, stolen)
        taken = signing.wait_until_taken()
    if as_json:
        click.echo(json.dumps({"ok": True, "key": found.id, "taken": taken, "cut_off": list(found.devices)}))
        return
    passed(f"{found.id} is dropped" if taken else f"{found.id} is dropped as soon as a broker runs")
    if found.receiver:
        say("Next:", "bold", " receiver.creds is new: copy it to where receivers run, and restart them now")
    if found.devices:
        say("Next:", "bold", f" provision these again: {', '.join(found.devices)}")


def _state(key: SigningKey) -> str:
    if not key.taken:
        return "waits for the broker"
    if key.newest:
        return "signs"
    return "account's own; signed before" if key.own else "signed before"


def _registry() -> Registry:
    return Registry.open(Home.default().database_url)
