"""`ansim prove` refuses what contradicts itself before it looks for a device."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from rig_kit import rig_toml

from ansim.commands.prove import command
from ansim.errors import BadInput, PortError

pytestmark = pytest.mark.usefixtures("home")


def test_a_rig_and_nobody_are_not_both_meant() -> None:
    result = CliRunner().invoke(command, ["--rig", "rig.toml", "--hands", "none"])
    assert isinstance(result.exception, BadInput)
    assert "nobody" in result.exception.message


@pytest.fixture
def rig_file(tmp_path: Path) -> Path:
    """The file of a rig whose device is on tmp_path/device."""
    path = rig_toml(tmp_path)
    return rig_toml(tmp_path, path.read_text().replace("virtual:device", str(tmp_path / "device")))


def test_a_rig_does_not_press_the_button_of_another_device_than_the_one_that_is_proven(rig_file: Path) -> None:
    other = str(rig_file.with_name("other"))
    result = CliRunner().invoke(command, ["--port", other, "--rig", str(rig_file)])
    assert isinstance(result.exception, BadInput)
    assert f"not of the one on {other}" in result.exception.message


def test_a_device_may_be_called_by_another_name_of_its_port(rig_file: Path) -> None:
    alias = rig_file.with_name("by-id")
    alias.symlink_to(rig_file.with_name("device"))
    result = CliRunner().invoke(command, ["--port", str(alias), "--rig", str(rig_file)])
    assert isinstance(result.exception, PortError)
    assert f"there is no port {alias}" in result.exception.message
