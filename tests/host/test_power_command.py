"""ansim power: of a device that was heard, of one on a port, of one that is simulated; its page; its errors."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansim.board_file import write_board
from ansim.boards import load_board
from ansim.cli import main
from ansim.database import Database
from ansim.event import parse
from ansim.event_store import EventStore
from ansim.home import Home
from ansim.power.model import Bench
from ansim.power.page import render
from ansim.power.told import Report
from ansim.power.usage import Usage
from ansim.power.what_if import cases
from ansim.registry import Registry
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ

HARM = "<script>alert('x')</script>"
LEDGER = {
    "deep_s": 86_000,
    "light_s": 300,
    "cpu_s": 50,
    "radio_s": 50,
    "wake_timer": 24,
    "wake_button": 0,
    "wake_motion": 20,
    "impacts": 3,
    "links": 24,
    "failed": 1,
}


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["power", *arguments])
    return int(ended.value.code or 0)


def heard(home: Home, board: str, **data: Any) -> str:
    """Enroll a device, store a heartbeat of it, and return its name."""
    database = Database.open(home.database_url)
    try:
        device = Registry(database).enroll("24:6f:28:00:00:01", board=board, site="city", role="pendant").device
        beat = {"v": 1, "boot": 1, "seq": FIRST_HEARTBEAT_SEQ, "type": "heartbeat", "try": 1, "data": data}
        event = parse(f"ansim.city.{device}.evt", json.dumps(beat).encode(), datetime.now(UTC))
        EventStore(database).store([event])
    finally:
        database.close()
    return str(device)


def test_a_simulated_day_is_told_with_causes_and_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--simulate", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["causes"].values()) == pytest.approx(told["mah_a_day"], abs=0.01)
    assert told["days"] == pytest.approx(told["capacity_mah"] / told["mah_a_day"], rel=0.01)
    assert told["what_if"]["heartbeat every 15 min"] < told["days"] < told["what_if"]["heartbeat every 1440 min"]
    assert any("a restless day" in remark for remark in told["remarks"])
    # What is not known for sure is told with what it may cost, the worst first, and all of it at once.
    *single, together = told["at_worst"].values()
    assert "light_sleep: 0.35 mA in place of 0.13" in told["at_worst"]
    assert single == sorted(single) and together < single[0] < single[-1] < told["days"]
    assert run("--simulate", "1") == 0
    said = capsys.readouterr().out
    assert "500 mAh last" in said and "radio: TLS handshake" in said and "docs/power.md" in said


def test_the_hardest_day_is_its_own_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--simulate", "1", "--day", "restless", "--json") == 0
    assert "On a restless day" not in " ".join(json.loads(capsys.readouterr().out)["remarks"])


def test_a_device_is_told_by_its_last_heartbeat(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    device = heard(home, "esp32c3_pendant", **LEDGER, interval_min=60, battery_pct=81)
    assert run(device, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["usage"] == LEDGER and device in told["title"]
    assert "The cell is at 81 %." in told["remarks"]
    assert not any("less than a day" in remark for remark in told["remarks"])
    usage = Usage(**{name: float(value) for name, value in LEDGER.items()})
    assert told["days"] == round(Bench(load_board("esp32c3_pendant")).budget(usage).days, 1)


def test_a_device_on_a_board_of_ones_own_is_told_with_its_file(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = heard(home, "mine", **LEDGER, interval_min=60)
    board = load_board("esp32c3_pendant")
    mine = write_board(replace(board, board=replace(board.board, name="mine")), tmp_path)
    assert run(device) == 4
    assert "is a board without a board file here: 'mine'" in capsys.readouterr().err
    assert run(device, "--board", "virtual") == 2
    assert f"{device} is a board 'mine', not 'virtual'" in capsys.readouterr().err
    assert run(device, "--board", str(mine), "--json") == 0
    assert "Heartbeat every 60 min; board mine." in json.loads(capsys.readouterr().out)["remarks"]


@pytest.mark.parametrize(
    ("board", "data", "says"),
    [
        ("esp32c3_pendant", {"battery_mv": 4000}, "AN000001 tells no ledger"),
        ("esp32c3_pendant", {**LEDGER, "interval_min": 0}, "tells no heartbeat interval"),
        ("esp32_devkit", {**LEDGER, "interval_min": 60}, "has no battery"),
    ],
)
def test_a_device_that_can_not_be_judged_says_why(
    home: Home, capsys: pytest.CaptureFixture[str], board: str, data: dict[str, Any], says: str
) -> None:
    device = heard(home, board, **data)
    assert run(device) in (2, 4)
    assert says in capsys.readouterr().err


def test_a_device_that_was_never_heard_or_enrolled_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("AN000001") == 2
    assert "AN000001" in capsys.readouterr().err
    database = Database.open(home.database_url)
    Registry(database).enroll("24:6f:28:00:00:01", board="esp32c3_pendant", site="city", role="pendant")
    database.close()
    assert run("AN000001") == 4
    assert "no heartbeat of AN000001 is known" in capsys.readouterr().err


def test_a_device_that_has_told_of_less_than_a_day_says_that_it_is_early(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    early = {**LEDGER, "deep_s": 3_600, "light_s": 0}
    assert run(heard(home, "esp32c3_pendant", **early, interval_min=60, battery_pct=101), "--json") == 0
    remarks = json.loads(capsys.readouterr().out)["remarks"]
    assert any("less than a day" in remark for remark in remarks)
    # No cell is at 101 %.
    assert not any("The cell is at" in remark for remark in remarks)


def test_one_thing_is_looked_at_and_known_days_and_boards_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments, says in (
        ((), "not clear"),
        (("AN000001", "--simulate", "3"), "not clear"),
        (("AN000001", "--firmware"), "--firmware: for a simulated life only"),
        (("AN000001", "--day", "restless", "--interval-min", "5"), "--day, --interval-min: for a simulated life only"),
        (("--port", "/dev/none", "--seed", "1"), "--seed: for a simulated life only"),
        (("--simulate", "9", "--firmware"), "9 days of the firmware are too many"),
        (("--simulate", "3", "--day", "athome"), "did you mean 'at_home'"),
        (("--simulate", "3", "--board", "esp32c3"), "there is no board 'esp32c3'"),
        (("--simulate", "3", "--html", str(tmp_path / "none" / "page.html")), "can't write"),
    ):
        assert run(*arguments) == 2
        assert says in capsys.readouterr().err


def test_a_day_of_more_movements_than_a_virtual_board_can_be_told_of_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = tmp_path / "wild.toml"
    day.write_text(
        'title = "wild"\n[[parts]]\nname = "all"\nhours = 24\n'
        '[[parts.acts]]\nmovements = [["walk", 10]]\nper_hour = 120\nsource = "none"\n'
    )
    assert run("--simulate", "1", "--firmware", "--day", str(day)) == 2
    assert "movements are more than the 1000" in capsys.readouterr().err


def test_a_page_is_whole_in_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "power.html"
    assert run("--simulate", "1", "--html", str(page), "--json") == 0
    days = json.loads(capsys.readouterr().out)["days"]
    text = page.read_text()
    assert f"500 mAh last {days:.0f} days" in text
    assert "at worst" in text and "woken by movement" in text and "on the firmware" not in text
    assert text.count("<svg") == 1 and not re.search(r"""(src|href)=["'](?!#)""", text)


def test_no_name_in_a_page_is_taken_for_markup() -> None:
    board = load_board("esp32c3_pendant")
    usage = Usage(**{name: float(value) for name, value in LEDGER.items()})
    budget = Bench(board).budget(usage)
    harmful = replace(budget, causes=tuple(replace(cause, name=HARM) for cause in budget.causes))
    text = render(Report(HARM, usage, harmful, cases(board, usage, 60), [HARM], firmware=usage))
    assert HARM not in text and "alert(" in text
    assert "on the firmware" in text
