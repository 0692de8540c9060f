"""The ``ansim`` command: finds the commands, and is the one place where an error becomes a message and an exit code."""

import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

import ansim.commands
from ansim.errors import EXIT_FAILED, AnsimError
from ansim_fw.version import VERSION


class CommandFolder(click.Group):
    """A group whose members are the modules of ansim.commands; a module is imported when its command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click names it
        names = (module.name for module in pkgutil.iter_modules(ansim.commands.__path__))
        return sorted(name.replace("_", "-") for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"ansim.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="ansim")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Flash, provision, simulate and watch Ansim devices, and receive their alarms.

    \b
    Exit codes: 0 done, 1 failed, 2 bad input, 3 serial port, 4 device,
    5 registry, broker or receiver.
    """


def show_error(error: AnsimError, as_json: bool) -> None:
    """Print error to stderr, for a person or (as_json) for a machine."""
    if as_json:
        click.echo(json.dumps({"ok": False, "error": error.message, "hint": error.hint, "exit_code": error.exit_code}))
        return
    console = Console(stderr=True, highlight=False)
    console.print(Text("Error: ", style="bold red").append(error.message, style="not bold default"))
    if error.hint:
        console.print(Text("Next:  ", style="bold").append(error.hint, style="not bold"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        cli.main(args=given, prog_name="ansim", standalone_mode=True)
    except AnsimError as error:
        if "--debug" in given:
            raise
        show_error(error, as_json="--json" in given)
        sys.exit(error.exit_code)
    except Exception as error:
        if "--debug" in given:
            raise
        # Only its kind: the text of an error that nobody foresaw may hold a secret.
        hint = "Run it again with --debug and report what it says."
        unforeseen = AnsimError(f"unexpected {type(error).__name__}", hint)
        show_error(unforeseen, as_json="--json" in given)
        sys.exit(EXIT_FAILED)
