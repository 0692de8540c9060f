"""A city of 5,000 devices: connected over TLS, a tenth of them alarms within ten seconds, all keep their heartbeats.

It is ``ansim stress --fleet 5000``: nats-server, a receiver and the load are processes of their own on this machine.
Where the load is late by a second or more, the times are its own.
"""

import tempfile
from pathlib import Path

from ansim.stress.fleet.course import Plan, play
from ansim.stress.fleet.result import MOST_P99_MS, Phase, Result
from figure import Figure

DEVICES = 5000
ALARMS = 500
PLAN = Plan(DEVICES, ALARMS, storm_s=10, hold_s=60, rate=100, spread_s=30, here=2)


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        result = play(PLAN, Path(folder) / "home", lambda *_: None, print)
    figures = [
        Figure("TLS devices connected", result.connected, "", DEVICES, at_least=True),
        Figure("alarms acknowledged, half of them raised while the broker was away", result.acknowledged, ""),
        Figure("  of those raised not acknowledged", result.alarms - result.acknowledged, "", 0),
        Figure("acknowledged events without a row", result.lost, "", 0),
        Figure("events that neither side has acknowledged", result.waiting, "", 0),
        Figure("rows of no event", result.invented, "", 0),
    ]
    for phase in result.phases:
        figures += _of_phase(phase)
    return [*figures, *_of_storm(result), *_of_memory(result)]


def _of_phase(phase: Phase) -> list[Figure]:
    return [
        Figure(f"{phase.name}: it took", phase.seconds, "s"),
        *(Figure(f"  {name}, of one core", percent, "%") for name, percent in phase.cpu.items()),
        Figure("  the load was late by", phase.load_late_s, "s"),
    ]


def _of_storm(result: Result) -> list[Figure]:
    storm = result.phase("storm")
    assert storm is not None
    alarm = storm.figure("alarm")
    assert alarm is not None
    return [
        Figure(f"{alarm.count} alarms in {PLAN.storm_s} s: raised -> acknowledged, median", alarm.p50_ms, "ms"),
        Figure("  99th percentile", alarm.p99_ms, "ms", MOST_P99_MS),
        Figure("  devices without a heartbeat meanwhile", storm.silent, "", 0),
    ]


def _of_memory(result: Result) -> list[Figure]:
    return [Figure(f"most memory: {name}", mb, "MB") for name, mb in result.peak_mb.items()]
