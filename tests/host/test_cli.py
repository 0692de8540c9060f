"""The command line as a whole: help, errors, exit codes."""

import json

import click
import pytest
from click.testing import CliRunner

from ansim.cli import cli, main

NAMES = cli.list_commands(click.Context(cli))


def failed(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.output
    assert f"ansim {name}" in shown.output


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_of_a_commands_help_fits_the_list(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.get_short_help_str(200)


def test_an_error_has_a_next_step_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["boards", "no_such_board"]) == 2
    said = capsys.readouterr().err
    assert "no_such_board" in said
    assert "Next:" in said
    assert "Traceback" not in said


def test_an_error_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["boards", "no_such_board", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["exit_code"] == 2
    assert told["hint"]


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["flahs"]) == 2
    assert "flahs" in capsys.readouterr().err
