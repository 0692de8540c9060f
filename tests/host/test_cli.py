"""The command line as a whole: help, errors, exit codes."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ansim.cli import cli, main, show_error
from ansim.errors import DeviceError
from ansim.show import show_facts

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


def test_the_list_of_commands_is_whole_on_eighty_columns() -> None:
    _, _, shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output.partition("Commands:")
    assert all(name in shown for name in NAMES)
    assert "..." not in shown


def test_an_error_has_a_next_step_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["boards", "no_such_board"]) == 2
    said = capsys.readouterr().err
    assert "no_such_board" in said
    assert "Next:" in said
    assert "Traceback" not in said


def test_what_a_device_or_a_file_said_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(DeviceError("it says \x1b[2Jno\r", "look\x9b1m again"), as_json=False)
    show_facts({"name": "\x1b]0;title\x07"}, as_json=False)
    said = capsys.readouterr()
    assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err)
    assert "it says ?[2Jno?" in said.err
    assert "?]0;title?" in said.out


def test_an_error_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["boards", "no_such_board", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["exit_code"] == 2
    assert told["hint"]


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["flahs"]) == 2
    assert "flahs" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["flahs"], ["flash"], ["flash", "--role", "king"], ["flash", "--baud", "0"]])
def test_a_wrong_option_is_an_object_too_where_json_is_wanted(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed([*arguments, "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["exit_code"]) == (False, 2)
    assert "--help" in told["hint"]


def test_in_a_pipe_an_error_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "no_such_board_" + "x" * 200
    assert failed(["boards", name]) == 2
    assert f"there is no board '{name}'" in capsys.readouterr().err


def test_with_debug_the_traceback_comes_before_message_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["--debug", "boards", "no_such_board"]) == 2
    said = capsys.readouterr().err
    assert said.index("Traceback") < said.index("Error:")


def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["demo", "--keep", str(tmp_path)]) == 2
    assert f"can't make {tmp_path}" in capsys.readouterr().err
