"""Labelled lines for a person: wrapped on a terminal, whole in a pipe, where programs search them."""

from rich.console import Console
from rich.text import Text


def printable(text: str) -> str:
    """Return text as a terminal may show it: what a device or a file said moves no cursor and changes no colour."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def say(label: str, style: str, text: str, *, err: bool = False) -> None:
    """Print label in style and text plainly, to stdout or (err) stderr."""
    console = Console(emoji=False, stderr=err, highlight=False)
    text = "\n".join(map(printable, text.split("\n")))
    console.print(Text.assemble((f"{label:<6}", style), text), soft_wrap=not console.is_terminal)
