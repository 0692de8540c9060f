"""Runs the firmware's own detector over recordings, in processes of MicroPython's unix port."""

import contextlib
import importlib.util
import json
import selectors
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from subprocess import PIPE, STDOUT
from types import TracebackType
from typing import cast

from ansim.errors import AnsimError, BadInput
from ansim.falls import player
from ansim.falls.recordings import DEVICE_RATE_HZ, Samples
from ansim.falls.stage0 import wakes_at
from ansim.home import project_root

# As the firmware's loop takes them out of a FIFO.
BATCH_SAMPLES = 16
QUIET_S = 2
# A recording may end before the detector has seen what follows; the longest that it waits is below this.
HOLD_S = 20
_HEAP_BYTES = 1 << 28
# 27 hours: a day of recorded activity, and what its samples need while they are taken fits the heap.
MAX_SAMPLES = 5_000_000
_FAILED_HINT = "Run the tests of the detector: pytest tests/unit -k fall"


@dataclass(frozen=True)
class Job:
    """One recording to be played.

    Args:
        acc: mg at the device's rate, samples x 3.
        model: packed.
        wake_mg: stage 0's threshold; 0: awake from the first sample to the last.
    """

    acc: Samples
    model: bytes
    wake_mg: int


@dataclass(frozen=True)
class Mark:
    """The detector's answer to a batch that ended at_s after the recording's beginning: the bits of detector.feed."""

    at_s: float
    bits: int


@dataclass(frozen=True)
class Candidate:
    """A window that the detector judged, and the features that it judged by."""

    at_s: float
    features: tuple[int, ...]


@dataclass(frozen=True)
class Played:
    """What became of a recording.

    Args:
        wakes: how often stage 0 woke the device; awake_s: for how long in all.
        marks, candidates: in the order of time; those after the recording's end came in the rest after it.
    """

    wakes: int
    awake_s: float
    marks: tuple[Mark, ...]
    candidates: tuple[Candidate, ...] = ()


def play_all(
    jobs: Sequence[Job],
    processes: int,
    *,
    candidates: bool = False,
    on_done: Callable[[int], None] = lambda _done: None,
) -> list[Played]:
    """Play jobs, and return what became of each, in their order.

    Args:
        processes: how many MicroPythons share the work; they end with this call, however it ends.
        candidates: whether to collect the features of every window that was judged.
        on_done: called with the number of jobs that are done.

    Raises:
        BadInput: a recording is too long.
        AnsimError: there is no MicroPython for this machine, or the detector failed in it.
    """
    for each in jobs:
        if len(each.acc) > MAX_SAMPLES:
            raise BadInput(f"a recording of {len(each.acc)} samples is too long", f"Cut it below {MAX_SAMPLES}.")
    played: dict[int, Played] = {}
    todo = enumerate(jobs)
    # Without threads: a Ctrl-C while a job is handed to one of a pool can leave one of its locks taken for good.
    with _players(min(processes, len(jobs)), candidates) as players, selectors.DefaultSelector() as busy:

        def give(one: "_Player") -> None:
            for at, job in todo:
                one.begin(job)
                busy.register(one, selectors.EVENT_READ, at)
                return

        for one in players:
            give(one)
        while busy.get_map():
            for key, _ in busy.select():
                one = cast(_Player, key.fileobj)
                played[key.data] = one.result()
                busy.unregister(one)
                on_done(len(played))
                give(one)
    return [played[at] for at in range(len(jobs))]


@contextlib.contextmanager
def _players(count: int, candidates: bool) -> Iterator[list["_Player"]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_Player(candidates)) for _ in range(count)]


class _Player:
    """A process of MicroPython that runs player.py; it is killed on the way out."""

    def __init__(self, candidates: bool) -> None:
        self._process = subprocess.Popen(_command(candidates), stdin=PIPE, stdout=PIPE, stderr=STDOUT)
        self._model = b""

    def __enter__(self) -> "_Player":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(OSError):
                pipe.close()

    def fileno(self) -> int:
        """Return what can be read once there is a result."""
        assert self._process.stdout
        return self._process.stdout.fileno()

    def begin(self, job: Job) -> None:
        """Give it a job; it takes all of it before it says anything."""
        assert self._process.stdin
        # One that has ended says why, as its result.
        with contextlib.suppress(OSError):
            for frame in self._frames(job):
                self._process.stdin.write(frame)
            self._process.stdin.flush()

    def result(self) -> Played:
        """Wait for the end of its job, and return what became of it."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line.startswith(b"{"):
            raise self._failed(line)
        told = json.loads(line)
        return Played(
            told["wakes"],
            told["awake"] / DEVICE_RATE_HZ,
            tuple(Mark(at / DEVICE_RATE_HZ, bits) for at, bits in told["marks"]),
            tuple(Candidate(at / DEVICE_RATE_HZ, tuple(features)) for at, *features in told["candidates"]),
        )

    def _frames(self, job: Job) -> Iterator[bytes]:
        if job.model != self._model:
            self._model = job.model
            yield struct.pack(player.HEADER, player.MODEL, len(job.model), 0) + job.model
        wakes = wakes_at(job.acc, job.wake_mg)
        yield struct.pack(player.HEADER, player.RECORDING, len(job.acc), len(wakes))
        yield wakes.astype("<u4").tobytes()
        yield job.acc.astype("<i2").tobytes()

    def _failed(self, line: bytes) -> AnsimError:
        assert self._process.stdout
        # It printed a traceback, and is at its end.
        said = (line + self._process.stdout.read()).decode(errors="replace").strip().splitlines()
        return AnsimError(f"the detector failed on MicroPython: {said[-1] if said else 'it ended'}", _FAILED_HINT)


def _command(candidates: bool) -> list[str]:
    if importlib.util.find_spec("micropython_unix") is None:
        raise AnsimError(
            "there is no MicroPython unix port for this machine, and the detector is judged on it",
            "It exists for Linux on x86-64 and macOS on arm64.",
        )
    samples = (round(seconds * DEVICE_RATE_HZ) for seconds in (QUIET_S, HOLD_S))
    numbers = (BATCH_SAMPLES, *samples, int(candidates))
    script = [player.__file__, str(project_root() / "firmware"), *map(str, numbers)]
    return [sys.executable, "-I", "-m", "micropython_unix", "-X", f"heapsize={_HEAP_BYTES}", *script]
