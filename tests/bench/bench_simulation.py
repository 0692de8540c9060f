"""How much of a fleet's life the simulation plays in an hour, with the default mix of faults, on all cores."""

import os
import time

from ansim.simulation.fleet_run import Fleet, play_fleet
from figure import Figure

# Long enough that starting the processes is a small part of it.
DAYS = 30
DEVICES = 40
LEAST_AN_HOUR = 100_000


def measure() -> list[Figure]:
    cores = os.cpu_count() or 1
    begun = time.perf_counter()
    outcome = play_fleet(Fleet(seed=2026, days=DAYS, devices=DEVICES), cores)
    took_s = time.perf_counter() - begun
    an_hour = outcome.tally.device_days / took_s * 3600
    troubles = sum(outcome.tally.faults.values()) - outcome.tally.faults["press"]
    return [
        Figure(f"simulated device-days an hour, {cores} cores", round(an_hour), "", LEAST_AN_HOUR, at_least=True),
        Figure("simulated in this run", round(outcome.tally.device_days), "device-days"),
        Figure("presses in it", outcome.tally.counts["presses"], ""),
        Figure("faults in it", troubles, ""),
        Figure("alarms lost or invented, other invariants violated", len(outcome.broken), "", 0),
    ]
