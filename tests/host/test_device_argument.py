"""A device is named to commands by its name, or as its label says it."""

from pathlib import Path

import pytest
from database_kit import database_url

from ansim.cli import main
from ansim.registry import Registry

COMMANDS = [
    ("registry", "show", "{}"),
    ("registry", "retire", "{}", "--reason", "lost"),
    ("registry", "replace", "{}", "AN000001", "--reason", "lost"),
    ("registry", "replace", "AN000001", "{}", "--reason", "lost"),
    ("alarms", "handle", "{}", "1", "1"),
    ("faults", "close", "{}", "silent"),
    ("power", "{}"),
]


@pytest.fixture(autouse=True)
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AN000001 alone."""
    url = database_url("sqlite", tmp_path)
    monkeypatch.setenv("ANSIM_DB", url)
    with Registry.open(url) as registry:
        registry.enroll("24:6f:28:00:00:01", board="virtual", site="city", role="hub")


def refusal(command: tuple[str, ...], device: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what command says of a device that nobody knows."""
    with pytest.raises(SystemExit) as ended:
        main([word.format(device) for word in command])
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("heard", ["AN000002", "an 000 002-w", "무000002ㅈ"])
def test_a_number_is_taken_as_its_label_says_it(
    command: tuple[str, ...], heard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "AN000002" in refusal(command, heard, capsys)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_number_that_was_read_wrong_is_not_looked_for(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "AN000002-P is the number of no device" in refusal(command, "AN000002-P", capsys)


def test_a_device_of_another_maker_keeps_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hall-sensor_7" in refusal(("faults", "close", "{}", "silent"), "hall-sensor_7", capsys)
