"""The world around devices under stress: what ends in it without an outage is told, and no outage hides it."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ansim.client import Deadline
from ansim.fleet import Fleet
from ansim.places import find_ground
from ansim.stress.clock import RunClock
from ansim.stress.fleet.guarded import below
from ansim.stress.plan import PlannedOutage
from ansim.stress.world import World
from ansim.workers import Workers

PATIENCE_S = 30


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    ground = find_ground("virtual")
    with Workers(preload=["ansim.stress.world"]) as workers, World(tmp_path, ground, RunClock(), workers) as made:
        yield made


def noticed(world: World) -> str:
    """Wait until somebody has noticed what ended, and return what is told of it."""
    deadline = Deadline(PATIENCE_S)
    while world.error is None and not deadline.expired:
        world.look()
    return world.error.message if world.error else ""


def test_a_receiver_that_ends_by_itself_is_told_and_no_outage_hides_it(world: World) -> None:
    world.look()
    assert world.error is None
    never = threading.Event()
    world.play(iter([PlannedOutage("receiver_kill", 0, 0), PlannedOutage("receiver", 0, 0)]), never)
    assert world.error is None and [fault.kind for fault in world.faults] == ["receiver_kill", "receiver"]
    receiver = psutil.Process(world.receiver.pid)
    receiver.kill()
    assert psutil.wait_procs([receiver], PATIENCE_S)[1] == []
    world.play(iter([PlannedOutage("receiver_kill", 0, 0)]), never)
    assert "the receiver ended by itself" in noticed(world)
    assert len(world.faults) == 2


def test_nobody_gets_the_broker_s_port_while_it_is_away_and_it_comes_back_to_it(world: World) -> None:
    port = Fleet.load(world.sandbox.home).port
    world._broker.stop()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    world._broker.start()
    assert Fleet.load(world.sandbox.home).port == port
    socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()


def test_a_broker_that_ends_by_itself_is_told(world: World) -> None:
    (server,) = below(str(world.sandbox.home.broker / "nats.conf"))
    server.kill()
    assert "the broker stopped" in noticed(world)
