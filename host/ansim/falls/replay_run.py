"""Runs of replays: on which device, and what they lead to."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ansim import console_key, flash_job
from ansim.client import Console
from ansim.errors import BadInput
from ansim.falls.recordings import Recording
from ansim.falls.replay import Replayer
from ansim.falls.replay_plan import as_movement
from ansim.falls.replay_report import Expect, Judged, Results
from ansim.falls.replay_view import View
from ansim.flash_job import Job
from ansim.flasher import Progress
from ansim.home import Home
from ansim.sandbox import Sandbox
from ansim.serial_link import VIRTUAL, open_port
from ansim.virtual import ControlClient, find_board

_BOARD = "virtual"


@dataclass(frozen=True)
class Orders:
    """What the wearer does, and what is to come of it."""

    cancel: bool = False
    expect: Expect = Expect.LABEL


@dataclass(frozen=True)
class Device:
    """A device whose sensor can be played to: its virtual board, and its console."""

    control: ControlClient
    console: Console


@contextlib.contextmanager
def running_device(port: str, home: Home) -> Iterator[Device]:
    """The device of a virtual board that runs, as it is.

    Raises:
        BadInput: port is none of a virtual board.
        PortError: it is in use.
    """
    if port != VIRTUAL and not port.startswith(f"{VIRTUAL}:"):
        raise BadInput(f"a recording can't be played to {port}", f"Say {VIRTUAL} or {VIRTUAL}:NAME, or leave it out.")
    board = find_board(home, port.partition(":")[2] or None)
    with open_port(board.url, home) as link:
        yield Device(board.control, Console(link, port))


@contextlib.contextmanager
def new_device(speed: int, placement: int, on_progress: Progress) -> Iterator[Device]:
    """A device that is flashed and provisioned for this, with a broker and a receiver of its own; it leaves nothing.

    Args:
        placement: the setting ``fall``.
    """
    on_progress("starting broker and receiver", 0, 1)
    with tempfile.TemporaryDirectory(prefix="ansim-") as folder, Sandbox(Path(folder)) as sandbox:
        board = sandbox.start_board(speed=speed)
        flash_job.flash(Job(sandbox.home, board.url, _BOARD), on_progress)
        with open_port(board.url, sandbox.home) as link:
            console = Console(link, board.url)
            console_key.change(console, sandbox.home, "config", {"set": {"fall": placement}})
            on_progress("connecting", 0, 1)
            yield Device(board.control, console)


def run(
    device: Device,
    planned: Sequence[Recording],
    predicted: Mapping[str, bool],
    results: Results,
    view: View,
    orders: Orders,
) -> None:
    """Play what is planned and not in the results yet; add each result.

    Args:
        predicted: by name, whether the evaluation says that there is an alarm.
    """
    replayer = Replayer(device.control, device.console, view.tell, view.look)
    replayer.until_ready()
    left = planned[results.done([recording.name for recording in planned]) :]
    for number, recording in enumerate(left, 1 + len(planned) - len(left)):
        each = as_movement(recording)
        outcome = replayer.play_well(each, cancel=orders.cancel, begin=partial(view.begin, number, len(planned)))
        right = orders.expect.allows(each, outcome.result, orders.cancel)
        judged = Judged(outcome, right, predicted.get(each.name))
        results.add(judged)
        view.end(judged)
