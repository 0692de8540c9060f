"""One process a task, so that tasks share the cores and none takes another one with it when it dies."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from types import FrameType, TracebackType
from typing import Any

from ansim.errors import EXIT_INTERRUPTED, AnsimError, Interrupted, unforeseen

# What every task here needs and takes long to import; it is imported once, and each process starts with it.
PRELOAD = ("ansim.flash_job",)
# So long a task that is cancelled may take to put things in order; more than a device takes to answer a command.
PATIENCE_S = 10.0

# Called by a task with anything that can be pickled.
Say = Callable[[Any], None]
# A function of a module, called as task(say, *args); its result and its arguments can be pickled.
Task = Callable[..., Any]


@dataclass(frozen=True)
class Said:
    """What the task called key said."""

    key: str
    what: Any


@dataclass(frozen=True)
class Ended:
    """The task called key is over, with a result or an error; what it held is free again."""

    key: str
    result: Any
    error: AnsimError | None


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    kill_at: float | None = None


class Workers:
    """Runs tasks in processes of their own; a context manager, at whose end all of them are over.

    Make it in the main thread, and early: what its processes start with is imported in the background from then on.
    Ctrl-C reaches this process only. When this process dies, however it does, its workers die with it.

    Args:
        preload: more modules that tasks need, by name.
    """

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._context = multiprocessing.get_context("forkserver")
        forkserver.set_forkserver_preload([*PRELOAD, *preload])
        with _sigint_ignored():
            forkserver.ensure_running()
        self._workers: dict[str, _Worker] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for key in self.running:
            self.cancel(key)
        while self.running:
            self.poll(PATIENCE_S)

    @property
    def running(self) -> set[str]:
        """The keys of the tasks whose end poll has not told yet."""
        return set(self._workers)

    def start(self, key: str, task: Task, *args: Any) -> None:
        """Start task in a process of its own; key names it until poll has told its end."""
        if key in self._workers:
            raise ValueError(f"{key} is running already")
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_run, args=(theirs, task, args), name=f"ansim {key}", daemon=True)
        process.start()
        theirs.close()
        self._workers[key] = _Worker(process, ours)

    def poll(self, timeout_s: float) -> list[Said | Ended]:
        """Return what was said and what ended, in that order for each task; wait for something up to timeout_s."""
        keys: dict[Any, str] = {worker.connection: key for key, worker in self._workers.items()}
        heard: list[Said | Ended] = []
        for connection in wait(list(keys), self._wait_s(timeout_s)) if keys else _pause(timeout_s):
            heard += self._hear(keys[connection])
        self._kill_late()
        return heard

    def cancel(self, key: str) -> None:
        """Interrupt a task: it has PATIENCE_S to put things in order, then it is killed. poll tells its end."""
        worker = self._workers.get(key)
        if worker and worker.kill_at is None:
            worker.kill_at = time.monotonic() + PATIENCE_S
            worker.process.terminate()

    def _wait_s(self, timeout_s: float) -> float:
        deadlines = [worker.kill_at for worker in self._workers.values() if worker.kill_at is not None]
        return max(0.0, min([timeout_s, *(at - time.monotonic() for at in deadlines)]))

    def _hear(self, key: str) -> list[Said | Ended]:
        """Return all that the worker has said by now."""
        worker = self._workers[key]
        heard: list[Said | Ended] = []
        try:
            while not heard or worker.connection.poll():
                heard.append(self._message(key, worker.connection.recv()))
                if isinstance(heard[-1], Ended):
                    return heard
        except (EOFError, OSError):
            heard.append(self._died(key))
        return heard

    def _message(self, key: str, message: tuple[str, Any, AnsimError | None]) -> Said | Ended:
        kind, what, error = message
        if kind == "said":
            return Said(key, what)
        self._forget(key)
        return Ended(key, what, error)

    def _died(self, key: str) -> Ended:
        worker = self._workers[key]
        self._forget(key)
        if worker.kill_at is not None:
            return Ended(key, None, Interrupted())
        how = worker.process.exitcode
        return Ended(
            key,
            None,
            AnsimError(
                f"the process that worked on {key} was ended ({signal.Signals(-how).name if how and how < 0 else how})",
                "Its port is free again. Run it again: it takes up what is done already.",
            ),
        )

    def _forget(self, key: str) -> None:
        worker = self._workers.pop(key)
        worker.connection.close()
        worker.process.join(PATIENCE_S)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()

    def _kill_late(self) -> None:
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.kill_at is not None and worker.kill_at <= now:
                worker.process.kill()


def _pause(timeout_s: float) -> list[Any]:
    time.sleep(timeout_s)
    return []


@contextlib.contextmanager
def _sigint_ignored() -> Iterator[None]:
    """What is ignored as the server of new processes starts stays ignored in it and in all of them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run(connection: Connection, task: Task, args: Sequence[Any]) -> None:
    """What a worker does from its first to its last moment."""
    # A server of processes that had to be started anew does not ignore it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    result: Any = None
    error: AnsimError | None = None
    try:
        result = task(lambda what: connection.send(("said", what, None)), *args)
    except KeyboardInterrupt:
        error = Interrupted()
    except Exception as caught:
        error = _portable(caught)
        # For --debug, which shows it with the error in the parent.
        error.add_note("".join(traceback.format_exception(caught)))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send(("ended", result, error))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Once: what the task then puts in order is not interrupted again.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(EXIT_INTERRUPTED)


def _portable(error: Exception) -> AnsimError:
    """Return error as one that can be sent, with message and hint."""
    if isinstance(error, AnsimError):
        with contextlib.suppress(Exception):
            sent: AnsimError = pickle.loads(pickle.dumps(error))
            return sent
        return AnsimError(error.message, error.hint)
    return unforeseen(error)
