"""``ansim falls``: trains and judges the fall detector on recordings, plays them to a device, and makes new ones."""

import click

from ansim.falls.commands import evaluate, record, replay, train


@click.group()
def command() -> None:
    """Train, judge and replay the fall detector; record movements.

    \b
    Examples:
      ansim falls evaluate --placement waist
      ansim falls evaluate --placement wrist --model new.json --html report.html
      ansim falls train --placement waist --output new.json
      ansim falls replay sisfall_50hz F05_SA01_R03
      ansim falls record mine.npz --subject S01 --activity D01
    """


command.add_command(train.command)
command.add_command(evaluate.command)
command.add_command(replay.command)
command.add_command(record.command)
