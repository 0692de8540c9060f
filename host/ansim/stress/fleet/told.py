"""What a person is told of a run with a fleet."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ansim.show import passed
from ansim.stress.fleet.result import Phase, Result
from ansim.stress.fleet.ticket import Ticket
from ansim.terminal import say

_COLUMNS = ("phase", "what", "count", "failed", "most/s", "p50 ms", "p95 ms", "p99 ms", "worst ms")


def ticket(path: Path) -> None:
    """Say what is to be done on the other machines."""
    given = Ticket.read(path)
    forward = " ".join(f"-L {port}:127.0.0.1:{port}" for port in (given.broker_port, given.master_port))
    click.echo("For each process on another machine, with a copy of the ticket there (mode 600):", err=True)
    click.echo(f"  scp {path} MACHINE:ticket.json", err=True)
    click.echo(f"  ssh -N {forward} THIS_MACHINE     (there, and left running)", err=True)
    click.echo("  ansim stress --fleet-join ticket.json", err=True)


def result(found: Result, command: str) -> None:
    """Print the tables and the verdict, and for one that fails the command that repeats the run."""
    console = Console(emoji=False, highlight=False)
    console.print(_times(found))
    console.print(_costs(found))
    memory = ", ".join(f"{name} {mb} MB" for name, mb in found.peak_mb.items())
    say("", "", f"most memory: {memory}; {found.events} events stored, {found.repeated} came again")
    what = f"{found.connected} of {found.devices} devices connected, {found.acknowledged} of {found.alarms} alarms"
    what += f" acknowledged, {found.lost} events lost, {found.invented} invented"
    if not found.troubles():
        passed(what)
        return
    say("FAIL", "bold red", what, err=True)
    for line in (*found.troubles(), f"The same again: {command}"):
        say("", "", line, err=True)


def _times(found: Result) -> Table:
    made = _table(*_COLUMNS)
    for phase in found.phases:
        for each in phase.figures:
            times = (each.p50_ms, each.p95_ms, each.p99_ms, each.max_ms)
            counts = (each.count, each.failed, each.most_in_a_second)
            made.add_row(phase.name, each.what, *map(str, counts), *(f"{ms:.0f}" for ms in times))
    return made


def _costs(found: Result) -> Table:
    made = _table("phase", "", "seconds", "load late s", "silent", *(f"{name} cpu %" for name in found.peak_mb))
    for phase in found.phases:
        made.add_row(*_costs_of(phase))
    return made


def _costs_of(phase: Phase) -> list[str]:
    done = "" if phase.done else "not done"
    figures = (phase.seconds, phase.load_late_s, phase.silent, *phase.cpu.values())
    return [phase.name, done, *(f"{each:g}" for each in figures)]


def _table(*columns: str) -> Table:
    made = Table(*columns, box=None, pad_edge=False)
    for column in made.columns[2:]:
        column.justify = "right"
    return made
