"""What the pages about wire and console say is what the code does."""

import json
import re

import pytest

from ansim.home import project_root
from ansim_fw.core import config, event_reader, indicator, message

DOCS = project_root() / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^    (\{.*\})$", PROTOCOL, re.MULTILINE)
FIRMWARE = project_root() / "firmware" / "ansim_fw"


@pytest.mark.parametrize("example", [each for each in EXAMPLES if '"cmd"' not in each])
def test_each_event_on_the_page_is_written_and_read_so(example: str) -> None:
    found = event_reader.decode_event(example.encode())
    age_ms, attempt = found["age_ms"], found["try"]
    assert isinstance(age_ms, int) and isinstance(attempt, int)
    assert message.encode_event(event_reader.to_event(found), age_ms, attempt) == example.encode()


@pytest.mark.parametrize("example", [each for each in EXAMPLES if '"cmd"' in each])
def test_each_command_on_the_page_is_read(example: str) -> None:
    assert message.decode_command(example.encode()) == json.loads(example)


def test_there_are_examples_of_every_type_and_of_a_fall() -> None:
    types = {json.loads(each).get("type") for each in EXAMPLES}
    assert types >= {"alarm", "cancel", "fault", "restore", "heartbeat"}
    assert any('"kind":"fall"' in each for each in EXAMPLES)


def test_every_fault_of_the_motion_sensor_is_on_the_page() -> None:
    files = [FIRMWARE / "motion.py", FIRMWARE / "hal" / "sensor.py", FIRMWARE / "core" / "sensor_watch.py"]
    told = {kind for each in files for kind in re.findall(r'"((?:sensor|fall)_[a-z]+)"', each.read_text())}
    assert len(told) == 9
    assert {kind for kind in told if f"| `{kind}` |" not in PROTOCOL} == set()


def test_the_console_page_names_every_setting_with_its_limits() -> None:
    page = (DOCS / "console.md").read_text(encoding="utf-8")
    for name, (lowest, highest, _) in config.LIMITS.items():
        assert f"`{name}` ({lowest} to {highest}" in page


def test_the_firmware_page_names_every_pattern() -> None:
    page = (DOCS / "firmware.md").read_text(encoding="utf-8")
    assert [name for name in indicator.NAMES if f"`{name}`" not in page] == []
