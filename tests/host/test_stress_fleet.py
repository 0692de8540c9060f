"""ansim stress --fleet: a small fleet on the real wire, as the large ones; what it finds, and what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from ansim.cli import main
from ansim.commands import stress
from ansim.errors import ServiceError
from ansim.stress.fleet import command_of, plan_of, told
from ansim.stress.fleet.city import City, EventId, Stored
from ansim.stress.fleet.course import Compared, Plan, compared, play
from ansim.stress.fleet.crowd import Crowd, Made
from ansim.stress.fleet.guarded import below
from ansim.stress.fleet.result import Result
from ansim.stress.fleet.ticket import Ticket

DEVICES = 50
ALARMS = 5
PATIENCE_S = 60
# Each token begins with it: '{"typ":"JWT"' in base64.
TOKEN = "eyJ0"


@dataclass
class Run:
    """A run, with what could be seen of it from outside."""

    result: Result
    home: Path
    seeds: list[str]
    command_lines: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A fleet shared between a process of the run and one that joined it with a copy of the ticket."""
    folder = tmp_path_factory.mktemp("fleet")
    seen: set[str] = set()
    joined: list[subprocess.Popen[bytes]] = []

    def look(*_: object) -> None:
        seen.update(" ".join(each.cmdline()) for each in psutil.Process().children(recursive=True) if each.is_running())

    def join(ticket: Path) -> None:
        copied = folder / "copy.json"
        Ticket.read(ticket).write(copied)
        joined.append(subprocess.Popen([sys.executable, "-m", "ansim", "stress", "--fleet-join", str(copied)]))

    plan = Plan(DEVICES, ALARMS, storm_s=1, hold_s=0, rate=DEVICES, spread_s=1, here=1, elsewhere=1)
    try:
        result = play(plan, folder / "home", look, join)
        yield Run(result, folder / "home", [Ticket.read(folder / "copy.json").seed], seen)
    finally:
        for each in joined:
            each.kill()
            each.wait()


def test_every_device_connects_and_every_alarm_is_acknowledged_once(played: Run) -> None:
    result = played.result
    assert result.troubles() == []
    assert result.connected == DEVICES
    # Once in the storm, once while the broker is away.
    assert (result.alarms, result.acknowledged) == (2 * ALARMS, 2 * ALARMS)
    assert (result.lost, result.waiting, result.invented, result.refused) == (0, 0, 0, 0)
    # A heartbeat of each, the alarms, and a fault of each that raised none while the broker was away.
    assert result.events >= DEVICES + 2 * ALARMS + DEVICES - ALARMS


def test_figures_of_each_phase_are_told(played: Run) -> None:
    counts = {(phase.name, each.what): each.count for phase in played.result.phases for each in phase.figures}
    assert counts["connect", "connect"] == counts["return", "connect"] == DEVICES
    assert counts["connect", "heartbeat"] >= DEVICES
    assert counts["storm", "alarm"] == counts["return", "alarm"] == ALARMS
    assert all(mb > 0 for mb in played.result.peak_mb.values())
    assert json.loads(json.dumps(played.result.as_dict()))["ok"] is True


def test_no_secret_is_in_a_command_line_or_a_log(played: Run) -> None:
    logs = [path.read_text() for path in (*played.home.glob("*.log"), *played.home.glob("broker/*.log"))]
    assert len(logs) >= 3 and played.command_lines
    for text in (*logs, *played.command_lines, json.dumps(played.result.as_dict())):
        assert TOKEN not in text
        assert not any(seed in text for seed in played.seeds)


def test_what_is_lost_waits_or_was_never_made_is_told_apart() -> None:
    alarm, other, beat = ("AN000001", 1, 0), ("AN000002", 1, 0), ("AN000001", 1, 1 << 29)
    stranger: EventId = ("AN000003", 1, 0)
    made = Made({alarm: ("alarm", True), other: ("alarm", False), beat: ("heartbeat", False)})
    assert compared(made, stored(alarm, other)) == Compared(set(), set(), set())
    assert compared(made, stored(alarm)) == Compared(set(), {other}, set())
    assert compared(made, stored(other, stranger)) == Compared({alarm}, set(), {stranger})
    assert compared(made, Stored({alarm: "fault", other: "alarm"}, 0, 0)) == Compared({alarm}, set(), {alarm})
    assert compared(Made({beat: ("heartbeat", True)}), stored()) == Compared({beat}, set(), set())


def stored(*alarms: EventId) -> Stored:
    return Stored(dict.fromkeys(alarms, "alarm"), 0, 0)


def test_a_run_that_fails_says_with_what_command_it_is_played_again(
    played: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(DEVICES, ALARMS, storm_s=2.5, hold_s=1, rate=20, spread_s=3, here=2, elsewhere=1)
    told.result(replace(played.result, lost=1), command_of(plan))
    (command,) = re.findall(r"(ansim stress .*)", capsys.readouterr().err)
    asked = stress.command.make_context("stress", command.split()[2:]).params
    assert plan_of(asked) == plan


def test_devices_are_still_after_their_report_and_a_killed_share_of_the_load_ends_the_run(tmp_path: Path) -> None:
    with City(tmp_path / "home", spread_s=0) as city, Crowd(city, spread_s=0, here=1) as crowd:
        crowd.spawn(10, rate=10)
        assert crowd.until(lambda state: state.connected == 10, PATIENCE_S)
        assert len({device for device, _, _ in crowd.report().events}) == 10
        # Else heartbeats would come that nobody has told of.
        assert crowd.until(lambda state: state.connected == 0, PATIENCE_S)
        (worker,) = below(str(tmp_path / "home" / "ticket.json"))
        worker.kill()
        with pytest.raises(ServiceError, match="a process of the load ended"):
            crowd.until(lambda state: state.connected == 11, PATIENCE_S)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_a_run_that_is_ended_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "ansim", "stress", "--fleet", "20", "--fleet-spread-s", "0"]
    # Its folder goes with it, but for SIGKILL.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith("storm"):
                break
        started = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(how)
        run.wait(PATIENCE_S)
        run.stderr.close()
    # A guard each for broker, receiver, master and worker.
    assert len(started) >= 8
    assert psutil.wait_procs(started, PATIENCE_S)[1] == []
    assert run.returncode == (-how if how == signal.SIGKILL else 130)
    assert how == signal.SIGKILL or not list(tmp_path.glob("ansim-fleet-*"))


def test_the_load_goes_to_no_other_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ticket = tmp_path / "ticket.json"
    found = {"host": "192.0.2.1", "broker_port": 8883, "master_port": 5557, "ca_pem": "", "seed": "", "account": ""}
    ticket.touch(0o600)
    ticket.write_text(json.dumps({**found, "shares": 1, "heartbeat_min": 1, "spread_s": 30}))
    assert join(ticket) == 2
    said = capsys.readouterr().err
    assert "this machine only, not to '192.0.2.1'" in said and "ssh" in said


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": "127.0.0.1", "broker_port": "8883"}'])
def test_what_is_no_ticket_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    ticket = tmp_path / "ticket.json"
    ticket.touch(0o600)
    ticket.write_text(text)
    assert join(ticket) == 2
    assert "is no ticket of a fleet run" in capsys.readouterr().err


def test_a_ticket_that_others_can_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ticket = tmp_path / "ticket.json"
    ticket.touch(0o644)
    assert join(ticket) == 5
    assert "can be read or changed by others" in capsys.readouterr().err


def join(ticket: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["stress", "--fleet-join", str(ticket)])
    return int(ended.value.code or 0)
