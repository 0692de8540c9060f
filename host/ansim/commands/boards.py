"""``ansim boards``: the boards that can be flashed."""

import json

import click

from ansim.boards import board_names, load_board
from ansim.show import json_option, show_facts


@click.command()
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the boards, or check the board NAME.

    Of a board NAME it shows what its firmware is given.

    \b
    Examples:
      ansim boards
      ansim boards m5stickc_plus2
    """
    if name:
        show_facts(load_board(name).firmware_data(), as_json)
        return
    boards = {each: load_board(each).board.title for each in board_names()}
    if as_json:
        click.echo(json.dumps(boards))
        return
    for each, title in boards.items():
        click.echo(f"{each:<18} {title}")
