"""``ansim info``: what a device says of itself."""

import click

from ansim.show import console_of, json_option, port_option, show_facts


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
        show_facts(console.request("info", repeat=True), as_json)
