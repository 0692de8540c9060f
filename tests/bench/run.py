"""Runs every bench_*.py beside it and prints each figure beside its bound; exit 1 when a bound does not hold.

Each has a function ``measure() -> list[Figure]``. Names on the command line choose among them: run.py press line
"""

import importlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from figure import Figure

HERE = Path(__file__).parent
sys.path += [str(HERE.parent / folder) for folder in ("hil", "host")]


def chosen(names: list[str]) -> list[str]:
    found = sorted(path.stem for path in HERE.glob("bench_*.py"))
    unknown = [name for name in names if f"bench_{name}" not in found]
    if unknown:
        known = ", ".join(name.removeprefix("bench_") for name in found)
        sys.exit(f"no benchmark {', '.join(unknown)}; there are: {known}")
    return [f"bench_{name}" for name in names] or found


def table(figures: Iterable[Figure]) -> Table:
    made = Table("figure", "", "unit", "bound", "", "peer in the same run")
    made.columns[1].justify = made.columns[3].justify = "right"
    for figure in figures:
        sign = "" if figure.bound is None else (">= " if figure.at_least else "<= ")
        bound = "" if figure.bound is None else f"{sign}{figure.bound:g}"
        verdict = "" if figure.bound is None else ("[green]holds[/]" if figure.holds else "[red]BROKEN[/]")
        made.add_row(figure.name, f"{figure.value:g}", figure.unit, bound, verdict, figure.peer)
    return made


def main(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    figures: list[Figure] = []
    for name in chosen([one for one in arguments if one != "--json"]):
        print(f"{name} ...", file=sys.stderr)
        figures += importlib.import_module(name).measure()
    if as_json:
        print(json.dumps([vars(figure) for figure in figures]))
    else:
        Console(width=132).print(table(figures))
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
