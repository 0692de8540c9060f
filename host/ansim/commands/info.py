"""``ansim info``: what a device says of itself."""

import click

from ansim.show import console_of, json_option, port_option, show_facts

_ORDER = (
    *("device", "site", "role", "provisioned", "mac", "board"),
    *("version", "build", "micropython", "mode", "reset", "boot", "up_s"),
    *("link", "link_fault", "rssi_dbm", "pending", "battery_mv", "heap_free", "heap_boot"),
)


@click.command()
@port_option
@json_option
def command(port: str, as_json: bool) -> None:
    """Show a device's name, versions, state and link.

    \b
    Examples:
      ansim info                    the only board on USB
      ansim info -p virtual --json
    """
    with console_of(port) as console:
        told = console.request("info", repeat=True)
    show_facts({name: told[name] for name in sorted(told, key=_place)}, as_json)


def _place(name: str) -> tuple[int, str]:
    """Who it is, what runs on it, how it is doing; then whatever a newer firmware tells."""
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name
