"""The ``ansim`` command: finds the commands, and is the one place where an error becomes a message and an exit code."""

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

import ansim.commands
from ansim.errors import AnsimError, BadInput, Interrupted, unforeseen
from ansim.terminal import say
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
    5 registry, broker or receiver, 130 interrupted.
    """


def show_error(error: AnsimError, as_json: bool) -> None:
    """Print error: to stderr for a person, or (as_json) to stdout for a machine."""
    if as_json:
        click.echo(json.dumps({"ok": False, "error": error.message, "hint": error.hint, "exit_code": error.exit_code}))
        return
    say("Error:", "bold red", f" {error.message}", err=True)
    if error.hint:
        say("Next:", "bold", f" {error.hint}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args=given, prog_name="ansim", standalone_mode=False)
    except click.UsageError as error:
        if "--json" not in given:
            error.show()
            sys.exit(error.exit_code)
        _fail(_misused(error), given)
    except click.Abort:
        _fail(Interrupted(), given)
    except Exception as error:
        _fail(error if isinstance(error, AnsimError) else unforeseen(error), given)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(error: AnsimError, given: Sequence[str]) -> NoReturn:
    """Show error and exit with its code; called while the exception that led to it is handled."""
    if "--debug" in given:
        traceback.print_exc()
    show_error(error, as_json="--json" in given)
    sys.exit(error.exit_code)


def _misused(error: click.UsageError) -> AnsimError:
    command = error.ctx.command_path if error.ctx else "ansim"
    return BadInput(error.format_message(), f"See: {command} --help")
