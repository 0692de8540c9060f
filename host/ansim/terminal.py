"""Labelled lines for a person: wrapped on a terminal, whole in a pipe, where programs search them."""

from rich.console import Console
from rich.text import Text


def say(label: str, style: str, text: str, *, err: bool = False) -> None:
    """Print label in style and text plainly, to stdout or (err) stderr."""
    console = Console(stderr=err, highlight=False)
    console.print(Text.assemble((f"{label:<6}", style), text), soft_wrap=not console.is_terminal)
