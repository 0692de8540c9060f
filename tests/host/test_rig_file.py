"""A rig's file: what it says, and which mistakes are named."""

from pathlib import Path

import pytest
from rig_kit import LINES, rig_toml

from ansim.errors import BadInput
from ansim.rig import load_rig

HEAD = '[rig]\nport = "a"\nboard = "esp32_devkit"\n[device]\nport = "b"\nboard = "esp32_devkit"\n'

WRONG = {
    "[rig]\n": "rig.port: is missing",
    HEAD: "lines: is missing",
    HEAD + "[lines]\n": "lines: there is none",
    HEAD + "[lines.door]\ngpio = 4\nactive = 'high'\n": "lines.door: unknown key",
    HEAD + "[lines.buton]\ngpio = 4\nactive = 'high'\n": "did you mean 'button'",
    HEAD + "[lines.button]\ngpio = '4'\nactive = 'high'\n": "lines.button.gpio: is '4', must be a whole number",
    HEAD + "[lines.button]\ngpio = 4\nactive = 'hihg'\n": "did you mean 'high'",
    HEAD + "[lines.button]\ngpio = 24\nactive = 'high'\n": "lines.button: the rig's chip has no GPIO 24",
    HEAD + "[lines.button]\ngpio = 6\nactive = 'high'\n": "GPIO 6 belongs to the flash chip",
    HEAD + "[lines.button]\ngpio = 1\nactive = 'high'\n": "GPIO 1 belongs to the serial console",
    HEAD + "[lines.button]\ngpio = 12\nactive = 'high'\n": "GPIO 12 is a strapping pin",
    HEAD + "[lines.button]\ngpio = 34\nactive = 'high'\n": "GPIO 34 is input only and can't drive anything",
    HEAD + "[lines.led]\ngpio = 34\nactive = 'high'\n": "GPIO 34 is input only and has no pulls",
    HEAD + "[lines.vibration]\ngpio = 4\nactive = 'high'\n": "the device's board 'esp32_devkit' has no vibration",
    HEAD
    + "[lines]\nbutton = {gpio=4,active='high'}\nled = {gpio=4,active='high'}\n": "GPIO 4 is already used by lines.",
    HEAD.replace('"b"', '"a"') + "[lines.button]\ngpio = 4\nactive = 'high'\n": "device.port: is the rig's, too: a",
    HEAD.replace('"b"', '""') + "[lines.button]\ngpio = 4\nactive = 'high'\n": "device.port: is empty",
    HEAD.replace("esp32_devkit", "esp32_devkid")
    + "[lines.button]\ngpio = 4\nactive = 'high'\n": "no board 'esp32_devkid'",
    "[rig\n": "rig.toml",
}


def test_a_file_says_where_rig_and_device_are_and_what_is_on_which_pin(tmp_path: Path) -> None:
    file = load_rig(rig_toml(tmp_path))
    assert (file.rig.port, file.device.port) == ("virtual:rig", "virtual:device")
    assert {name: (line.gpio, line.level) for name, line in file.lines.items()} == LINES
    assert all(file.lacks(name) == "" for name in LINES)


def test_what_a_rig_has_no_line_for_it_says(tmp_path: Path) -> None:
    file = load_rig(rig_toml(tmp_path, HEAD + "[lines.button]\ngpio = 4\nactive = 'high'\n"))
    assert file.lacks("button") == ""
    assert file.lacks("power") == "the rig has no line 'power'"


@pytest.mark.parametrize(("text", "problem"), WRONG.items())
def test_a_mistake_is_named_with_its_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_rig(rig_toml(tmp_path, text))
    assert problem in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"can't read .*absent\.toml"):
        load_rig(tmp_path / "absent.toml")


def test_the_example_in_the_docs_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rig.md").read_text()
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert load_rig(rig_toml(tmp_path, example)).lines.keys() >= {"button", "power", "led", "buzzer"}
