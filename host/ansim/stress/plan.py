"""From a seed to what is done and when: pure, the same for the same scenario and seed, whoever plays it.

Each episode has chances of its own, so that one device's plan depends neither on the other devices nor on how far they
come.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ansim.stress.scenario import FaultKind, FaultLine, GestureKind, OutageKind, OutageLine, Range, Scenario

# Faults after which a device starts anew; an episode has one of them at the most, so that each start has one reason.
RESTARTS: frozenset[FaultKind] = frozenset({"reset", "power", "power_cut", "heap"})


@dataclass(frozen=True)
class PlannedGesture:
    """A gesture, gap_ms after the one before; chance makes what is made up in it, such as how a contact bounces."""

    kind: GestureKind
    gap_ms: int
    hold_ms: int
    chance: int


@dataclass(frozen=True)
class PlannedFault:
    """A fault, at_ms after its episode began, for for_ms; value as in FaultLine, chance as in PlannedGesture."""

    kind: FaultKind
    at_ms: int
    for_ms: int
    value: int
    chance: int


@dataclass(frozen=True)
class Episode:
    """Gestures and faults of one device, after which it has to come to rest with nothing waiting."""

    number: int
    pause_ms: int
    gestures: tuple[PlannedGesture, ...]
    faults: tuple[PlannedFault, ...]


@dataclass(frozen=True)
class PlannedOutage:
    """Something that goes wrong for for_ms, after_ms after the one before it was over."""

    kind: OutageKind
    after_ms: int
    for_ms: int


def episodes(scenario: Scenario, seed: int, device: int, count: int = 0) -> Iterator[Episode]:
    """Yield the episodes of a device (its number, from 0) with count gestures together; 0: without an end."""
    left, number = count, 0
    while not count or left:
        made = _episode(scenario, random.Random(f"{seed}/{device}/{number}"), number)
        if count:
            made = replace(made, gestures=made.gestures[:left])
            left -= len(made.gestures)
        yield made
        number += 1


def outages(line: OutageLine, seed: int) -> Iterator[PlannedOutage]:
    """Yield the outages of one line, without an end."""
    chances = random.Random(f"{seed}/{line.kind}")
    while True:
        yield PlannedOutage(line.kind, _within(chances, line.every_ms), _within(chances, line.for_ms))


def shares(count: int, devices: int) -> list[int]:
    """Return how many of count gestures each device makes."""
    return [count // devices + (number < count % devices) for number in range(devices)]


def _episode(scenario: Scenario, chances: random.Random, number: int) -> Episode:
    pause_ms = _within(chances, scenario.pause_ms)
    gestures = tuple(_gesture(scenario, chances) for _ in range(_within(chances, scenario.each)))
    return Episode(number, pause_ms, gestures, _faults(scenario.faults, chances))


def _gesture(scenario: Scenario, chances: random.Random) -> PlannedGesture:
    (line,) = chances.choices(scenario.gestures, [each.weight for each in scenario.gestures])
    gap_ms = _within(chances, scenario.gap_ms)
    return PlannedGesture(line.kind, gap_ms, _within(chances, line.hold_ms), chances.getrandbits(32))


def _faults(lines: Sequence[FaultLine], chances: random.Random) -> tuple[PlannedFault, ...]:
    found: list[PlannedFault] = []
    for line in lines:
        # Whether it is there or not, it takes as many chances.
        there = chances.randrange(100) < line.chance_percent
        made = PlannedFault(
            line.kind,
            _within(chances, line.at_ms),
            _within(chances, line.for_ms),
            _within(chances, line.value),
            chances.getrandbits(32),
        )
        restarts = made.kind in RESTARTS and any(each.kind in RESTARTS for each in found)
        if there and not restarts:
            found.append(made)
    return tuple(sorted(found, key=lambda each: each.at_ms))


def _within(chances: random.Random, values: Range) -> int:
    return chances.randint(*values)
